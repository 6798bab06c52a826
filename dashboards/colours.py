"""Meaning of colours on all dashboards.

The names are those of Grafana's palette, which has a variant of each for every theme. All are readable on
white and on dark: a contrast of 2.5 or more.
"""

from __future__ import annotations

DONE, FAILED, OOM, STOPPED = "green", "orange", "red", "blue"
UNKNOWN = "text"
"""Colour of text, which means neither good nor bad."""
COULD_NOT_START = "dark-yellow"
GOOD, WARNING, BAD, NEUTRAL = DONE, FAILED, OOM, STOPPED
"""The same of the exporters themselves, and of figures that are neither good nor bad."""
ALERT = "light-purple"
"""Colour of alerts."""

STATUSES = {"done": DONE, "failed": FAILED, "terminated": STOPPED, "unknown": UNKNOWN}
REASONS = {
    "Completed": DONE,
    "OOMKilled": OOM,
    "SIGKILL": "dark-red",
    "Error": FAILED,
    "Misuse": "dark-orange",
    "TimedOut": "semi-dark-orange",
    "CommandNotFound": COULD_NOT_START,
    "CommandNotExecutable": COULD_NOT_START,
    "ContainerCannotRun": COULD_NOT_START,
    "SegmentationFault": "purple",
    "Aborted": "dark-purple",
    "Unhealthy": "semi-dark-purple",
    "HostLost": "semi-dark-red",
    "Terminated": STOPPED,
    "Killed": "dark-blue",
    "Interrupted": "semi-dark-blue",
    "Unknown": UNKNOWN,
}
"""The most frequent reasons: shades of their meaning; purple are crashes. Any other failure is `FAILED`."""
