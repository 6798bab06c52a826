"""Text of the ``OTEL_…`` variables: trimmed, empty ones count as unset.

Other programs on the host may share the variables. As OpenTelemetry specifies, a value that is not
understood is ignored with a warning; a value that would lose all traces is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import structlog

log = structlog.get_logger(__name__)

PAIRS = "NAME=VALUE,NAME=VALUE with percent-encoding"
# int() raises on texts of thousands of digits.
_MAX_DIGITS = 9


class OtelConfigError(Exception):
    """A variable has an invalid value; the text names the variable and what to do."""


class Variables:
    """The OTEL_* variables. Raises OtelConfigError if a value is not valid UTF-8."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._texts = {
            name: value.strip()
            for name, value in environment.items()
            if name.startswith("OTEL_") and value.strip()
        }
        for name, value in self._texts.items():
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise OtelConfigError(f"{name}: is not UTF-8")
        self._warned: set[tuple[str, str]] = set()

    def get(self, name: str) -> str | None:
        """Return the text of a variable, None if it is not set."""
        return self._texts.get(name)

    def first_set(self, *names: str) -> str:
        """Return the first of these names that is set, else the last."""
        return next((name for name in names if name in self._texts), names[-1])

    def is_true(self, name: str) -> bool:
        """Return whether a variable is "true"; unset and not understood count as false."""
        return self.choice(name, ("true", "false")) == "true"

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        """Return a variable that is one of the lower-case ``choices``; None if unset or ignored."""
        text, allowed = self._texts.get(name, ""), list(choices)
        if text.lower() in allowed:
            return text.lower()
        if text:
            self.warn_ignored(name, text, ", ".join(allowed))
        return None

    def count(self, name: str) -> int | None:
        """Return a variable that is a whole number; None if unset or ignored."""
        text = self._texts.get(name)
        if text is None:
            return None
        if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS:
            return int(text)
        self.warn_ignored(name, text, "a whole number")
        return None

    def warn_ignored(self, name: str, text: str, wanted: str) -> None:
        """Warn, once, that a value is not understood and therefore ignored."""
        if (name, text) not in self._warned:
            self._warned.add((name, text))
            # Lists of pairs can hold tokens.
            value = "(not shown)" if wanted == PAIRS else text
            log.warning("variable not understood, ignored", variable=name, value=value, wanted=wanted)


def parse_pairs(text: str) -> list[tuple[str, str]] | None:
    """Parse ``name=value,…`` with percent-encoding; None if an item is invalid."""
    items = [item.partition("=") for item in text.split(",") if item.strip()]
    if any(not equals or not name.strip() for name, equals, _ in items):
        return None
    return [(unquote(name).strip(" \t"), unquote(value).strip(" \t")) for name, _, value in items]


def parse_number(text: str) -> float | None:
    """Parse a finite number; None if it is not one."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
