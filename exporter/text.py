"""Sanitizing of text from outside: all text from an engine or a kernel passes through here."""

from __future__ import annotations

import re

# Invisible characters: they make different texts look alike, or change the order in which a text is shown.
# In the syntax of a regular expression, between brackets.
INVISIBLE = (
    # Unicode's Default_Ignorable_Code_Point: soft hyphens, fillers, zero-width characters, directional
    # marks, overrides and isolates, variation selectors, tags.
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
    # Line and paragraph separators, the braille pattern without dots, annotations between lines.
    r"\u2028\u2029\u2800\ufff9-\ufffb"
)

MAX_TEXT = 512
MAX_ERROR = 2000
_CUT = " … "
# Control characters, lone surrogates and invisible characters.
_REPLACED = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{INVISIBLE}]")


def sanitize(value: object) -> str:
    """Return text that is safe in metrics, JSON and a terminal, without invisible characters, and bounded."""
    # Nearly all text is plain, and every event has some.
    if isinstance(value, str) and len(value) <= MAX_TEXT and value.isascii() and value.isprintable():
        return value
    return _replace(str(value)[:MAX_TEXT])


def sanitize_error(text: str) -> str:
    """Return an engine's error, sanitized. A long one loses its middle, since the cause is at the end."""
    return _replace(shortened(text, MAX_ERROR))


def printable(text: str) -> str:
    """Return text of any length as one line that is safe in a terminal."""
    return _replace(text)


def printable_lines(text: str) -> str:
    """Return text of any length as lines that are safe in a terminal."""
    return "\n".join(map(_replace, text.split("\n")))


def shortened(text: str, length: int) -> str:
    """Return text of at most ``length`` characters. A long one loses its middle."""
    if len(text) <= length:
        return text
    end = (length - len(_CUT)) // 2
    return text[: length - len(_CUT) - end] + _CUT + text[-end:]


def _replace(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return _REPLACED.sub("\ufffd", text)
