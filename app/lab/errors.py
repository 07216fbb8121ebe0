"""The one error of the lab."""


class LabError(Exception):
    """Something the lab cannot do. The message is a sentence that also says what to do about it."""
