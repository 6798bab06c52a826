"""Dataclass for the values that every event and every exit makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Return ``dataclass(frozen=True, slots=True)`` of a class, without the guard at run time.

    That no instance is changed, mypy checks. With the guard, Python takes several times as long to make one.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
