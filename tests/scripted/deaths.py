"""Scenarios that are recorded from a real engine for the corpus, beside those in `scenarios`."""

import time
from collections.abc import Mapping
from typing import Any

from docker import APIClient

from tests.scripted.scenarios import (
    EATS_MEMORY,
    ONCE,
    PLAYED,
    SHARED,
    SMALL,
    Act,
    Scenario,
    kill,
    shell,
    stop,
    traps,
)

MEBIBYTE = 1 << 20
SECOND = 10**9
HANG_SECONDS = 2
LONG_SECONDS = 20
NO_COMMAND = ("/no/such/command",)
FORGETS_ITS_SHELL = "busybox rm /bin/sh"
SMALLEST: Mapping[str, Any] = {"mem_limit": "6m", "memswap_limit": "6m"}
IN_SHARED: Mapping[str, Any] = {"cgroup_parent": f"/{SHARED}"}
FAILING_CHECK = {
    "test": ["CMD-SHELL", "echo Connection refused; exit 1"],
    "interval": SECOND // 2,
    "timeout": 5 * SECOND,
    "retries": 1,
}
EATS_IN_THREADS = """
import mmap, threading
room = [mmap.mmap(-1, 64 << 20) for _ in range(16)]
gate = threading.Barrier(16)
def eat(piece):
    gate.wait()
    with open("/dev/zero", "rb", buffering=0) as zeros:
        zeros.readinto(piece)
for piece in room:
    threading.Thread(target=eat, args=(piece,)).start()
"""
"""Sixteen threads that run out of memory at once: with cgroup v1, one kill has several events."""


def sends(signal_name: str) -> Act:
    """Return the action of `docker kill -s`."""
    return lambda client, container: client.kill(container, signal=signal_name)


def stop_patiently(client: APIClient, container: str) -> None:
    """Stop it like `docker stop -t 20`."""
    client.stop(container, timeout=LONG_SECONDS)


def stop_once_unhealthy(client: APIClient, container: str) -> None:
    """Stop it when its health check has failed."""
    while client.inspect_container(container)["State"]["Health"]["Status"] != "unhealthy":
        time.sleep(0.05)
    time.sleep(0.2)
    client.stop(container, timeout=5)


def kill_after_a_while(client: APIClient, container: str) -> None:
    """Kill it after it has hung for some time."""
    time.sleep(HANG_SECONDS)
    kill(client, container)


def raise_memory(client: APIClient, container: str) -> None:
    """Raise its memory limit like `docker update`."""
    client.update_container(container, mem_limit=96 * MEBIBYTE, memswap_limit=96 * MEBIBYTE)


def lingers(signal_name: str, seconds: float, code: int) -> tuple[str, ...]:
    """Return the command of a shell that survives the signal, and exits with the code later."""
    script = f"trap 'sleep {seconds}; exit {code}' {signal_name}; while :; do sleep 0.05; done"
    return ("sh", "-c", script)


def an_environment_of(kilobytes: int) -> dict[str, str]:
    """Return variables that the runtime's init reads and copies several times before anything else."""
    return {f"V{number}": "v" * 1000 for number in range(kilobytes)}


FAILED_STARTS: Mapping[str, Scenario] = {
    "no_device": Scenario(
        "its `--device` does not exist", ("sh",), host={"devices": ["/dev/no-such:/dev/no-such:rwm"]}
    ),
    "no_user": Scenario("its `--user` does not exist", ("sh",), config={"user": "nosuch"}),
    "no_user_removed": Scenario("the same with `--rm`", ("sh",), host=ONCE, config={"user": "nosuch"}),
    "bad_mount": Scenario(
        "a directory is mounted on a file",
        ("sh",),
        host={"binds": ["/usr:/etc/not-executable:ro"]},
    ),
    "bad_working_directory": Scenario(
        "ends with 1, then is started by hand with a file for its `--workdir`",
        shell("cd /; busybox rmdir /work; echo > /work; exit 1"),
        config={"working_dir": "/work"},
        starts=2,
    ),
    "init_memory_refused": Scenario(
        "the memory limit is below what the runtime's init uses",
        ("sh",),
        host=SMALLEST,
        config={"environment": an_environment_of(8000)},
    ),
    "init_oom_killed": Scenario(
        "the runtime's init is OOM-killed before the command is begun",
        ("sh",),
        host=SMALLEST,
        config={"environment": an_environment_of(480)},
    ),
    "no_runtime": Scenario("its `--runtime` does not exist", ("sh",), host={"runtime": "missing"}),
    "failed_start_after_run": Scenario(
        "ends with 1, then is started by hand without its command",
        shell(f"{FORGETS_ITS_SHELL}; exit 1"),
        starts=2,
    ),
    "failed_start_by_policy": Scenario(
        "ends with 1, then is started by its restart policy without its command",
        shell(f"{FORGETS_ITS_SHELL}; exit 1"),
        host={"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}},
    ),
    "three_failed_starts": Scenario("started three times by hand without its command", NO_COMMAND, starts=3),
    "failed_start_on_two_networks": Scenario(
        "joins two networks without its command", NO_COMMAND, networks=2
    ),
    "failed_start_on_two_networks_removed": Scenario(
        "the same with `--rm`", NO_COMMAND, host=ONCE, networks=2
    ),
}

OUT_OF_MEMORY: Mapping[str, Scenario] = {
    "shared_limit": Scenario(
        "C is OOM-killed at the limit that A and B share with it; this is A",
        ("sh", "-c", "sleep 7; exit 4"),
        host=IN_SHARED,
        others={
            "shared_b": Scenario("ends with 0", ("sh", "-c", "sleep 8"), host=IN_SHARED),
            "shared_c": Scenario("allocates", ("sh", "-c", f"sleep 2; exec {EATS_MEMORY}"), host=IN_SHARED),
        },
        shared_memory=80 * MEBIBYTE,
    ),
    "oom_killed_in_threads": Scenario(
        "sixteen threads run out of memory at one moment",
        ("python3", "-c", EATS_IN_THREADS),
        host={"mem_limit": "96m", "memswap_limit": "96m"},
        needs_python=True,
    ),
    "oom_child_survived": Scenario(
        "a child is OOM-killed, the job goes on for 2 s and ends with 0",
        shell(f"{EATS_MEMORY}; sleep 2; exit 0"),
        host=SMALL,
    ),
    "oom_child_error_late": Scenario(
        "a child is OOM-killed, the job ends with 1 after 14 s",
        shell(f"{EATS_MEMORY}; sleep 14; exit 1"),
        host=SMALL,
    ),
    "memory_updated": Scenario(
        "`docker update --memory` while it runs, then OOM-killed",
        ("sh", "-c", f"sleep 2; exec {EATS_MEMORY}"),
        raise_memory,
        host={"mem_limit": "64m", "memswap_limit": "64m"},
    ),
    "oom_kill_disabled": Scenario(
        "hangs out of memory under `--oom-kill-disable`, then `docker kill`",
        shell(f"exec {EATS_MEMORY}"),
        kill_after_a_while,
        host={**SMALL, "oom_kill_disable": True},
    ),
}

REQUESTS: Mapping[str, Scenario] = {
    "quit_then_error": Scenario(
        "`docker kill -s QUIT`, outlived; ends with 1 after 4 s", lingers("QUIT", 4, 1), sends("QUIT")
    ),
    "term_then_completed": Scenario(
        "`docker kill -s TERM`, ends with 0 after 4 s", lingers("TERM", 4, 0), sends("TERM")
    ),
    "unhealthy_then_stopped": Scenario(
        "`docker stop` once its health check has failed",
        traps("TERM", 143),
        stop_once_unhealthy,
        config={"healthcheck": FAILING_CHECK},
    ),
    "docker_stop_exit_0": Scenario("`docker stop`, obeyed with 0", traps("TERM", 0), stop),
    "docker_stop_exit_2": Scenario("`docker stop`, obeyed with 2", traps("TERM", 2), stop),
    "docker_stop_by_usr1": Scenario(
        "`docker stop` with the `StopSignal` SIGUSR1, obeyed with 5",
        traps("USR1", 5),
        stop,
        config={"stop_signal": "SIGUSR1"},
    ),
    "docker_stop_longer": Scenario(
        "`docker stop -t 20`, obeyed with 5 after 14 s", lingers("TERM", 14, 5), stop_patiently
    ),
}

BY_ITSELF: Mapping[str, Scenario] = {
    "pids_limit": Scenario(
        "starts more processes than `--pids-limit` allows",
        shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait"),
        host={"pids_limit": 6},
    ),
    "segfault_removed": Scenario(
        "PID 1 jumps to an unmapped address, with `--rm`", shell("exec segfault"), host=ONCE
    ),
    "not_found_late": Scenario("ends with 127 after 2 s", ("sh", "-c", "sleep 2; exit 127")),
    "exec_format_error": Scenario("its command is of another architecture", ("/bin/foreign",)),
    "crlf_script": Scenario("its command is a script whose lines end with CR LF", ("/bin/crlf",)),
}

SCENARIOS: Mapping[str, Scenario] = {**PLAYED, **FAILED_STARTS, **OUT_OF_MEMORY, **REQUESTS, **BY_ITSELF}
