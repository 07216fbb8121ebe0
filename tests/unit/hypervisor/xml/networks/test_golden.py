"""Definitions of networks: what is built, each edit and each step while one runs against golden files (see tests.unit.hypervisor.xml.golden)."""

import pytest

from tests.unit.hypervisor.xml.golden import Golden, broken_rule
from tests.unit.hypervisor.xml.networks.cases import BUILT, EDITS, NEWER, STEPS

SCHEMA = "network"


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    golden.check_built(case, BUILT[case])


@pytest.mark.parametrize("case", STEPS)
def test_steps(case: str, golden: Golden) -> None:
    golden.check_text(case, STEPS[case])


@pytest.mark.parametrize("case", EDITS)
def test_edit(case: str, golden: Golden) -> None:
    golden.check_edit(case, EDITS[case])


@pytest.mark.parametrize("document", sorted({edit.before for edit in EDITS.values()}))
def test_documents_are_valid_but_those_of_the_future(document: str, golden: Golden) -> None:
    text = (golden.folder / "before" / f"{document}.xml").read_text()
    assert (broken_rule(SCHEMA, text) is None) == (document not in NEWER)


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=(*BUILT, *STEPS), edits=EDITS)
