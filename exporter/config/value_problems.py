"""What is wrong with a value, in words for users: pydantic's own are for programmers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from exporter.redaction import quoted
from exporter.text import shortened

_MAX_SHOWN = 60
_WHOLE = "is not a whole number"
_LIST = "must be a list"
_BOOLEAN = "is neither true nor false"
# Each is put behind the value, with what pydantic has of the rule.
_OF_VALUE: Mapping[str, str] = {
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "int_type": _WHOLE,
    "finite_number": _WHOLE,
    "bool_parsing": _BOOLEAN,
    "bool_type": _BOOLEAN,
    "uuid_parsing": "is not a UUID",
    "uuid_type": "is not a UUID",
    "enum": "is not one of {expected}",
    "literal_error": "is not one of {expected}",
    "greater_than_equal": "is too small; the minimum is {ge}",
    "less_than_equal": "is too large; the maximum is {le}",
}
# Of these the value is not shown: it can be long, or a secret in a wrong place.
_OF_PLACE: Mapping[str, str] = {
    "missing": "is missing",
    "model_type": "expected 'name: value' lines",
    "dict_type": "expected 'name: value' lines",
    "string_type": "must be text; put it in quotes",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "too_short": "is empty",
    "too_long": "has more than {max_length} items",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
}


def cause_of(detail: ErrorDetails) -> str:
    """Return what is wrong with a value that pydantic has refused."""
    rule: dict[str, Any] = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "int_type" and isinstance(detail["input"], str):
        return f"{shown(detail['input'])} is text; write it without quotes"
    if kind in _OF_VALUE:
        return f"{shown(detail['input'])} {_OF_VALUE[kind].format(**rule)}"
    if kind in _OF_PLACE:
        return _OF_PLACE[kind].format(**rule)
    return detail["msg"].removeprefix("Value error, ")


def shown(value: object) -> str:
    """Return a value as people write it, shortened, and without what can be a secret in a URL."""
    match value:
        case None:
            return "an empty value"
        case bool():
            return str(value).lower()
        case list():
            # What is in it can be long, or a secret in a wrong place.
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return shortened(quoted(value), _MAX_SHOWN)
