"""The end of a job's log, made fit to be shown and sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from exporter.text import UNSEEN

REDACTED = "[redacted]"
# What colours a terminal or moves its cursor; and what colours a sign (⚠), which logs are full of.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])|[\ufe0e\ufe0f]")
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{UNSEEN}]")


def redactor(pattern: str) -> Callable[[str], str]:
    """Replaces what a pattern matches. Raises ValueError where it is none.

    RE2's patterns, which take time in proportion to the text: with those of Python, a container's log could
    hold up the whole process for hours.
    """
    # 3 MB, for those who redact.
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no types

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        cause = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{pattern!r} is no regular expression of RE2: {cause}") from error

    def redact(text: str) -> str:
        redacted: str = compiled.sub(REDACTED, text)
        return redacted

    return redact


@dataclass(frozen=True, slots=True)
class LogTail:
    """How much of a log's end is kept, and what of it nobody may see."""

    lines: int
    max_bytes: int
    redact: Callable[[str], str] | None = None

    def of(self, text: str, *, is_whole: bool = True) -> str | None:
        """The end of a log; None where nothing is left of it.

        Where the text is not all of it, its first line may be the rest of one, and is not kept.
        """
        begun = text if is_whole else text.partition("\n")[2]
        shown = "\n".join(_as_shown(line) for line in begun.split("\n")).rstrip()
        # First of all: of a secret that is cut in two, a pattern would find neither half.
        safe = self.redact(shown) if self.redact else shown
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
