"""The containers of the torture: how each is meant to end, and what it writes down about that by itself."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.lab.images import BUSYBOX

KILLED_CODE = 137
CODES = (0, 0, 0, 1, 2, 3, 42, 64, 77, 126, 255)
_WAYS = ("exit", "oom", "kill")
_WEIGHTS = (0.75, 0.1, 0.15)
_LONGEST_RUN_SECONDS = 3
_LONGEST_STAY_SECONDS = 120.0


class Way(StrEnum):
    """How a container is meant to end."""

    EXIT = "exit"
    OOM = "oom"
    KILL = "kill"


@dataclass(slots=True)
class Plan:
    """One container; its workload has its name, so that its series tell how often it was counted.

    ``seconds`` is how long it runs, ``stay_seconds`` how long it stays after that if it is not removed at
    once. ``asked_at`` is when the engine was asked to start it, 0 before.
    """

    name: str
    way: Way
    code: int
    removed: bool
    seconds: int
    stay_seconds: float
    asked_at: float = field(default=0.0)

    def script(self) -> str:
        """Return what it runs: it writes down that it began, and with which code it is about to end."""
        begin = f"echo > /truth/{self.name}.began; "
        note = f"sleep {self.seconds}; echo {self.code} > /truth/{self.name}.ended; "
        if self.way is Way.OOM:
            return begin + note + HUNGRY
        return begin + ("sleep 1000" if self.way is Way.KILL else f"{note}exit {self.code}")


def draw_plans(dice: random.Random, count: int) -> list[Plan]:
    """Return so many containers, half of them with ``--rm``."""
    return [_draw(dice, number) for number in range(count)]


def _draw(dice: random.Random, number: int) -> Plan:
    way = Way(dice.choices(_WAYS, _WEIGHTS)[0])
    return Plan(
        name=f"torture-{number:05}",
        way=way,
        code=dice.choice(CODES) if way is Way.EXIT else KILLED_CODE,
        removed=dice.random() < 1 / 2,
        seconds=dice.randrange(_LONGEST_RUN_SECONDS + 1),
        stay_seconds=dice.uniform(1, _LONGEST_STAY_SECONDS),
    )


def run(client: DockerClient, plan: Plan, truth: Path) -> None:
    """Start one; kill it in the end if that is its way. An engine that is away leaves it as it is."""
    try:
        container = client.containers.create(
            BUSYBOX,
            ["sh", "-c", plan.script()],
            name=plan.name,
            network_mode="none",
            auto_remove=plan.removed,
            volumes={str(truth): {"bind": "/truth", "mode": "rw"}},
            labels={"exit-exporter.workload": plan.name},
            mem_limit=16 * MEBIBYTE,
            memswap_limit=16 * MEBIBYTE,
        )
        plan.asked_at = time.time()
        container.start()
    except (DockerException, RequestException):
        return
    if plan.way is Way.KILL:
        time.sleep(plan.seconds)
        _kill(client, plan, truth)


def _kill(client: DockerClient, plan: Plan, truth: Path) -> None:
    try:
        client.api.kill(plan.name)
    except (DockerException, RequestException):
        # What ends with its engine, or is killed at the end of the torture, writes down nothing.
        return
    (truth / f"{plan.name}.ended").write_text(f"{plan.code}\n")


def remove(client: DockerClient, plan: Plan) -> bool:
    """Remove one that has ended; return whether it is gone. One that runs with no way to end is killed."""
    try:
        state = client.api.inspect_container(plan.name)["State"]
        if state["Running"] and plan.way is Way.KILL:
            client.api.kill(plan.name)
        elif not state["Running"]:
            client.api.remove_container(plan.name)
            return True
    except APIError as error:
        return error.response is not None and error.response.status_code == 404  # noqa: PLR2004  # not found
    except (DockerException, RequestException):
        return False
    return False
