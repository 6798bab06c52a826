"""The one error of the lab."""


class LabError(RuntimeError):
    """A part of the lab is not available; the message says which, why, and what to do."""
