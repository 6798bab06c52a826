"""When this machine's kernel is asked."""

import pytest

from exporter.engines.kernel import KernelWitness
from exporter.engines.port import KernelKills
from exporter.watch import sampling
from exporter.watch.sampling import Sampling

SECOND = 10**9
NOW = 1_000 * SECOND


class Kernel(KernelWitness):
    """One that has killed something each time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self) -> KernelKills:
        self.asked += 1
        return KernelKills(1, (), NOW)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def time_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sampling, "time", clock)
    return clock


def test_the_kernel_is_not_asked_again_for_what_it_has_told_already(clock: Clock) -> None:
    kernel = Kernel()
    told: list[KernelKills] = []
    asking = Sampling(kernel, told.append)
    asking.ask(since_ns=NOW - SECOND)
    clock.now_ns += SECOND
    asking.ask(since_ns=NOW - SECOND // 2)
    assert (kernel.asked, len(told)) == (1, 1)
    asking.ask(since_ns=NOW + SECOND // 2)
    assert (kernel.asked, len(told)) == (2, 2)


def test_the_kernel_is_asked_also_when_the_clock_was_set_back(clock: Clock) -> None:
    kernel = Kernel()
    asking = Sampling(kernel, lambda _: None)
    asking.ask(since_ns=NOW)
    clock.now_ns -= 3_600 * SECOND
    asking.ask(since_ns=clock.now_ns)
    assert kernel.asked == 2
