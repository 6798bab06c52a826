"""When this machine's kernel is asked."""

import queue

import pytest
import structlog

from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.kernel import poller as poller_module
from exporter.sources.docker.kernel.poller import KernelPoller
from exporter.sources.docker.kernel.reader import KernelReader

SECOND = 10**9
NOW = 1_000 * SECOND


class Kernel(KernelReader):
    """One that has killed something each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def poll(self) -> KernelReport:
        self.asked += 1
        return KernelReport(1, NOW)

    def close(self) -> None:
        pass


class Broken(KernelReader):
    """One that has a bug, until it is mended."""

    def __init__(self) -> None:
        self.asked = queue.SimpleQueue[bool]()
        self.mended = False

    def poll(self) -> KernelReport | None:
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
    monkeypatch.setattr(poller_module, "time", clock)
    return clock


def test_the_kernel_is_not_polled_again_for_an_earlier_event(clock: Clock) -> None:
    kernel = Kernel()
    told: list[KernelReport] = []
    poller = KernelPoller(lambda: kernel, told.append)
    poller.open()
    poller.poll(since_ns=NOW - SECOND)
    clock.now_ns += SECOND
    poller.poll(since_ns=NOW - SECOND // 2)
    assert (kernel.asked, len(told)) == (1, 1)
    poller.poll(since_ns=NOW + SECOND // 2)
    assert (kernel.asked, len(told)) == (2, 2)


def test_the_kernel_is_polled_after_the_clock_was_set_back(clock: Clock) -> None:
    kernel = Kernel()
    poller = KernelPoller(lambda: kernel, lambda _: None)
    poller.open()
    poller.poll(since_ns=NOW)
    clock.now_ns -= 3_600 * SECOND
    poller.poll(since_ns=clock.now_ns)
    assert kernel.asked == 2


def test_an_error_of_the_reader_is_logged_once_and_ends_nothing() -> None:
    broken, told = Broken(), queue.SimpleQueue[KernelReport]()
    poller = KernelPoller(lambda: broken, told.put, interval=0.001)
    with structlog.testing.capture_logs() as said:
        poller.open()
        poller.start()
        for _ in range(3):
            broken.asked.get(timeout=10)
        broken.mended = True
        assert told.get(timeout=10) == KernelReport(1, NOW)
        poller.close()
    assert [(entry["event"], entry["log_level"]) for entry in said] == [
        ("unexpected error while reading the kernel's counter and log", "error")
    ]


def test_a_closed_poller_can_be_opened_again(clock: Clock) -> None:
    made: list[KernelReader] = []
    told: list[KernelReport] = []

    def make() -> KernelReader:
        made.append(Kernel())
        return made[-1]

    poller = KernelPoller(make, told.append)
    for _ in range(2):
        poller.open()
        poller.open()
        poller.poll(since_ns=clock.now_ns)
        poller.close()
        poller.poll(since_ns=clock.now_ns)
    assert (len(made), len(told)) == (2, 2)
