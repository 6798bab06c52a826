"""Imports of libraries that a dependency makes for features that are not used here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_installed(package: str) -> Iterator[None]:
    """Make imports of a package fail as if it were not installed, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # documented by the import system
    try:
        yield
    finally:
        del sys.modules[package]
