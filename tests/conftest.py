"""For all tests: with FAIL_ON_SKIP set, as in CI, a skipped test is a failed one, and no engine may lack."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.engine29 import is_built, why_no_engine_29

# No test depends on a clock. Where a change is judged, the same examples are drawn each time: whether it
# lands must not hang on luck; elsewhere new ones are.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("FAIL_ON_SKIP")),
)
settings.load_profile("project")


ONE_ENGINE = "Tested on one engine alone, Debian's"


def pytest_configure() -> None:
    """Refuse to judge a change by one engine."""
    if os.environ.get("FAIL_ON_SKIP") and (why := why_no_engine_29()):
        raise pytest.UsageError(f"{ONE_ENGINE}, and here it must be both. {why}")


def pytest_report_header() -> str:
    """Say which engines are tested."""
    if why := why_no_engine_29():
        return f"{ONE_ENGINE}. {why}"
    return f"engines: Debian's and Docker Engine 29{'' if is_built() else ', which takes minutes to build'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end, where it is read, that half of it was not tested."""
    if why := why_no_engine_29():
        terminalreporter.section(ONE_ENGINE, yellow=True)
        terminalreporter.line(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Turn a skip into a failure that names it."""
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get("FAIL_ON_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and here nothing may be: {report.longrepr}"
    return report
