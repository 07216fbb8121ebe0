"""Parameters of messages that are messages themselves."""

from app.core.messages import filled


def test_lists_are_told_from_sentences_that_follow_each_other() -> None:
    """A task said "…: Disks. The guest has not released the device., Unmount it."."""
    params = {"later": ["Disks", "Memory"], "why": [["It is in use.", "Unmount it."]]}
    assert (
        filled(str, "Later: %(later)s. %(why)s", params) == "Later: Disks, Memory. It is in use. Unmount it."
    )
    french = {"Disks": "Disques", "Unmount it.": "Démontez-le."}
    assert filled(lambda text: french.get(text, text), "%(later)s. %(why)s", params) == (
        "Disques, Memory. It is in use. Démontez-le."
    )
