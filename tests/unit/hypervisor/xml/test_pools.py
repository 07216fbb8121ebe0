"""Storage pools' XML: which definitions are the same."""

import pytest

from app.hypervisor.xml import pools

DEFINED = (
    "<pool type='dir'><name>local</name><uuid>3d7536fe-e2cc-481f-86ca-dd396ba9b802</uuid>"
    "<target><path>/images</path></target></pool>"
)
# As libvirt 11 writes the same pool once it has been started: saved definition and running one alike.
STARTED = """<pool type='dir'>
  <name>local</name>
  <uuid>3d7536fe-e2cc-481f-86ca-dd396ba9b802</uuid>
  <capacity unit='bytes'>2107482112</capacity>
  <allocation unit='bytes'>24576</allocation>
  <available unit='bytes'>2107457536</available>
  <source>
  </source>
  <target>
    <path>/images</path>
    <permissions>
      <mode>0755</mode>
      <owner>0</owner>
      <group>0</group>
    </permissions>
  </target>
</pool>
"""


def test_what_libvirt_fills_in_while_a_pool_runs_is_no_other_definition() -> None:
    chmod = STARTED.replace("0755", "0700")
    assert pools.same(DEFINED, STARTED)
    assert pools.same(STARTED, chmod)
    assert pools.digest(DEFINED) == pools.digest(STARTED) == pools.digest(chmod)


def test_free_parts_of_a_disk_are_no_other_definition() -> None:
    disk = "<pool type='disk'><name>d</name><source><device path='/dev/sdb'>{}</device></source></pool>"
    assert pools.same(disk.format(""), disk.format("<freeExtent start='32256' end='106896384'/>"))


@pytest.mark.parametrize(
    ("before", "after"), [("/images<", "/images2<"), ("type='dir'", "type='fs'"), (">local<", ">other<")]
)
def test_another_path_kind_or_name_is_another_definition(before: str, after: str) -> None:
    assert not pools.same(DEFINED, STARTED.replace(before, after))
