"""Settings of all tests. With FAIL_ON_SKIP, as in CI, a skipped test fails, and both engines are required."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.lab.dstack_host import IN_NAMESPACE
from tests.lab.engine29 import is_built, why_no_engine_29
from tests.lab.lock import locked

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
SLOWEST = ("integration", "alerts", "browser", "dashboards")
"""Folders of tests that begin first, so that no worker ends long after the others."""

READ_THE_COUNTER_ALONE = ("tests/integration/test_ends_memory.py", "tests/integration/test_image.py")
"""Paths of the tests with an exporter that has no other witness of an OOM kill than the kernel's counter."""

KILL_FOR_MEMORY = (
    "tests/alerts/test_end_to_end.py",
    "tests/browser/test_live.py",
    *(
        f"tests/integration/test_{name}.py"
        for name in ("ci_docs", "compose", "docs", "ends", "ends_away", "outages", "traces", "transports")
    ),
)
"""Paths of the other tests in which a container is killed for memory."""

OOM_KILLS = Path(gettempdir(), "exit-exporter-tests-oom-kills.lock")
LOCK = pytest.StashKey[ExitStack]()
"""The lock of OOM kills, while this worker has it."""

GROUPS = {
    **dict.fromkeys((*READ_THE_COUNTER_ALONE, "tests/integration/test_compose.py"), "counter and image"),
    **dict.fromkeys(("tests/integration/test_ends.py", "tests/alerts/test_end_to_end.py"), "many OOM kills"),
    **dict.fromkeys(
        (
            f"tests/integration/test_{name}.py"
            for name in (
                "ci_docs",
                "dstack_stand_ins",
                "ends_requests",
                "engine_contract",
                "failed_starts",
                "least_privilege",
                "log_tails",
                "private_engine",
                "traces",
                "wait",
            )
        ),
        "engines",
    ),
}
"""Groups of several modules: see `GroupScheduling`."""

ONE_ENGINE = "Tested only on Debian's engine"


def pytest_configure() -> None:
    """Refuse to run with one engine if FAIL_ON_SKIP is set."""
    if os.environ.get("FAIL_ON_SKIP") and (why := why_no_engine_29()):
        raise pytest.UsageError(f"{ONE_ENGINE}; FAIL_ON_SKIP requires both. {why}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and of that with those for which others have to wait."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = _path(item)
    if path in READ_THE_COUNTER_ALONE:
        return 0
    if path.split("/")[1] in SLOWEST:
        return 2 if path in KILL_FOR_MEMORY else 1
    return 3


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS.parent).as_posix()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute whole groups of tests to the workers."""
    return GroupScheduling(config, log)


class GroupScheduling(LoadScopeScheduling):
    """Runs the tests of one group in one worker, in order.

    A group is a module, or several of `GROUPS`: those that share what is made once in a session (an engine of
    each kind, the project's image), and those that kill many for memory at once. Of these the kernel's log
    names no more than ten in five seconds, so that they run one after the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test."""
        path = nodeid.partition("::")[0]
        return GROUPS.get(path, path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Let nothing else be killed for memory on this machine while an exporter reads the counter alone.

    The kernel's counter does not say whose kill it counted. The exporters of all other tests read in the
    kernel's log who was killed, or do not read the kernel at all: OOM kills of others do not concern them.

    The lock is kept where the next module needs it in the same way: to get it again, that one would wait for
    all who have waited meanwhile.
    """
    stash, needed = item.session.stash, _needs_alone(item)
    if needed is not None and LOCK not in stash:
        stash[LOCK] = ExitStack()
        stash[LOCK].enter_context(locked(OOM_KILLS, shared=not needed))
    done = yield
    if LOCK in stash and (nextitem is None or _needs_alone(nextitem) is not needed):
        stash[LOCK].close()
        del stash[LOCK]
    return done


def _needs_alone(item: pytest.Item) -> bool | None:
    """Return whether a test needs the lock of OOM kills alone or with others; None if it needs none."""
    path = _path(item)
    return path in READ_THE_COUNTER_ALONE if path in (*READ_THE_COUNTER_ALONE, *KILL_FOR_MEMORY) else None


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
