"""What the kernel ends or refuses, on each real engine: whose memory it was, and what its log knows.

Two exporters watch the same ends: one with everything, and one that may not read the kernel's log and has
nothing but its counter beside the engine.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import docker
import pytest
from docker.models.containers import Container

from tests.integration import faces
from tests.integration.conftest import on_each_engine
from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.integration.told import (
    PREPARE_TO_WAIT,
    SECONDS,
    UNTIL_GO,
    WAIT,
    Told,
    awaited_end,
    let_go,
)
from tests.lab.cgroups import make_limited, oom_kills
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import PYTHON
from tests.lab.jobs import READY, await_ready
from tests.lab.wait import wait_until

pytestmark = on_each_engine

LITTLE = 20 * MEBIBYTE
# The log has a clock of its own, which differs by some milliseconds.
BEFORE = r"(at|\d\.\d+ s (before|after)) the end"
SHARED_LIMIT = 80 * MEBIBYTE
# Shorter than the rule, so that what is later than it need not be waited for so long.
WINDOW = ("--exits.oom-window", "3s")
# As for an exporter in a container: the device is there, and nobody may open it.
HIDE_KERNEL_LOG = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind /dev/kmsg /dev/kmsg && mount -o remount,bind,nodev /dev/kmsg && exec "$@"',
    "sh",
)
NO_MKDIR = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}],
}


@dataclass(frozen=True)
class Exporters:
    """Those that watch."""

    seeing: ExporterProcess
    blind: ExporterProcess

    def say(self, case: Told, *, removed: bool) -> None:
        """Hold what each of them says against the truth."""
        case.is_said(self.seeing, removed=removed)
        case.is_said(self.blind, removed=removed, has_log=False)


@pytest.fixture(scope="module")
def exporters(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporters]:
    """Exporters that watch all that happens here."""
    seeing = ExporterProcess(engine.url, tmp_path_factory.mktemp("seeing"), arguments=WINDOW)
    blind = ExporterProcess(
        engine.url, tmp_path_factory.mktemp("blind"), arguments=WINDOW, wrapper=HIDE_KERNEL_LOG
    )
    with seeing, blind:
        yield Exporters(seeing, blind)


def _more_memory_and_kill(_client: docker.DockerClient, container: Container) -> None:
    container.update(mem_limit=64 * MEBIBYTE, memswap_limit=64 * MEBIBYTE)
    # It goes on for a moment: what --rm removes right after an update can be gone before anybody asks.
    container.exec_run(["sleep", "1"])
    container.kill()


def _let_go(_client: docker.DockerClient, container: Container) -> None:
    let_go(container)


OWN_LIMIT = Told(
    "its own limit",
    ("python", "-c", "a = [0] * 2000000000"),
    "failed",
    137,
    "OOMKilled",
    image=PYTHON,
    oom_kills=1,
    memory_limit=96 * MEBIBYTE,
    recovery="more-memory",
    says=(r"Memory limit +96 MiB",),
    log_says=(
        rf"The kernel killed process \d+ \(python, [\d.]+ MiB\) for memory {BEFORE}; its own limit",
        r"Limit reached +its own, 96 MiB",
    ),
)
CASES = (
    OWN_LIMIT,
    Told(
        "fails long after the OOM kill of a child",
        ("sh", "-c", f"sh -c '{HUNGRY}'; sleep 5; exit 1"),
        "failed",
        1,
        "Error",
        oom_kills=1,
        memory_limit=LITTLE,
        recovery="fix-code",
        says=("A process of it was killed for memory earlier; what failed in the end may have missed it",),
    ),
    Told(
        "docker update --memory",
        ("sh", "-c", f"echo {READY}; sleep 600"),
        "terminated",
        137,
        "Killed",
        "TERMINATED_BY_USER",
        deed=_more_memory_and_kill,
        memory_limit=32 * MEBIBYTE,
        limit_at_end=64 * MEBIBYTE,
        says=("Memory limit +64 MiB",),
    ),
    Told(
        "its limit of processes",
        ("sh", "-c", "(for i in 1 2 3 4 5 6 7 8; do sleep 60 & done); exit 3"),
        "failed",
        3,
        "Error",
        host={"pids_limit": 4},
        recovery="fix-code",
        log_says=(
            rf"The kernel refused it another process: its limit of processes \(4\) was reached {BEFORE}\.",
            r"It reached its limit of 4 of processes and threads \(--pids-limit\): raise it, or start fewer",
        ),
    ),
    Told(
        "a real segfault",
        ("sh", "-c", f"echo {READY}; {UNTIL_GO}; exec python -c 'import ctypes; ctypes.string_at(0)'"),
        "failed",
        139,
        "SegmentationFault",
        image=PYTHON,
        deed=_let_go,
        recovery="fix-code",
        log_says=(
            rf"process \d+ \(python\): segfault at address 0x0, reading in \S+, {BEFORE}\.",
            r"Its process crashed: segfault at address 0x0, reading in \S+",
        ),
    ),
    Told(
        "what its seccomp profile kills",
        ("sh", "-c", f"echo {READY}; {UNTIL_GO}; exec mkdir /x"),
        "failed",
        159,
        "SIGSYS",
        deed=_let_go,
        host={"security_opt": [f"seccomp={json.dumps(NO_MKDIR)}"]},
        recovery="fix-command",
        log_says=(
            rf"process \d+ \(mkdir\) made system call \d+, which its seccomp profile kills, {BEFORE}\.",
            r"Its seccomp profile forbids system call \d+",
        ),
    ),
)

RUNS = list(product(CASES, (False, True)))


def _title(value: object) -> str:
    return value.title if isinstance(value, Told) else ("removed" if value else "kept")


@pytest.fixture(scope="module")
def _all_run(exporters: Exporters, client: docker.DockerClient) -> None:
    """Each case, one after the other."""
    assert exporters.blind.ready()
    for case, removed in RUNS:
        case.run(client, removed=removed)


@pytest.mark.usefixtures("_all_run")
@pytest.mark.parametrize(("case", "removed"), RUNS, ids=_title)
def test_every_face_tells_what_the_kernel_did(
    case: Told,
    removed: bool,  # noqa: FBT001  # a case of the table
    exporters: Exporters,
) -> None:
    exporters.say(case, removed=removed)


@pytest.mark.usefixtures("_all_run")
def test_who_may_not_read_the_kernels_log_says_what_is_not_known_for_that(exporters: Exporters) -> None:
    name = OWN_LIMIT.container_name(removed=False)
    unread = "Which process was killed, and at whose limit: the kernel's log could not be read."
    assert unread in faces.sheet(exporters.blind, name)
    assert "Not known" not in faces.sheet(exporters.seeing, name)


# --- a limit that several share

NEIGHBOURS = (
    Told(
        "fails beside the victim",
        ("sh", "-c", f"{PREPARE_TO_WAIT}; echo {READY}; {WAIT}; exit 4"),
        "failed",
        4,
        "Error",
        recovery="fix-code",
    ),
    Told(
        "succeeds beside the victim",
        ("sh", "-c", f"{PREPARE_TO_WAIT}; echo {READY}; {WAIT}; exit 0"),
        "done",
        0,
        "Completed",
        "DONE",
    ),
)
VICTIM = Told(
    "takes what all share",
    ("python", "-c", "a = [0] * 40000000"),
    "failed",
    137,
    "OOMKilled",
    image=PYTHON,
    oom_kills=1,
    recovery="retry-later",
    log_says=(
        rf"\(python, [\d.]+ MiB\) for memory {BEFORE}; the limit of /\S+/shared was reached, which others",
        r"Limit reached +that of the parent control group /\S+/shared",
    ),
    says=(r"The limit of the control group /\S+/shared, which it shares, was reached: raise that one",),
)


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_a_limit_that_several_share_charges_the_one_that_was_killed(
    exporters: Exporters,
    engine: PrivateEngine,
    client: docker.DockerClient,
    removed: bool,  # noqa: FBT001  # a case of the table
) -> None:
    group = f"{engine.cgroup}/shared"
    make_limited(group, SHARED_LIMIT)
    inside = {"cgroup_parent": f"/{group}"}
    beside = [replace(case, host=inside).started(client, removed=removed) for case in NEIGHBOURS]
    for container in beside:
        await_ready(container)
    replace(VICTIM, host=inside).run(client, removed=removed)
    awaited_end(exporters.seeing, VICTIM.container_name(removed=removed))
    for container in beside:
        let_go(container)
    for case in (*NEIGHBOURS, VICTIM):
        exporters.say(case, removed=removed)


# --- within one container


def _shown_once(pattern: str, exporter: ExporterProcess, name: str) -> str:
    """What ``show`` prints of a job once it says so."""
    wait_until(lambda: bool(re.search(pattern, faces.sheet(exporter, name))), SECONDS)
    sheet = faces.sheet(exporter, name)
    assert re.search(pattern, sheet), sheet
    return sheet


SURVIVES = Told(
    "survives three OOM kills at once",
    ("sh", "-c", f"for i in 1 2 3; do sh -c '{HUNGRY}' & done; wait; echo {READY}; {UNTIL_GO}; exit 0"),
    "done",
    0,
    "Completed",
    "DONE",
    memory_limit=LITTLE,
)
HANGS = Told(
    "may not be killed for memory",
    ("sh", "-c", HUNGRY),
    "terminated",
    137,
    "Killed",
    "TERMINATED_BY_USER",
    memory_limit=LITTLE,
    host={"oom_kill_disable": True},
)


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_a_kill_counts_once_however_often_the_engine_tells_it_and_a_running_job_shows_it(
    exporters: Exporters,
    engine: PrivateEngine,
    client: docker.DockerClient,
    removed: bool,  # noqa: FBT001  # a case of the table
) -> None:
    container = SURVIVES.started(client, removed=removed)
    await_ready(container)
    kills = oom_kills(f"{engine.cgroup}/{container.id}")
    # One for each hungry process, at least.
    assert kills >= 3
    # On a busy machine an engine tells two that follow each other as one: nothing else names the container to
    # an exporter that may not read the log.
    told = min(kills, _oom_events(client, container))
    for exporter, known in ((exporters.seeing, kills), (exporters.blind, told)):
        sheet = _shown_once(f"OOM kills +{known}", exporter, SURVIVES.container_name(removed=removed))
        assert sheet.count("the job goes on.") == known
    let_go(container)
    replace(SURVIVES, oom_kills=kills).is_said(exporters.seeing, removed=removed)
    replace(SURVIVES, oom_kills=told).is_said(exporters.blind, removed=removed, has_log=False)


def _oom_events(client: docker.DockerClient, container: Container) -> int:
    """Return how often the engine has told that a container is out of memory."""
    of_it = {"container": str(container.id), "event": "oom"}
    return len(list(client.events(since=0, until=int(time.time()) + 1, filters=of_it)))


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_an_oom_event_without_a_kill_is_none_and_a_job_that_hangs_for_memory_is_said_to(
    exporters: Exporters,
    client: docker.DockerClient,
    removed: bool,  # noqa: FBT001  # a case of the table
) -> None:
    container = HANGS.started(client, removed=removed)
    hangs = r"It is out of memory and may not be killed for that \(--oom-kill-disable\): it hangs\."
    for exporter in (exporters.seeing, exporters.blind):
        _shown_once(hangs, exporter, HANGS.container_name(removed=removed))
    container.kill()
    exporters.say(HANGS, removed=removed)
