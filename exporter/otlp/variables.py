"""The standard ``OTEL_…`` variables as text: trimmed, an empty one is none, each complaint is said once.

Other programs of a host may share them: what is only not understood is warned of and left aside, as their
specification says; what would lose every trace is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import structlog

log = structlog.get_logger(__name__)

PAIRS = "NAME=VALUE,NAME=VALUE with percent-encoding"


class OtelConfigError(Exception):
    """What the variables ask for cannot be done; the text names the variable and what to do."""


class Variables:
    """All of them. Raises OtelConfigError where one is no text in any language."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._texts = {
            name: value.strip()
            for name, value in environment.items()
            if name.startswith("OTEL_") and value.strip()
        }
        for name, value in self._texts.items():
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise OtelConfigError(f"{name}: is not UTF-8")
        self._said: set[tuple[str, str]] = set()

    def get(self, name: str) -> str | None:
        """The text of one."""
        return self._texts.get(name)

    def first(self, *names: str) -> str:
        """The first of these that is set, else the last."""
        return next((name for name in names if name in self._texts), names[-1])

    def is_true(self, name: str) -> bool:
        """Whether it says so; what is not understood says no."""
        return self.known(name, ("true", "false")) == "true"

    def known(self, name: str, known: Iterable[str]) -> str | None:
        """A word of a closed set; None where there is none or it is not in it."""
        text, words = self._texts.get(name, ""), list(known)
        if text and text.lower() not in words:
            self.ignored(name, text, ", ".join(words))
        return text.lower() if text.lower() in words else None

    def count(self, name: str) -> int | None:
        """A whole number; None where there is none."""
        text = self._texts.get(name)
        # int() refuses what has thousands of digits.
        if text is None or (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
            return None if text is None else int(text)
        self.ignored(name, text, "a whole number")
        return None

    def ignored(self, name: str, text: str, wanted: str) -> None:
        """Say, once, that it is left aside."""
        if (name, text) not in self._said:
            self._said.add((name, text))
            log.warning("variable not understood, ignored", variable=name, value=text, wanted=wanted)


_DIGITS = 9


def pairs(text: str) -> list[tuple[str, str]] | None:
    """``name=value,…`` with percent-encoding; None where an item is none."""
    items = [item.partition("=") for item in text.split(",") if item.strip()]
    if any(not equals or not name.strip() for name, equals, _ in items):
        return None
    return [(unquote(name).strip(" \t"), unquote(value).strip(" \t")) for name, _, value in items]


def number(text: str) -> float | None:
    """A number; None where it is none, or infinite."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
