"""Meaning of colours on all dashboards.

The names are those of Grafana's palette, which has a variant of each for every theme.
"""

from __future__ import annotations

GOOD, WARNING, BAD, NEUTRAL = "green", "orange", "red", "blue"
NONE = "text"
"""Colour of text, which means neither good nor bad."""

STATUSES = {"done": GOOD, "failed": BAD, "terminated": NEUTRAL, "unknown": WARNING}
# The most frequent reasons, and others that must not look like them.
REASONS = {
    "Completed": GOOD,
    "OOMKilled": BAD,
    "SIGKILL": "dark-red",
    "Error": WARNING,
    "Misuse": "light-orange",
    "TimedOut": "dark-orange",
    "CommandNotFound": "yellow",
    "CommandNotExecutable": "dark-yellow",
    "ContainerCannotRun": "light-yellow",
    "SegmentationFault": "purple",
    "Aborted": "light-purple",
    "Unhealthy": "dark-purple",
    "Terminated": NEUTRAL,
    "Killed": "light-blue",
    "Interrupted": "super-light-blue",
    "HostLost": "dark-blue",
    "Unknown": NONE,
}
CODES = {"0": GOOD, "1": WARNING, "137": BAD, "143": NEUTRAL}
