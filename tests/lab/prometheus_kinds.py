"""The versions of Prometheus that tests use: Debian's, and the newest."""

from pathlib import Path

import pytest

from tests.lab.install import ensure_prometheus
from tests.lab.prometheus3 import prometheus_3, why_no_prometheus_3

DEBIANS = "prometheus-2"
NEWEST = "prometheus-3"
_WHY_NOT = why_no_prometheus_3()
KINDS = (
    DEBIANS,
    pytest.param(NEWEST, marks=pytest.mark.skipif(_WHY_NOT is not None, reason=_WHY_NOT or "")),
)
"""Parameters of a test or a fixture; where there is no newest one, its tests are skipped with the reason."""


def programs_of(kind: str) -> Path | None:
    """Return the folder of the programs of a kind, None for Debian's; installing them may take minutes."""
    ensure_prometheus()
    return prometheus_3() if kind == NEWEST else None
