"""Text from outside, made fit to be shown: whatever an engine or a kernel tells comes in by this door."""

from __future__ import annotations

import re

from exporter.unseen import UNSEEN

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
