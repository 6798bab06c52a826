"""The Docker Engines that tests use: Debian's, and the newest."""

from collections.abc import Sequence

from tests.lab.engine import PrivateEngine
from tests.lab.engine29 import engine_29, why_no_engine_29
from tests.lab.install import ensure_dockerd

DEBIANS = "docker-20.10"
NEWEST = "docker-29"
KINDS = (DEBIANS, NEWEST)
AT_HAND = (DEBIANS,) if why_no_engine_29() else KINDS
"""Engines that this machine can run."""


def new_engine(kind: str, extra_args: Sequence[str] = (), *, own_network: bool = False) -> PrivateEngine:
    """Return an engine of a kind, not started; installing its programs may take minutes."""
    # Also for the newest: the images use Debian's busybox.
    ensure_dockerd()
    programs = engine_29() if kind == NEWEST else None
    return PrivateEngine(extra_args=extra_args, programs=programs, own_network=own_network)
