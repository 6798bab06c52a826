"""Settings of all tests. With FAIL_ON_SKIP, as in CI, a skipped test fails, and both engines are required."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.lab.dstack_host import IN_NAMESPACE
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


TESTS = Path(__file__).parent
# The real dstack needs namespaces of its own, which `make test-dstack` makes.
collect_ignore = [] if os.environ.get(IN_NAMESPACE) else ["dstack"]
SLOWEST = ("integration", "alerts", "contract")
"""Folders of tests that begin first, so that no worker ends long after the others."""

ON_ENGINES = ("tests/integration/", "tests/browser/test_live.py", "tests/alerts/test_end_to_end.py")
"""Paths of the tests that run real engines."""

NEVER_OUT_OF_MEMORY = tuple(
    f"tests/integration/test_{name}.py"
    for name in ("ends_requests", "engine_contract", "failed_starts", "log_tails", "private_engine")
)
"""Those of them in which no container is killed for memory, and none must be seen to be."""

ONE_ENGINE = "Tested only on Debian's engine"


def pytest_configure() -> None:
    """Refuse to run with one engine if FAIL_ON_SKIP is set."""
    if os.environ.get("FAIL_ON_SKIP") and (why := why_no_engine_29()):
        raise pytest.UsageError(f"{ONE_ENGINE}; FAIL_ON_SKIP requires both. {why}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that take longest."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    return SLOWEST.index(folder) if folder in SLOWEST else len(SLOWEST)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute whole groups of tests to the workers."""
    return GroupScheduling(config, log)


class GroupScheduling(LoadScopeScheduling):
    """Runs the tests of one group in one worker, in order.

    Tests on real engines share the engines of a session. And some kill containers for memory: an exporter
    beside them that cannot read the kernel's log would learn of that from the kernel's counter, which does
    not say whose kill it was. So all that kill, and all that must not see it, run in one worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test."""
        path = nodeid.partition("::")[0]
        if path.startswith(NEVER_OUT_OF_MEMORY):
            return "engines"
        return "engines and memory" if path.startswith(ON_ENGINES) else path


def pytest_report_header() -> str:
    """Report which engines are tested."""
    if os.environ.get(IN_NAMESPACE):
        return "engine: Debian's, as the host of dstack's fleet"
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
