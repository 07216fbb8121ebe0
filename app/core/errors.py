"""Every error that Vigie raises on purpose.

    VigieError
      InvalidInput          422  a field breaks a rule; `field` names it
      NotSignedIn           401
      NotAllowed            403  the privilege is missing
      NotFound              404  no such object, or none that this person may see
      Conflict              409  the object's state forbids it
        Busy                409  another task holds the object; `task_id` names it
        IdentityUnconfirmed 409  the host's identity must be confirmed first; carries what was seen
      EditConflict          412  somebody changed the object in between
      TooLarge              413
      TooManyRequests       429
      HostError             503  a host did not do as asked
        HostUnreachable          no connection to the address
        HostNotAnswering         connected, but a call passed its deadline
        HostAuthFailed           the host refused the credential
        HostIdentityChanged      key or certificate differs from the confirmed one
        HypervisorRefused   409  libvirt answered with an error
        VmGone              404  the host does not list the VM (any more)
      Unavailable           503  Vigie itself cannot serve this now (database locked, disk full)

Each carries `code` (stable, documented in docs/errors.md), `title` (a sentence for a person), `why` (the
check that failed, with its figures) and `hint` (what to do). These are message ids, which `params` fill; they are
translated where they are shown. Texts never hold secrets. `detail` may hold what the hypervisor translated; only people
with `host.view-diagnostics` see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from app.core.messages import filled


class ErrorTexts(NamedTuple):
    """What an error says, in the reader's language."""

    title: str
    why: str | None
    hint: str | None


class VigieError(Exception):
    """Base of all errors that have a status and a sentence a person can act on."""

    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str = "internal"

    def __init__(
        self,
        title: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        code: str | None = None,
        detail: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.why = why
        self.hint = hint
        self.detail = detail
        self.params: Mapping[str, object] = params or {}
        if code is not None:
            self.code = code

    def texts(self, translate: Callable[[str], str] = str) -> ErrorTexts:
        """What it says, in the reader's language; in English when nobody translates."""

        def translated(text: str | None) -> str | None:
            return filled(translate, text, self.params if "%(" in text else None) if text else None

        return ErrorTexts(translated(self.title) or "", translated(self.why), translated(self.hint))


class InvalidInput(VigieError):
    """A value breaks a rule. `field` is the name the caller used; `params` fill the rule's message id."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_input"

    def __init__(
        self,
        field: str,
        rule: str,
        *,
        params: Mapping[str, object] | None = None,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(
            f"{field}: {filled(str, rule, params)}", why=rule, hint=hint, code=code, params=params
        )
        self.field = field
        self.rule = rule

    def rule_text(self, translate: Callable[[str], str]) -> str:
        """The rule in the reader's language."""
        return filled(translate, self.rule, self.params)


class NotSignedIn(VigieError):
    """Nobody is signed in, or the session or token has ended."""

    status = HTTPStatus.UNAUTHORIZED
    code = "not_signed_in"


class NotAllowed(VigieError):
    """The person lacks the privilege."""

    status = HTTPStatus.FORBIDDEN
    code = "not_allowed"


class NotFound(VigieError):
    """No such object, or none that this person may see."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(VigieError):
    """The object's state forbids what was asked."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class Busy(Conflict):
    """Another task holds the object."""

    code = "busy"

    def __init__(
        self,
        title: str,
        *,
        task_id: str,
        why: str | None = None,
        hint: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(title, why=why, hint=hint, params=params)
        self.task_id = task_id


class IdentityUnconfirmed(Conflict):
    """The host showed an identity that nobody confirmed yet. `fingerprint` is what was seen."""

    code = "identity_unconfirmed"

    def __init__(
        self,
        title: str,
        *,
        fingerprint: str,
        why: str | None = None,
        hint: str | None = None,
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(title, why=why, hint=hint, params=params)
        self.fingerprint = fingerprint


class EditConflict(VigieError):
    """If-Match named a version that is no longer the current one."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "edit_conflict"


class TooLarge(VigieError):
    """The request body is larger than allowed."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class TooManyRequests(VigieError):
    """A rate limit was hit. `retry_after_s` says when to try again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"

    def __init__(self, title: str, *, retry_after_s: int, hint: str | None = None) -> None:
        super().__init__(title, hint=hint)
        self.retry_after_s = retry_after_s


class HostError(VigieError):
    """A host did not do as asked."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "host_error"


class HostUnreachable(HostError):
    """No connection could be made to the host's address."""

    code = "host_unreachable"


class DaemonGone(HostError):
    """The host's libvirt cannot be reached: its daemon does not run, or its socket is not for this account."""

    code = "libvirt_socket"


class HostNotAnswering(HostError):
    """The host accepted a connection but a call passed its deadline."""

    code = "host_not_answering"


class HostAuthFailed(HostError):
    """The host refused the credential, or the account may not use libvirt."""

    code = "host_auth_failed"


class HostIdentityChanged(HostError):
    """The host's key or certificate is not the confirmed one. `fingerprint` is what was seen now."""

    code = "host_identity_changed"

    def __init__(
        self, title: str, *, fingerprint: str, why: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(title, why=why, hint=hint)
        self.fingerprint = fingerprint


class HypervisorRefused(HostError):
    """Libvirt answered with an error. `code` names its kind; `detail` holds its text."""

    status = HTTPStatus.CONFLICT
    code = "hypervisor_refused"


class PoolBusy(HostError):
    """A host cannot read or stop a pool while it makes a volume in it."""

    code = "pool_busy"


class VmGone(HostError):
    """The host does not list the VM."""

    status = HTTPStatus.NOT_FOUND
    code = "vm_gone"


class Unavailable(VigieError):
    """Vigie itself cannot serve this now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"


def rule_of(broken: Mapping[str, object]) -> str:
    """The rule that a field breaks, of an entry of pydantic's `errors()`; without what pydantic puts before ours."""
    return str(broken["msg"]).removeprefix("Value error, ")
