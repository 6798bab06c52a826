"""Prometheus and Alertmanager are installed once."""

from __future__ import annotations

import pytest

from tests.lab.install import ensure_prometheus


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    ensure_prometheus()
