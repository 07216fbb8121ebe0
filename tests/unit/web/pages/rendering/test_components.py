"""What macros draw: buttons of verbs, badges of conditions, options of select fields."""

from __future__ import annotations

from datetime import UTC, datetime

from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind, Severity
from app.core.records import Ref
from app.core.storage.volumes import PoolChoice
from app.core.vms.records import VerbRecord
from app.services.vms.create.choices import Option
from app.web.pages.rendering.components import badge, first_few, sorting, url_of
from app.web.pages.rendering.formats import Formats, fill, share
from app.web.pages.rendering.forms import PartForms, Shown
from app.web.pages.rendering.select_options import Options
from app.web.pages.rendering.verb_buttons import VerbButtons

ENGLISH = Formats("en", str)
options = Options(ENGLISH)
verb_button = VerbButtons(str)


def _verb(*, allowed: bool = True, confirm: bool = False, why: str | None = None) -> VerbRecord:
    return VerbRecord(verb="reset", title="Reset", allowed=allowed, confirm=confirm, why=why)


def test_a_verb_that_loses_data_asks_by_its_own_question_or_by_that_of_the_page() -> None:
    assert verb_button(_verb()).ask is None
    own = verb_button(_verb(confirm=True))
    assert (own.ask, own.question) == ("ask-reset", "ask-reset")
    assert verb_button(_verb(), "ask-options").ask == "ask-options"
    assert verb_button(_verb(), "ask-options").question is None


def test_a_refused_verb_says_why_and_asks_nothing() -> None:
    refused = verb_button(_verb(allowed=False, confirm=True, why="It is off."))
    assert (refused.why, refused.question) == ("It is off.", None)
    assert verb_button(_verb(allowed=False)).why == "Not possible now."
    assert verb_button(_verb()).why is None


def test_a_badge_names_the_worst_condition_and_counts_the_others() -> None:
    worst, other = (
        ConditionRecord(
            code="x", severity=severity, title=title, text=f"{title}.", hint="", since=datetime.now(UTC)
        )
        for severity, title in ((Severity.ERROR, "Bad"), (Severity.WARNING, "Odd"))
    )
    assert badge([]) is None
    found = badge([worst, other])
    assert found is not None
    assert (found.title, found.tone, found.more, found.text) == ("Bad", "bad", 1, "Bad. Odd.")


def test_a_sorted_column_turns_round_and_another_begins_upwards() -> None:
    assert (sorting("name", "name").order, sorting("name", "name").next) == ("ascending", "-name")
    assert (sorting("name", "-name").order, sorting("name", "-name").next) == ("descending", "name")
    assert (sorting("name", "cpu").order, sorting("name", "cpu").next) == (None, "name")


def test_options_have_each_value_once_with_what_is_known_of_it() -> None:
    pool = Option(key="pool_1", name="fast", free_bytes=1 << 30)
    network = Option(key="net_1", name="lan", about="nat")
    offered = [pool, network, Ref(kind=ObjectKind.HOST, id="host_1", name="kvm"), pool]
    assert options(offered, "none") == [
        ("", "none"),
        ("pool_1", "fast · 1\u202fGiB free"),
        ("net_1", "lan · nat"),
        ("host_1", "kvm"),
    ]
    assert options([PoolChoice(id="p", name="p", available_bytes=0)]) == [("p", "p · 0\u202fB free")]


def test_options_keep_a_value_that_is_in_use() -> None:
    assert options(["vnc"], also=["spice", None], upper=True) == [("vnc", "VNC"), ("spice", "SPICE")]
    found = options(["bios"], titles="firmware", first=[("x", "first")], then=[("y", "last"), ("bios", "no")])
    assert found == [("x", "first"), ("bios", "BIOS"), ("y", "last")]


def test_shares_are_unknown_without_a_whole_and_bars_stay_in_their_frame() -> None:
    assert (share(1, 4), share(None, 4), share(1, 0), share(1, None), share(0, 4)) == (
        25,
        None,
        None,
        None,
        0,
    )
    assert (fill(None), fill(-5), fill(150), fill(33.33)) == (0, 0, 100, 33.3)
    assert ENGLISH.bytes(-2048) == "−2\u202fKiB"


def test_few_say_how_many_more_there_are() -> None:
    assert (first_few([1, 2, 3], 2).shown, first_few([1, 2, 3], 2).more) == ([1, 2], 1)
    assert first_few([1], 2).more == 0


def test_every_kind_of_object_has_a_page() -> None:
    for kind in (ObjectKind.VM, ObjectKind.VOLUME, ObjectKind.IMAGE, ObjectKind.CREDENTIAL):
        assert url_of(Ref(kind=kind, id="x_1", name="x")).endswith("x_1")


def test_only_the_part_that_was_sent_shows_what_was_typed() -> None:
    sent = Shown({"name": "typed", "readonly": "false"}, {"name": "wrong"})
    forms = PartForms("copy", sent)
    assert forms.of("copy") is sent
    assert forms.of("move").value("name", "as it was") == "as it was"
    assert not forms.of("copy").checked("readonly", True)
    assert forms.of("move").checked("readonly", True)
    assert sent.is_open(["name"])
    assert not sent.is_open(["size"], ["size"])
    assert sent.unshown == {"name": "wrong"}  # asking whether it is wrong shows nothing
