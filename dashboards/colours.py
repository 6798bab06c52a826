"""Which colour means what, on every dashboard.

The names are those of Grafana's palette: each theme has its own shade of them.
"""

from __future__ import annotations

GOOD, WARNING, BAD, NEUTRAL = "green", "orange", "red", "blue"
NONE = "text"
"""That of the text around it: nothing is said of good or bad."""

STATUSES = {"done": GOOD, "failed": BAD, "terminated": NEUTRAL, "unknown": WARNING}
# The reasons that most jobs end for, and those that must not be taken for one of them.
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
