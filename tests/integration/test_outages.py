"""Exact through outages, on a real engine: what is counted is what the containers themselves wrote down.

``BURST=300 OUTAGES=20 python -m pytest tests/integration/test_outages.py`` is the whole of it; without
the variables it is smaller, so that everybody runs it. ``SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import docker
import pytest
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.integration import faces
from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.lab.engine import PrivateEngine, remove_all
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.install import ensure_dockerd
from tests.lab.wait import wait_until

CONTAINERS = int(os.environ.get("BURST", "36"))
OUTAGES = int(os.environ.get("OUTAGES", "5"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(10**6))
AT_ONCE = 4
CODES = (0, 0, 1, 3, 42, 77)
OOM_SHARE = 0.1
# An engine remembers 256 events, and a container with --rm makes seven.
RING = 256
WITHIN_THE_RING = 20
# What begins before the next time that the exporter is seen ready. An exporter that is killed right then may
# not have recorded what began before it, so that twice this and those AT_ONCE have to fit.
WITHIN_HALF_THE_RING = 12
MOSTLY = 0.8
SECONDS = 120


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """An engine of its own: these tests restart it."""
    ensure_dockerd()
    with PrivateEngine() as private:
        import_busybox(private.client())
        yield private


@pytest.fixture(autouse=True)
def _empty(engine: PrivateEngine) -> Iterator[None]:
    """Leave no container to the next test, whose exporter would count it."""
    yield
    remove_all(engine.client())


@pytest.fixture
def dice() -> random.Random:
    """What decides; its seed is printed where a test fails."""
    sys.stdout.write(f"SEED={SEED}\n")
    return random.Random(SEED)  # noqa: S311  # not a secret


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Where containers write down how they end."""
    directory = tmp_path / "truth"
    directory.mkdir()
    return directory


@dataclass(frozen=True)
class Plan:
    """One container: how it ends, and whether it goes then."""

    name: str
    code: int
    starves: bool
    removed: bool

    @property
    def script(self) -> str:
        """What it runs: it writes its code down, and then ends with it."""
        note = f"echo {self.name} {self.code} >> /truth/{self.name}; "
        # Its shell outlives what was killed for memory, and says so with its code.
        return note + (f"sh -c '{HUNGRY}'; exit {self.code}" if self.starves else f"exit {self.code}")


def plans(dice: random.Random, count: int, title: str) -> list[Plan]:
    """So many containers, half of them with --rm, their ends mixed."""
    return [
        Plan(
            f"{title}-{number}",
            dice.choice(CODES),
            starves=dice.random() < OOM_SHARE,
            removed=number % 2 == 0,
        )
        for number in range(count)
    ]


def run(client: docker.DockerClient, plan: Plan, truth: Path) -> None:
    """Run one of them to its end."""
    container = client.containers.create(
        BUSYBOX,
        ["sh", "-c", plan.script],
        name=plan.name,
        network_mode="none",
        auto_remove=plan.removed,
        volumes={str(truth): {"bind": "/truth", "mode": "rw"}},
        labels={"exit-exporter.workload": "burst"},
        mem_limit=16 * MEBIBYTE if plan.starves else None,
        memswap_limit=16 * MEBIBYTE if plan.starves else None,
    )
    container.start()
    try:
        container.wait(timeout=SECONDS)
    except APIError:
        # With --rm it may be gone before it is asked for.
        return


def written_down(truth: Path) -> Counter[str]:
    """How many containers say that they ended with each code."""
    return Counter(file.read_text().split()[1] for file in truth.iterdir())


def counted(exporter: ExporterProcess) -> Counter[str]:
    """How many exits were counted with each code."""
    found: Counter[str] = Counter()
    for (_, code, _), value in faces.exits(exporter, "burst").items():
        found[code] += int(value)
    return found


def gaps(exporter: ExporterProcess) -> float:
    """How often events were missed."""
    return sum(faces.samples(exporter, "exit_exporter_event_gaps_total").values())


@contextmanager
def killed_now_and_then(exporter: ExporterProcess, dice: random.Random, done: Counter[str]) -> Iterator[None]:
    """Kill it with SIGKILL at random moments and start it again, not later than the ring reaches."""
    over = Event()

    def kill() -> None:
        while not over.wait(dice.uniform(0.2, 1.5)):
            exporter.kill()
            done["kills"] += 1
            time.sleep(dice.uniform(0, 0.3))
            exporter.start()
            if dice.random() < MOSTLY:
                # Killed over and over while it starts, it would be away longer than the ring reaches.
                wait_until(lambda: is_ready(exporter) or over.is_set(), SECONDS)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def is_ready(exporter: ExporterProcess) -> bool:
    """Whether it says so."""
    try:
        return exporter.get("/-/ready").ok
    except RequestException:
        return False


def burst(client: docker.DockerClient, some: list[Plan], truth: Path) -> None:
    """Run all of these, a few at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda plan: run(client, plan, truth), some))


def bursts(client: docker.DockerClient, some: list[Plan], truth: Path, exporter: ExporterProcess) -> None:
    """Run all of these, but no more than the engine remembers for an exporter that is slow to start."""
    for begin in range(0, len(some), WITHIN_HALF_THE_RING):
        assert wait_until(lambda: is_ready(exporter), SECONDS)
        burst(client, some[begin : begin + WITHIN_HALF_THE_RING], truth)


def overrun_the_ring(client: docker.DockerClient) -> None:
    """Let the engine forget all events before now: those of volumes push them out, and cost little."""
    for _ in range(RING // 2):
        client.api.remove_volume(client.api.create_volume()["Name"])


def assert_equal_in_the_end(exporter: ExporterProcess, truth: Path) -> None:
    """What is counted comes to be what was written down, and stays it."""
    exporter.await_ready()
    wait_until(lambda: counted(exporter).total() >= written_down(truth).total(), SECONDS)
    assert counted(exporter) == written_down(truth), f"SEED={SEED}"


def test_a_burst_is_counted_exactly_while_the_exporter_is_killed_over_and_over(
    engine: PrivateEngine, tmp_path: Path, dice: random.Random, truth: Path
) -> None:
    done = Counter[str]()
    with ExporterProcess(engine.url, tmp_path) as exporter:
        title, number = "burst", 0
        while done["kills"] < OUTAGES or number * CONTAINERS == 0:
            with killed_now_and_then(exporter, dice, done):
                bursts(engine.client(), plans(dice, CONTAINERS, f"{title}{number}"), truth, exporter)
            number += 1
        assert_equal_in_the_end(exporter, truth)
        assert gaps(exporter) == 0, f"SEED={SEED}"
    sys.stdout.write(f"{written_down(truth).total()} containers, {done['kills']} kills\n")


def test_what_ends_while_the_exporter_is_away_is_found_when_it_is_back(
    engine: PrivateEngine, tmp_path: Path, dice: random.Random, truth: Path
) -> None:
    with ExporterProcess(engine.url, tmp_path) as exporter:
        burst(engine.client(), plans(dice, 2, "before"), truth)
        assert wait_until(lambda: counted(exporter).total() == 2, SECONDS)
        exporter.kill()
        burst(engine.client(), plans(dice, WITHIN_THE_RING, "away"), truth)
        exporter.start()
        assert_equal_in_the_end(exporter, truth)
        recovered = faces.samples(exporter, "exit_exporter_exits_recovered_total")
        assert sum(recovered.values()) == WITHIN_THE_RING
        assert gaps(exporter) == 0


def test_what_is_beyond_the_engines_memory_is_said_and_nothing_is_counted_twice(
    engine: PrivateEngine, tmp_path: Path, dice: random.Random, truth: Path
) -> None:
    away = plans(dice, 10, "beyond")
    with ExporterProcess(engine.url, tmp_path) as exporter:
        burst(engine.client(), plans(dice, 2, "first"), truth)
        assert wait_until(lambda: counted(exporter).total() == 2, SECONDS)
        exporter.kill()
        burst(engine.client(), away, truth)
        overrun_the_ring(engine.client())
        exporter.start()
        exporter.await_ready()
        kept = [plan for plan in away if not plan.removed]
        assert wait_until(lambda: counted(exporter).total() >= 2 + len(kept), SECONDS)
        assert counted(exporter) <= written_down(truth)
        assert gaps(exporter) == 1
        names = {job["name"] for job in exporter.jobs()}
        assert {plan.name for plan in kept} <= names
        # Once it has been said, an engine that is as it was is no gap again.
        before = counted(exporter)
        exporter.stop()
        exporter.start()
        exporter.await_ready()
        assert (counted(exporter), gaps(exporter)) == (before, 1)


def test_restarts_that_nobody_saw_are_counted_as_unknown(engine: PrivateEngine, tmp_path: Path) -> None:
    client = engine.client()
    with ExporterProcess(engine.url, tmp_path) as exporter:
        container = client.containers.create(
            BUSYBOX,
            ["sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 5"],
            name="restarts",
            network_mode="none",
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
            labels={"exit-exporter.workload": "burst"},
        )
        container.start()
        assert wait_until(lambda: len(exporter.jobs()) == 1, SECONDS)
        exporter.kill()
        container.exec_run(["touch", "/go"])
        assert wait_until(lambda: not is_running(client, "restarts"), SECONDS)
        overrun_the_ring(client)
        exporter.start()
        exporter.await_ready()
        rows = [job for job in exporter.jobs() if job["name"] == "restarts"]
        assert [row["container_exit_code"] for row in rows] == [5, None, None, None]
        assert {row["reason"] for row in rows[1:]} == {"Unknown"}


def test_a_burst_through_kills_of_both_counts_nothing_twice_and_says_what_it_cannot_know(
    engine: PrivateEngine, tmp_path: Path, dice: random.Random, truth: Path
) -> None:
    done = Counter[str]()
    some = plans(dice, CONTAINERS, "both")
    with ExporterProcess(engine.url, tmp_path) as exporter:
        with killed_now_and_then(exporter, dice, done):
            for half in (some[: CONTAINERS // 2], some[CONTAINERS // 2 :]):
                stopped = Thread(target=crash_in_a_moment, args=(engine, dice.uniform(1, 3)))
                stopped.start()
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    list(pool.map(lambda plan: run_if_it_can(engine, plan, truth), half))
                stopped.join()
        exporter.await_ready()
        wait_until(lambda: counted(exporter).total() >= written_down(truth).total(), 10)
        found = counted(exporter)
        # Afterwards: what was started just before a crash may have ended meanwhile. It writes down first.
        true = written_down(truth)
        unknown = found.pop("unknown", 0) + found.pop("255", 0)
        # Killed with the engine in the middle of its start, a container may write nothing down.
        assert found <= true, f"SEED={SEED}"
        assert found.total() + unknown >= true.total() or gaps(exporter) > 0, f"SEED={SEED}"
        rows = [(job["container_id"], job["started_at"]) for job in exporter.jobs() if job["started_at"]]
        assert len(rows) == len(set(rows)), f"SEED={SEED}"


def crash_in_a_moment(engine: PrivateEngine, seconds: float) -> None:
    """Kill the engine with SIGKILL in the middle of what it does, and start it again."""
    time.sleep(seconds)
    engine.kill()
    engine.start()


def run_if_it_can(engine: PrivateEngine, plan: Plan, truth: Path) -> None:
    """Run one of them, unless the engine is away."""
    try:
        run(engine.client(), plan, truth)
    except (DockerException, RequestException):
        # It was away when it was asked; the container may have been created, started, or neither.
        time.sleep(0.5)


def is_running(client: docker.DockerClient, name: str) -> bool:
    """Whether it runs, or will by itself."""
    state = client.api.inspect_container(name)["State"]
    return bool(state["Running"] or state["Restarting"])


def test_what_an_engine_lost_with_its_host_is_lost_with_the_host(
    engine: PrivateEngine, tmp_path: Path
) -> None:
    with ExporterProcess(engine.url, tmp_path) as exporter:
        container = engine.client().containers.create(
            BUSYBOX,
            ["sleep", "1000"],
            name="lost",
            network_mode="none",
            labels={"exit-exporter.workload": "burst"},
        )
        container.start()
        assert wait_until(lambda: bool(exporter.jobs(status="running")), SECONDS)
        engine.crash()
        engine.start()
        assert wait_until(lambda: not exporter.jobs(status="running"), SECONDS)
        (row,) = [job for job in exporter.jobs() if job["name"] == "lost"]
        assert (row["status"], row["reason"], row["termination"]) == ("failed", "HostLost", "INSTANCE_LOST")
        exporter.await_ready()


def test_an_engine_that_is_restarted_in_the_middle_loses_nothing_that_is_still_there(
    engine: PrivateEngine, tmp_path: Path, dice: random.Random, truth: Path
) -> None:
    with ExporterProcess(engine.url, tmp_path) as exporter:
        burst(engine.client(), plans(dice, 10, "old"), truth)
        assert wait_until(lambda: counted(exporter).total() == 10, SECONDS)
        engine.kill()
        engine.start()
        burst(engine.client(), plans(dice, 10, "new"), truth)
        assert_equal_in_the_end(exporter, truth)
