"""Runs the containers of the torture, spread over its time, and removes them some time after they end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from bench.torture.plans import Plan, remove, run
from tests.lab.engine import PrivateEngine

_AT_ONCE = 16
_CLIENT_SECONDS = 60
_SWEEP_SECONDS = 2.0


def run_all(
    engine: PrivateEngine, plans: Sequence[Plan], truth: Path, seconds: float, dice: random.Random
) -> None:
    """Start all of them within so many seconds, at random moments."""
    client = docker.DockerClient(engine.url, timeout=_CLIENT_SECONDS, max_pool_size=_AT_ONCE)
    begun = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, plan in enumerate(plans):
            due = begun + seconds * (number + dice.random()) / len(plans)
            time.sleep(max(0, due - time.monotonic()))
            pool.submit(run, client, plan, truth)
    client.close()


class Sweeper:
    """Thread that removes containers that have stayed long enough."""

    def __init__(self, engine: PrivateEngine, plans: Sequence[Plan]) -> None:
        self._client = docker.DockerClient(engine.url, timeout=_CLIENT_SECONDS)
        self._plans = plans
        self._gone: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Remove no more."""
        self._over.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._over.wait(_SWEEP_SECONDS):
            self._sweep(lambda plan: time.time() > plan.asked_at + plan.seconds + plan.stay_seconds)

    def _sweep(self, is_due: Callable[[Plan], bool]) -> None:
        for plan in self._plans:
            if plan.asked_at and plan.name not in self._gone and is_due(plan) and remove(self._client, plan):
                self._gone.add(plan.name)
