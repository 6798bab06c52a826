"""Settings of all tests. With FAIL_ON_SKIP, as in CI, a skipped test fails, and both engines are required."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.engine29 import is_built, why_no_engine_29

# No test depends on a clock. In CI, Hypothesis draws the same examples each time, so that a change does not
# fail by chance; elsewhere it draws new ones.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("FAIL_ON_SKIP")),
)
settings.load_profile("project")


ONE_ENGINE = "Tested only on Debian's engine"


def pytest_configure() -> None:
    """Refuse to run with one engine if FAIL_ON_SKIP is set."""
    if os.environ.get("FAIL_ON_SKIP") and (why := why_no_engine_29()):
        raise pytest.UsageError(f"{ONE_ENGINE}; FAIL_ON_SKIP requires both. {why}")


def pytest_report_header() -> str:
    """Report which engines are tested."""
    if why := why_no_engine_29():
        return f"{ONE_ENGINE}. {why}"
    return f"engines: Debian's and Docker Engine 29{'' if is_built() else ', which takes minutes to build'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report at the end that one engine was not tested."""
    if why := why_no_engine_29():
        terminalreporter.section(ONE_ENGINE, yellow=True)
        terminalreporter.line(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Turn a skipped test into a failed one."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get("FAIL_ON_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which FAIL_ON_SKIP forbids: {report.longrepr}"
    return report
