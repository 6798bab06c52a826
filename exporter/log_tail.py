"""The end of a job's log, made fit to be shown and sent. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

REDACTED = "[redacted]"
# What colours a terminal or moves its cursor.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class LogTail:
    """How much of a log's end is kept, and what of it nobody may see."""

    lines: int
    max_bytes: int
    redact: re.Pattern[str] | None = None

    def of(self, text: str) -> str | None:
        """The end of a log; None where nothing is left of it."""
        shown = "\n".join(_as_shown(line) for line in text.split("\n")).rstrip()
        # First of all: of a secret that is cut in two, a pattern would find neither half.
        safe = self.redact.sub(REDACTED, shown) if self.redact else shown
        return self._cut("\n".join(safe.split("\n")[-self.lines :])) or None

    def _cut(self, text: str) -> str:
        """The last bytes, from the beginning of a line on if there is one."""
        whole = text.encode()
        if len(whole) <= self.max_bytes:
            return text
        end = whole[-self.max_bytes :].decode(errors="ignore")
        _, found, rest = end.partition("\n")
        return rest if found else end


def _as_shown(line: str) -> str:
    """A line as a terminal shows it in the end: a progress bar's last state, without colours."""
    last = _ESCAPES.sub("", line.rstrip("\r")).rpartition("\r")[2]
    return _CONTROLS.sub("\ufffd", last)
