"""End of a job's log, sanitized, redacted and bounded. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from exporter.redaction import REDACTED
from exporter.text import INVISIBLE

# Escape sequences for colours and cursor movements, and the selectors of coloured signs (⚠).
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])|[\ufe0e\ufe0f]")
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{INVISIBLE}]")


def redactor(pattern: str) -> Callable[[str], str]:
    """Return a function that replaces all matches of a pattern. Raises ValueError for an invalid pattern.

    The patterns are RE2's, whose time is linear in the length of the text: with a pattern of Python's ``re``,
    a container's log could block the process for hours.
    """
    # It takes 3 MB of memory, so it is loaded only if it is used.
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no types

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        cause = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{pattern!r} is not a regular expression of RE2: {cause}") from error

    def redact(text: str) -> str:
        redacted: str = compiled.sub(REDACTED, text)
        return redacted

    return redact


@dataclass(frozen=True, slots=True)
class LogTail:
    """Size of a log's end to keep, and the function that redacts it."""

    lines: int
    max_bytes: int
    redact: Callable[[str], str] | None = None

    def extract(self, text: str, *, is_whole: bool = True) -> str | None:
        """Return the end of a log, or None if nothing is left of it.

        Unless the text ``is_whole``, its first line may be incomplete and is dropped.
        """
        begun = text if is_whole else text.partition("\n")[2]
        shown = "\n".join(_as_shown(line) for line in begun.split("\n")).rstrip()
        # Before the text is cut: a pattern would not match half of a secret.
        safe = self.redact(shown) if self.redact else shown
        return self._cut("\n".join(safe.split("\n")[-self.lines :])) or None

    def _cut(self, text: str) -> str:
        """Return the last bytes, from the beginning of a line if there is one."""
        whole = text.encode()
        if len(whole) <= self.max_bytes:
            return text
        end = whole[-self.max_bytes :].decode(errors="ignore")
        _, found, rest = end.partition("\n")
        return rest if found else end


def _as_shown(line: str) -> str:
    """Return a line as a terminal shows it finally: the last state of a progress bar, without colours."""
    last = _ESCAPES.sub("", line.rstrip("\r")).rpartition("\r")[2]
    return _CONTROLS.sub("\ufffd", last)
