"""Sizes of memory as text."""

from __future__ import annotations

_MIB, _GIB = 1 << 20, 1 << 30
_SMALL = 10


def format_bytes(in_bytes: int) -> str:
    """Return a size in MiB, or in GiB from 1 GiB on."""
    unit, name = (_GIB, "GiB") if in_bytes >= _GIB else (_MIB, "MiB")
    value = in_bytes / unit
    return f"{round(value, 2 if value < _SMALL else 1):,g} {name}"
