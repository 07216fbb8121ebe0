"""Links over TLS to libvirt's own listener, with a client certificate; the server's certificate is pinned.

After the handshake the daemon checks the client's certificate and sends one byte: 1 when it is let in.
https://libvirt.org/tlscerts.html
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
from dataclasses import replace

from app.core.hosts.endpoints import Endpoint
from app.core.messages import N_
from app.hypervisor import errors
from app.hypervisor.transport.relay import Half, Relay, Side
from app.hypervisor.transport.targets import Target, TlsIdentity
from app.hypervisor.transport.transports import HostSocket, HostTransport, dial

WELCOME = b"\x01"
LENGTH_BYTES = 4


async def see_certificate(endpoint: Endpoint, deadline_s: float) -> str:
    """Fingerprint of the certificate that a TLS server shows. No certificate of ours is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    transport = await _handshake(endpoint, context, asyncio.Protocol(), deadline_s)
    try:
        return _fingerprint(transport)
    finally:
        transport.abort()


class TlsTransport(HostTransport):
    """Each relay is a TLS connection of its own."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.endpoint)
        self._context = _context(target.secret)
        self._pinned = target.fingerprint

    async def connect(self, relay: Relay, deadline_s: float) -> None:
        """Open a TLS connection for a relay and wait until the daemon lets it in."""
        half = _TlsHalf(relay)
        transport = await _handshake(self.endpoint, self._context, half, deadline_s)
        try:
            seen = _fingerprint(transport)
            if seen != self._pinned:
                raise errors.identity_changed(seen)
            if not await half.welcomed:
                raise errors.credential_refused(N_("libvirt does not accept Vigie's certificate."))
        except BaseException:
            transport.abort()
            raise
        relay.far = half

    async def tunnel(self, target: HostSocket, near: Half, deadline_s: float) -> Half:
        """Connect to a port on the host's own address: nothing but libvirt goes through its TLS listener."""
        if target.is_local:
            raise errors.display_out_of_reach(
                N_("It listens on the host's loopback only, and a link by TLS carries libvirt only.")
            )
        # Never another address than the registered one, whatever the definition names.
        connection = await dial(replace(self.endpoint, port=target.port), deadline_s)
        half = Half(near.on_lost)
        half.join(near)
        await asyncio.get_running_loop().create_connection(lambda: half, sock=connection)
        return half


class _TlsHalf(Half):
    """The far side of a relay over TLS; takes the daemon's welcome off the front."""

    def __init__(self, relay: Relay) -> None:
        super().__init__(relay.lost)
        self.welcomed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: object) -> None:
        """The side is connected."""
        super().connection_made(transport)
        if self.side:
            self.side = MessageWise(self.side)

    def data_received(self, data: bytes, datatype: object = None) -> None:
        """The welcome first, then what the relay is for."""
        if self.welcomed.done():
            super().data_received(data)
        else:
            self.welcomed.set_result(data == WELCOME)

    def eof_received(self) -> bool:
        """The end; before the welcome it means that the daemon refused our certificate."""
        self._refuse()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; before the welcome it means that the daemon refused our certificate."""
        self._refuse()
        super().connection_lost(exc)

    def _refuse(self) -> None:
        if not self.welcomed.done():
            self.welcomed.set_result(False)


class MessageWise:
    """The sending side of a libvirt connection over TLS, on which no record holds parts of two messages.

    libvirt's daemon waits on the socket for the next message, though its TLS library may have read it with the end of
    the one before: it would lie there until more came. A message begins with its length, four bytes that count
    themselves: https://libvirt.org/kbase/internals/rpc.html
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._length = b""  # of the message that begins, as far as it came
        self._left = 0  # bytes of the message under way
        self.pause_reading, self.resume_reading = side.pause_reading, side.resume_reading
        self.close, self.abort = side.close, side.abort

    def write(self, data: bytes) -> None:
        """Send what came, in one piece for each message."""
        begun = at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = min(LENGTH_BYTES - len(self._length), len(data) - at)
                self._length += data[at : at + step]
                if len(self._length) == LENGTH_BYTES:
                    self._left = max(0, int.from_bytes(self._length, "big") - LENGTH_BYTES)
                    self._length = b""
            at += step
            if not self._left and not self._length:
                self._side.write(data[begun:at])
                begun = at
        if begun < at:
            self._side.write(data[begun:])


async def _handshake(
    endpoint: Endpoint, context: ssl.SSLContext, half: asyncio.Protocol, deadline_s: float
) -> asyncio.Transport:
    connection = await dial(endpoint, deadline_s)
    try:
        # The name is for SNI only: the certificate is pinned, which says more than a name.
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: half, sock=connection, ssl=context, server_hostname=endpoint.address
        )
    except ssl.SSLCertVerificationError as error:
        raise errors.certificate_untrusted(error.verify_message) from None
    except (ssl.SSLError, OSError) as error:
        raise errors.wrong_protocol(
            N_("What answers there is not libvirt's TLS listener."), errors.clean(error)
        ) from None
    return transport


def _context(secret: object) -> ssl.SSLContext:
    """Trust in the credential's authority, and its certificate to show."""
    if not isinstance(secret, TlsIdentity):
        raise errors.credential_unreadable(N_("This host needs a TLS certificate."))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.load_verify_locations(cadata=secret.ca_certificate)
        _load_chain(context, f"{secret.certificate}\n{secret.private_key}\n")
    except (ssl.SSLError, ValueError):
        raise errors.credential_unreadable(
            N_("The certificates and the key are not PEM texts that belong together.")
        ) from None
    return context


def _load_chain(context: ssl.SSLContext, pem: str) -> None:
    """Python reads a certificate's key from a file only; this one exists in memory alone."""
    descriptor = os.memfd_create("vigie")
    try:
        os.write(descriptor, pem.encode())
        # A callback, or OpenSSL would ask for the passphrase of an encrypted key on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: "")
    finally:
        os.close(descriptor)


def _fingerprint(transport: asyncio.Transport) -> str:
    shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return "SHA256:" + base64.b64encode(hashlib.sha256(shown).digest()).decode().rstrip("=")
