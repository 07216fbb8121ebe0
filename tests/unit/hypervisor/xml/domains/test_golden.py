"""Definitions of domains: each edit and each kind of device against golden files (see tests.unit.hypervisor.xml.golden)."""

import pytest

from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.write import edited
from tests.unit.hypervisor.xml.domains.edits import EDITS, NEWER
from tests.unit.hypervisor.xml.domains.plans import BUILT
from tests.unit.hypervisor.xml.golden import Golden, broken_rule

SCHEMA = "domain"
DOCUMENTS = sorted({edit.before for edit in EDITS.values()})
QUOTES = {"odd"}  # quotes, and spaces within tags: what libxml writes in its own way


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    text, within = BUILT[case]
    golden.check_built(case, text, within=within)


@pytest.mark.parametrize("case", EDITS)
def test_edit(case: str, golden: Golden) -> None:
    golden.check_edit(case, EDITS[case])


@pytest.mark.parametrize("document", [item for item in DOCUMENTS if item not in QUOTES])
def test_what_is_not_changed_is_written_back_to_the_byte(document: str, golden: Golden) -> None:
    text = (golden.folder / "before" / f"{document}.xml").read_text().removesuffix("\n")
    assert edited(parse_for_edit(text, "domain")) == text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_are_valid_but_those_of_the_future(document: str, golden: Golden) -> None:
    text = (golden.folder / "before" / f"{document}.xml").read_text()
    assert (broken_rule(SCHEMA, text) is None) == (document not in NEWER)


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=BUILT, edits=EDITS)
