"""Classes of the style sheet that give each reason its colour, the same as on the dashboards."""

from __future__ import annotations

from zlib import crc32

KNOWN_REASONS = frozenset(
    {
        "Completed",
        "OOMKilled",
        "SIGKILL",
        "Error",
        "Misuse",
        "TimedOut",
        "CommandNotFound",
        "CommandNotExecutable",
        "ContainerCannotRun",
        "SegmentationFault",
        "Aborted",
        "Unhealthy",
        "Terminated",
        "Killed",
        "Interrupted",
        "HostLost",
        "Unknown",
    }
)
OTHER_COLOURS = 6


def reason_class(reason: str) -> str:
    """Return the class of a reason; a reason without a colour of its own always has the same of a few."""
    known = reason if reason in KNOWN_REASONS else f"other-{crc32(reason.encode()) % OTHER_COLOURS}"
    return f"reason-{known}"
