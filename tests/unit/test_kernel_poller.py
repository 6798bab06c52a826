"""Times at which this machine's kernel is polled."""

import queue
import threading

import pytest
import structlog

from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.kernel.poller import KernelPoller
from exporter.sources.docker.kernel.reader import KernelReader

SECOND = 10**9
NOW = 1_000 * SECOND


class Kernel(KernelReader):
    """Kernel that has a new kill at each poll."""

    def __init__(self) -> None:
        self.polls = 0

    def poll(self) -> KernelReport | None:
        self.polls += 1
        return KernelReport(1, NOW)

    def poll_if_logged(self) -> KernelReport | None:
        return self.poll()

    def close(self) -> None:
        pass


class BrokenKernel(KernelReader):
    """Kernel whose reader fails until it is repaired."""

    def __init__(self) -> None:
        self.polls = queue.SimpleQueue[None]()
        self.repaired = False

    def poll(self) -> KernelReport | None:
        self.polls.put(None)
        if not self.repaired:
            raise ValueError("broken")
        return KernelReport(1, NOW)

    poll_if_logged = poll

    def close(self) -> None:
        pass


class QuietKernel(Kernel):
    """Kernel whose log has no line, so that its counter is not read at intervals."""

    def __init__(self) -> None:
        super().__init__()
        self.quiet_polls = queue.SimpleQueue[None]()

    def poll_if_logged(self) -> None:
        self.quiet_polls.put(None)


class Clock:
    """Clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def time_ns(self) -> int:
        return self.now_ns


def test_the_kernel_is_not_polled_again_for_an_earlier_event() -> None:
    kernel, clock = Kernel(), Clock()
    sent: list[KernelReport] = []
    poller = KernelPoller(lambda: kernel, sent.append, time_ns=clock.time_ns)
    poller.open()
    poller.poll(since_ns=NOW - SECOND)
    clock.now_ns += SECOND
    poller.poll(since_ns=NOW - SECOND // 2)
    assert (kernel.polls, len(sent)) == (1, 1)
    poller.poll(since_ns=NOW + SECOND // 2)
    assert (kernel.polls, len(sent)) == (2, 2)


def test_the_kernel_is_polled_after_the_clock_was_set_back() -> None:
    kernel, clock = Kernel(), Clock()
    poller = KernelPoller(lambda: kernel, lambda _: None, time_ns=clock.time_ns)
    poller.open()
    poller.poll(since_ns=NOW)
    clock.now_ns -= 3_600 * SECOND
    poller.poll(since_ns=clock.now_ns)
    assert kernel.polls == 2


def test_the_counter_is_read_for_an_event_from_before_a_poll_that_found_the_log_quiet() -> None:
    kernel = QuietKernel()
    sent: list[KernelReport] = []
    poller = KernelPoller(lambda: kernel, sent.append, interval=0.001, time_ns=lambda: NOW)
    poller.open()
    poller.start()
    for _ in range(2):
        kernel.quiet_polls.get(timeout=10)
    assert len(sent) == 1
    poller.poll(since_ns=NOW - 1)
    poller.close()
    assert len(sent) == 2


def test_an_error_of_the_reader_is_logged_once_and_ends_nothing() -> None:
    broken, sent = BrokenKernel(), queue.SimpleQueue[KernelReport]()
    poller = KernelPoller(lambda: broken, sent.put, interval=0.001)
    with structlog.testing.capture_logs() as logged:
        poller.open()
        poller.start()
        for _ in range(3):
            broken.polls.get(timeout=10)
        broken.repaired = True
        assert sent.get(timeout=10) == KernelReport(1, NOW)
        poller.close()
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [
        ("unexpected error while reading the kernel's counter and log", "error")
    ]


def test_a_closed_poller_can_be_opened_again() -> None:
    made: list[KernelReader] = []
    sent: list[KernelReport] = []

    def make() -> KernelReader:
        made.append(Kernel())
        return made[-1]

    poller = KernelPoller(make, sent.append, time_ns=lambda: NOW)
    for _ in range(2):
        poller.open()
        poller.open()
        poller.poll(since_ns=NOW)
        poller.close()
        poller.poll(since_ns=NOW)
    assert (len(made), len(sent)) == (2, 2)


def test_what_is_known_at_the_start_is_sent_at_once() -> None:
    sent: list[KernelReport] = []
    poller = KernelPoller(Kernel, sent.append, interval=3600)
    poller.open()
    poller.start()
    assert sent == [KernelReport(1, NOW)]
    poller.close()


def test_a_thread_that_could_not_be_started_is_started_with_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = queue.SimpleQueue[KernelReport]()
    poller = KernelPoller(Kernel, sent.put, interval=0.001)
    poller.open()
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            poller.start()
    poller.start()
    assert sent.get(timeout=10) == KernelReport(1, NOW)
    poller.close()


def no_thread(_thread: threading.Thread) -> None:
    """Fail as Python does at a limit of threads."""
    raise RuntimeError("can't start new thread")
