"""Text from outside, made fit to be shown: whatever an engine or a kernel tells comes in by this door."""

from __future__ import annotations

import re

# Characters that are not seen: two texts look alike by them, or one is shown in another order than read.
# As they stand in a regular expression, between brackets.
UNSEEN = (
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
# Control characters, lone surrogates, and what is not seen.
_ERASE = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{UNSEEN}]")


def clean(value: object) -> str:
    """Text that metrics, JSON and a terminal can bear, and a reader can trust: all of it is seen."""
    return _seen(str(value)[:MAX_TEXT])


def clean_error(text: str) -> str:
    """An engine's error, cleaned: it ends with its cause, so that a long one loses its middle."""
    if len(text) <= MAX_ERROR:
        return _seen(text)
    end = (MAX_ERROR - len(_CUT)) // 2
    return _seen(text[: MAX_ERROR - len(_CUT) - end] + _CUT + text[-end:])


def _seen(text: str) -> str:
    return _ERASE.sub("\ufffd", text)
