"""Scenarios that are recorded on a real engine: how each job is started, and what is done to it."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from docker import APIClient

Act: TypeAlias = Callable[[APIClient, str], None]

SETTLE_SECONDS = 0.5
"""Seconds before something is done to a job: enough for a shell to set its traps."""

EATS_MEMORY = "dd if=/dev/zero of=/dev/null bs=256M count=1"
SLEEPS = ("sleep", "60")
SMALL: Mapping[str, Any] = {"mem_limit": "16m", "memswap_limit": "16m"}
ONCE: Mapping[str, Any] = {"auto_remove": True}
SHARED = "scripted-limit"
"""Control group with a limit that jobs share."""


@dataclass(frozen=True)
class Scenario:
    """Job: its command and settings, and what happens to it while it runs.

    It is started `starts` times, each time after its end. `others` run beside it, by name. With
    `shared_memory`, in bytes, there is a control group `SHARED` with that limit. It joins so many `networks`.
    """

    fact: str
    command: tuple[str, ...]
    act: Act | None = None
    host: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    starts: int = 1
    others: Mapping[str, "Scenario"] = field(default_factory=dict)
    shared_memory: int = 0
    networks: int = 0
    needs_python: bool = False


def shell(script: str) -> tuple[str, ...]:
    """Return the command of a shell that runs the script after a pause, in which its start is recorded."""
    return ("sh", "-c", f"sleep 0.3; {script}")


def traps(signal_name: str, code: int) -> tuple[str, ...]:
    """Return the command of a shell that exits with the code at the signal."""
    return ("sh", "-c", f"trap 'exit {code}' {signal_name}; while :; do sleep 0.05; done")


def kill(client: APIClient, container: str) -> None:
    """Kill it like `docker kill`."""
    client.kill(container)


def hang_up(client: APIClient, container: str) -> None:
    """Send HUP through the engine, as to make a server reload its settings."""
    client.kill(container, signal="HUP")


def stop(client: APIClient, container: str) -> None:
    """Stop it like `docker stop -t 1`."""
    client.stop(container, timeout=1)


def kill_behind_its_back(client: APIClient, container: str) -> None:
    """Kill PID 1 from the host, without a request to the engine."""
    os.kill(client.inspect_container(container)["State"]["Pid"], signal.SIGKILL)


def rename(client: APIClient, container: str) -> None:
    """Rename the running job; the new name begins with the old one."""
    old = client.inspect_container(container)["Name"].lstrip("/")
    client.rename(container, f"{old}-renamed")


def restart(client: APIClient, container: str) -> None:
    """Restart it like `docker restart -t 1`, and kill the second run."""
    client.restart(container, timeout=1)
    time.sleep(SETTLE_SECONDS)
    client.kill(container)


def remove(client: APIClient, container: str) -> None:
    """Remove the running job like `docker rm -f`."""
    client.remove_container(container, force=True)


PLAYED: Mapping[str, Scenario] = {
    "completed": Scenario("ends with 0", shell("exit 0")),
    "error_exit": Scenario("ends with 1", shell("exit 1")),
    "oom_killed": Scenario(
        "PID 1 is OOM-killed under its memory limit", shell(f"exec {EATS_MEMORY}"), host=SMALL
    ),
    "oom_killed_removed": Scenario(
        "the same with `--rm`", shell(f"exec {EATS_MEMORY}"), host={**SMALL, **ONCE}
    ),
    "oom_child_completed": Scenario(
        "a child is OOM-killed, the job ends with 0", shell(f"{EATS_MEMORY}; sleep 0.3; exit 0"), host=SMALL
    ),
    "oom_child_error": Scenario(
        "a child is OOM-killed, the job then ends with 1", shell(f"{EATS_MEMORY}; exit 1"), host=SMALL
    ),
    "docker_kill": Scenario("`docker kill`", SLEEPS, kill),
    "docker_stop_obeyed": Scenario("`docker stop`, obeyed with 143", traps("TERM", 143), stop),
    "docker_stop_timed_out": Scenario("`docker stop -t 1`, ignored", SLEEPS, stop),
    "docker_restart": Scenario("`docker restart -t 1`, then `docker kill`", SLEEPS, restart),
    "docker_remove_force": Scenario("`docker rm -f` while it runs", SLEEPS, remove),
    "kill_from_outside": Scenario(
        "`kill -9` from the host, without the engine", SLEEPS, kill_behind_its_back
    ),
    "hup_then_error": Scenario("`docker kill -s HUP`, after which it ends with 3", traps("HUP", 3), hang_up),
    "command_not_found": Scenario("its command does not exist", ("/no/such/command",)),
    "command_not_found_removed": Scenario("the same with `--rm`", ("/no/such/command",), host=ONCE),
    "command_not_executable": Scenario("its command is a file without the x bit", ("/etc/not-executable",)),
    "segfault": Scenario("PID 1 jumps to an unmapped address", shell("exec segfault")),
    "label_exit_code": Scenario(
        "ends with 77 and has a label `exitCode=0`", shell("exit 77"), labels={"exitCode": "0"}
    ),
    "restart_on_failure": Scenario(
        "ends with 1 under the restart policy `on-failure:3`",
        shell("exit 1"),
        host={"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}},
    ),
    "rename_while_running": Scenario(
        "renamed while it runs, ends with 0", shell("sleep 0.7; exit 0"), rename
    ),
    "completed_removed": Scenario("ends with 0 and has `--rm`", shell("exit 0"), host=ONCE),
}
"""Scenarios of one job each, which the scripted engine plays to a daemon."""
