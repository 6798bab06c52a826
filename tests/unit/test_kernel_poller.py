"""When this machine's kernel is asked."""

import queue

import pytest
import structlog

from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.kernel import poller
from exporter.sources.docker.kernel.poller import KernelPoller
from exporter.sources.docker.kernel.reader import KernelReader

SECOND = 10**9
NOW = 1_000 * SECOND


class Kernel(KernelReader):
    """One that has killed something each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self) -> KernelReport:
        self.asked += 1
        return KernelReport(1, NOW)

    def close(self) -> None:
        pass


class Broken(KernelReader):
    """One that has a bug, until it is mended."""

    def __init__(self) -> None:
        self.asked = queue.SimpleQueue[bool]()
        self.mended = False

    def ask(self) -> KernelReport | None:
        self.asked.put(self.mended)
        if not self.mended:
            raise ValueError("a bug")
        return KernelReport(1, NOW)

    def close(self) -> None:
        pass


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def time_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(poller, "time", clock)
    return clock


def test_the_kernel_is_not_asked_again_for_what_it_has_told_already(clock: Clock) -> None:
    kernel = Kernel()
    told: list[KernelReport] = []
    asking = KernelPoller(lambda: kernel, told.append)
    asking.open()
    asking.ask(since_ns=NOW - SECOND)
    clock.now_ns += SECOND
    asking.ask(since_ns=NOW - SECOND // 2)
    assert (kernel.asked, len(told)) == (1, 1)
    asking.ask(since_ns=NOW + SECOND // 2)
    assert (kernel.asked, len(told)) == (2, 2)


def test_the_kernel_is_asked_also_when_the_clock_was_set_back(clock: Clock) -> None:
    kernel = Kernel()
    asking = KernelPoller(lambda: kernel, lambda _: None)
    asking.open()
    asking.ask(since_ns=NOW)
    clock.now_ns -= 3_600 * SECOND
    asking.ask(since_ns=clock.now_ns)
    assert kernel.asked == 2


def test_a_bug_in_the_witness_is_said_once_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "KERNEL_SECONDS", 0.001)
    broken, told = Broken(), queue.SimpleQueue[KernelReport]()
    asking = KernelPoller(lambda: broken, told.put)
    with structlog.testing.capture_logs() as said:
        asking.open()
        asking.start()
        for _ in range(3):
            broken.asked.get(timeout=10)
        broken.mended = True
        assert told.get(timeout=10) == KernelReport(1, NOW)
        asking.close()
    assert [(entry["event"], entry["log_level"]) for entry in said] == [
        ("a bug while asking the kernel", "error")
    ]


def test_a_poller_that_is_closed_can_be_opened_again(clock: Clock) -> None:
    made: list[KernelReader] = []
    told: list[KernelReport] = []

    def make() -> KernelReader:
        made.append(Kernel())
        return made[-1]

    asking = KernelPoller(make, told.append)
    for _ in range(2):
        asking.open()
        asking.open()
        asking.ask(since_ns=clock.now_ns)
        asking.close()
        asking.ask(since_ns=clock.now_ns)
    assert (len(made), len(told)) == (2, 2)
