"""How long ``wait`` bears a job that is not on record, and a server that is away or not ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter.cli import job_waiter
from exporter.cli.client import NotFoundError, UnavailableError, UnreachableError
from exporter.cli.job_waiter import JobWaiter, Limits, WaitTimeoutError

ENDED = {"id": "1", "status": "failed", "container_exit_code": 3}
RUNNING = ENDED | {"status": "running"}
START, AWAY = 10, 60
LIMITS = Limits(None, START, AWAY)


@dataclass
class Clock:
    """Time that passes only in pauses."""

    now: float = 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class ScriptedServer:
    """A server: ``at`` a time it has a job, or is ``away``, ``missing`` it, or ``starting`` (not ready)."""

    at: Callable[[float], Any]
    clock: Clock
    timeouts: list[float] = field(default_factory=list)
    timeout_seconds: float = 30

    def get(self, *_path: str, key: str) -> Any:
        self.timeouts.append(self.timeout_seconds)
        answer = self._answer()
        if isinstance(answer, str):
            raise NotFoundError("no job 'x' is on record")
        assert key in answer
        return answer

    def not_ready_reason(self) -> str | None:
        return "the engine is not listed yet" if self._answer() == "starting" else None

    def _answer(self) -> Any:
        answer = self.at(self.clock.now)
        if answer == "away":
            raise UnreachableError("no exit-exporter answers")
        return answer if isinstance(answer, str) else dict(answer)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(job_waiter, "time", clock)
    return clock


def code(server: ScriptedServer, limits: Limits = LIMITS) -> int:
    """Wait for one job; return its code."""
    waiter = JobWaiter(server, limits, lambda _warning: None)  # type: ignore[arg-type]  # has its methods
    return int(next(waiter.ends(["x"]))[1]["container_exit_code"])


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        ("missing", START - 1),
        ("away", AWAY - 1),
        ("starting", AWAY - 1),
        (RUNNING, 10_000),
    ],
)
def test_a_job_is_waited_for(clock: Clock, before: Any, seconds: float) -> None:
    assert code(ScriptedServer(lambda now: before if now < seconds else ENDED, clock)) == 3
    assert clock.now == seconds


@pytest.mark.parametrize(
    ("always", "seconds", "words"),
    [
        ("missing", START, "no job 'x' is on record"),
        ("away", AWAY, "no exit-exporter answers"),
        (
            "starting",
            AWAY,
            "no job 'x' is on record, and the exporter is not ready: the engine is not listed yet",
        ),
    ],
)
def test_waiting_for_nothing_ends(clock: Clock, always: str, seconds: float, words: str) -> None:
    with pytest.raises((NotFoundError, UnreachableError, UnavailableError)) as raised:
        code(ScriptedServer(lambda _now: always, clock))
    assert raised.value.message == words
    assert seconds <= clock.now <= seconds + 1


def test_one_line_tells_what_is_waited_for(clock: Clock) -> None:
    told: list[str] = []
    server = ScriptedServer(lambda now: "missing" if now < START - 1 else ENDED, clock)
    assert next(JobWaiter(server, LIMITS, told.append).ends(["x"]))  # type: ignore[arg-type]  # has its methods
    assert told == ["no job 'x' is on record. Waiting 10 s for it to appear."]


def test_a_job_has_its_time_to_start_after_the_server_came_back(clock: Clock) -> None:
    back, started = 50, 55
    server = ScriptedServer(
        lambda now: "away" if now < back else "missing" if now < started else ENDED, clock
    )
    assert code(server) == 3


def test_each_outage_has_its_own_time(clock: Clock) -> None:
    server = ScriptedServer(
        lambda now: ENDED if now > 10 * AWAY else "away" if now % AWAY > 1 else RUNNING, clock
    )
    assert code(server) == 3


@pytest.mark.parametrize("always", ["away", "starting", RUNNING])
def test_the_time_limit_holds_whatever_is_missing(clock: Clock, always: Any) -> None:
    with pytest.raises(WaitTimeoutError, match="x"):
        code(ScriptedServer(lambda _now: always, clock), Limits(5, START, AWAY))
    assert clock.now == 5


def test_an_answer_may_not_take_longer_than_the_time_limit(clock: Clock) -> None:
    server = ScriptedServer(lambda now: RUNNING if now < 4.5 else ENDED, clock)
    assert code(server, Limits(5, START, AWAY)) == 3
    assert (server.timeouts[0], server.timeouts[-1]) == (5, 1)
