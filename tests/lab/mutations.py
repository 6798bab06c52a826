"""Strategies for what is nearly right: valid bytes, texts and JSON with some of their parts changed."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from hypothesis import strategies as st

MOST_CHANGES = 3
_TOKEN = re.compile(r"[\w.-]+|\s+|.")
# Stand for no value, and for one that is nested without end.
_ABSENT = "\ue000"
_DEEP = "\ue001"
_DEEP_JSON = b"[" * 20_000
_ODD_NUMBERS = (0, -1, 1.5, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, math.inf, math.nan)
_ODD_TIMES = ("0001-01-01T00:00:00", "9999-12-31T23:59:59", "2026-02-30T00:00:00Z", "2262-04-11T23:47:16Z")
_ODD_TEXTS = ("", " ", "x", "\0", "\ud800", "é", "../info", "a b?c#d", "9" * 5000, "y" * 20_000)
_ODD_TABLES: tuple[Any, ...] = ([], {}, [[]], [None], {"": None}, {"a": {"a": []}}, [5, "x"])
_ODD_OTHERS = (None, True, False, _ABSENT, _DEEP)
ODD_VALUES = (*_ODD_OTHERS, *_ODD_NUMBERS, *_ODD_TIMES, *_ODD_TEXTS, *_ODD_TABLES)

Place = tuple[str | int, ...]


def mutated_json(value: Any) -> st.SearchStrategy[bytes]:
    """Return JSON in which some values are others, absent or nested without end."""
    changes = st.tuples(st.sampled_from(list(_places(value))), st.sampled_from(ODD_VALUES))
    return st.lists(changes, min_size=1, max_size=MOST_CHANGES).map(lambda chosen: _json(value, chosen))


def mutated_text(text: str, fragments: Sequence[str]) -> st.SearchStrategy[str]:
    """Return the text in which some words or signs are others, or have others before them, or cut short."""
    tokens = _TOKEN.findall(text)
    place = st.integers(0, len(tokens) - 1)
    changes = st.tuples(place, st.booleans(), st.sampled_from(["", *fragments]))
    end = st.one_of(st.none(), st.none(), st.none(), place)
    return st.builds(partial(_changed, tokens), st.lists(changes, max_size=MOST_CHANGES), end)


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of each value within a JSON value."""
    yield place
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*place, key))


def _json(value: Any, changes: Sequence[tuple[Place, Any]]) -> bytes:
    # The root by a key, so that it can be replaced as well.
    whole = {"": deepcopy(value)}
    for place, odd in changes:
        _replace(whole, ("", *place), odd)
    text = json.dumps(whole.get(""), separators=(",", ":")).encode()
    return text.replace(json.dumps(_DEEP).encode(), _DEEP_JSON)


def _replace(value: Any, place: Place, odd: Any) -> None:
    """Replace what is at a place, unless that is gone by an earlier change."""
    *way, last = place
    for step in way:
        value = _child(value, step)
    if _child(value, last) is None:
        return
    if odd == _ABSENT:
        del value[last]
    else:
        value[last] = deepcopy(odd)


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _changed(tokens: Sequence[str], changes: Sequence[tuple[int, bool, str]], end: int | None) -> str:
    changed = list(tokens)
    for place, is_kept, other in changes:
        changed[place] = other + (changed[place] if is_kept else "")
    return "".join(changed[:end])
