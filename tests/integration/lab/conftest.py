"""The lab's own tests run on the session's lab, as all others do."""

from tests.labfixture import fresh_lab, lab, make_fleet

__all__ = ["fresh_lab", "lab", "make_fleet"]
