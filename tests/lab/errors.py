"""The one error of the lab."""


class LabError(RuntimeError):
    """A part of the lab could not be had; the message says which, why, and what to do."""
