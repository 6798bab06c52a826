"""The kernel's witness, over canned trees and a canned log.

A regular file stands in for the log where one record is read at a time; where what matters is how the
device answers (one record to a read, EAGAIN at its end, EPIPE where its ring has overtaken the reader),
the reads are scripted by the kernel's own documentation of ``/dev/kmsg``.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.sources.docker.engine import EngineInfo, KernelReport
from exporter.sources.docker.kernel import reader
from exporter.sources.docker.kernel.reader import KernelReader, is_this_host
from exporter.verdict.facts import KernelOomKill

NOW = 1_795_469_024_000_000_000
UPTIME = 1_000_000_000
ONE, TWO = "1" * 64, "2" * 64
RELEASE = "6.18.44"
MEMORY_KB = 16_384_000

CGROUP_V1 = (
    "6,1201,88211,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={id},mems_allowed=0,"
    "oom_memcg=/docker/{id},task_memcg=/docker/{id},task=python,pid=4711,uid=0\n"
)
CGROUP_V2 = (
    "6,1202,88212,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=docker-{id}.scope,"
    "mems_allowed=0,oom_memcg=/system.slice/docker-{id}.scope,"
    "task_memcg=/system.slice/docker-{id}.scope,task=python,pid=4711,uid=0\n"
)
WHOLE_HOST = (
    "6,1203,88213,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
    "global_oom,task_memcg=/docker/{id},task=python,pid=4711,uid=0\n"
)
OUTSIDE = (
    "6,1204,88214,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
    "global_oom,task_memcg=/user.slice/user-1000.slice,task=firefox,pid=4711,uid=1000\n"
)
OTHERS_LIMIT = (
    "6,1205,88215,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={other},mems_allowed=0,"
    "oom_memcg=/docker/{other},task_memcg=/docker/{id},task=python,pid=4711,uid=0\n"
)
UNRELATED = "6,1206,88216,-;eth0: renamed from veth{id}\n"
RESULT = (
    "3,1207,88217,-;Memory cgroup out of memory: Killed process 4711 (python) total-vm:123kB, anon-rss:45kB\n"
)


@pytest.fixture(autouse=True)
def _still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "time", SimpleNamespace(time_ns=lambda: NOW, monotonic_ns=lambda: UPTIME))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A tree like /proc, of a machine that has killed three times."""
    tree = tmp_path / "proc"
    (tree / "sys/kernel").mkdir(parents=True)
    (tree / "sys/kernel/osrelease").write_text(f"{RELEASE}\n")
    (tree / "meminfo").write_text(f"MemTotal:       {MEMORY_KB} kB\nMemFree:         1234 kB\n")
    count(tree, 3)
    return tree


@pytest.fixture
def kmsg(tmp_path: Path) -> Path:
    """A log with a kill in it that is long past."""
    log = tmp_path / "kmsg"
    log.write_text(CGROUP_V1.format(id=ONE))
    return log


@pytest.fixture
def source(proc: Path, kmsg: Path) -> Iterator[KernelReader]:
    """A witness with counter and log."""
    with closing(KernelReader(proc, kmsg)) as opened:
        yield opened


def count(proc: Path, kills: int) -> None:
    (proc / "vmstat").write_text(f"nr_free_pages 1\noom_kill {kills}\noom_kill_other 99\nballoon 0\n")


def log(kmsg: Path, record: str) -> None:
    with kmsg.open("a") as file:
        file.write(record)


def named(report: KernelReport | None) -> tuple[int, list[str | None]]:
    """How many kills were counted, and the containers that the log names."""
    assert report is not None
    return report.oom_kills, [fact.container_id for fact in report.facts if isinstance(fact, KernelOomKill)]


def engine(**changed: object) -> EngineInfo:
    facts = {"host": "alpha", "version": "29.0", "kernel": RELEASE, "memory_bytes": MEMORY_KB * 1024}
    return EngineInfo(**{**facts, "time_ns": NOW, **changed})  # type: ignore[arg-type]  # a test's shorthand


def test_an_engine_with_this_kernel_and_memory_is_on_this_host(proc: Path) -> None:
    assert is_this_host(engine(), proc)


@pytest.mark.parametrize(
    "changed",
    [{"kernel": "6.18.44-linuxkit"}, {"kernel": ""}, {"memory_bytes": MEMORY_KB * 1000}, {"memory_bytes": 0}],
)
def test_an_engine_in_a_virtual_machine_is_not_on_this_host(proc: Path, changed: dict[str, object]) -> None:
    assert not is_this_host(engine(**changed), proc)


@pytest.mark.parametrize("missing", ["meminfo", "sys/kernel/osrelease"])
def test_an_unreadable_proc_means_another_host(proc: Path, missing: str) -> None:
    (proc / missing).unlink()
    assert not is_this_host(engine(), proc)


def test_a_meminfo_without_a_total_means_another_host(proc: Path) -> None:
    (proc / "meminfo").write_text("MemFree: 1234 kB\n")
    assert not is_this_host(engine(memory_bytes=0), proc)


def test_the_real_proc_is_the_default() -> None:
    assert not is_this_host(engine(kernel="a kernel that nobody runs"))


def test_kills_before_the_first_poll_are_not_reported(source: KernelReader) -> None:
    assert source.poll() is None


def test_kills_since_the_last_poll_are_counted(proc: Path, tmp_path: Path) -> None:
    source = KernelReader(proc, tmp_path / "no kmsg")
    count(proc, 5)
    assert source.poll() == KernelReport(oom_kills=2, at_ns=NOW)
    assert source.poll() is None
    count(proc, 6)
    assert source.poll() == KernelReport(oom_kills=1, at_ns=NOW)


@pytest.mark.parametrize(
    "vmstat",
    ["", "nr_free_pages 1\n", "oom_kill many\n", "oom_killed 5\n"],
    ids=["empty", "old", "bad", "else"],
)
def test_a_kernel_without_a_counter_reports_nothing(proc: Path, tmp_path: Path, vmstat: str) -> None:
    (proc / "vmstat").write_text(vmstat)
    source = KernelReader(proc, tmp_path / "no kmsg")
    assert (source.has_counter, source.poll()) == (False, None)


def test_a_machine_without_proc_reports_nothing(tmp_path: Path) -> None:
    source = KernelReader(tmp_path / "no proc", tmp_path / "no kmsg")
    assert (source.has_counter, source.poll()) == (False, None)


def test_a_counter_that_stands_still_reports_nothing(proc: Path, tmp_path: Path) -> None:
    source = KernelReader(proc, tmp_path / "no kmsg")
    assert (source.has_counter, source.poll()) == (True, None)


def test_a_reader_knows_if_it_can_read_the_log(source: KernelReader, proc: Path, tmp_path: Path) -> None:
    assert (source.has_log, KernelReader(proc, tmp_path / "no kmsg").has_log) == (True, False)


def test_a_counter_that_appears_or_decreases_reports_nothing(proc: Path, tmp_path: Path) -> None:
    (proc / "vmstat").write_text("")
    source = KernelReader(proc, tmp_path / "no kmsg")
    count(proc, 7)
    assert source.poll() is None
    count(proc, 2)
    assert source.poll() is None
    count(proc, 3)
    assert source.poll() == KernelReport(oom_kills=1, at_ns=NOW)


@pytest.mark.parametrize(
    "record",
    [CGROUP_V1, CGROUP_V2, WHOLE_HOST, OTHERS_LIMIT],
    ids=["cgroup v1", "cgroup v2", "no limit", "the limit of another"],
)
def test_the_log_names_the_container_of_the_killed_process(
    source: KernelReader, kmsg: Path, record: str
) -> None:
    log(kmsg, record.format(id=ONE, other=TWO))
    assert named(source.poll()) == (0, [ONE])
    assert source.poll() is None


@pytest.mark.parametrize("record", [OUTSIDE, RESULT], ids=["a process of the host", "the last line alone"])
def test_a_kill_outside_containers_is_reported(source: KernelReader, kmsg: Path, record: str) -> None:
    log(kmsg, record)
    assert named(source.poll()) == (0, [None])


def test_other_records_of_the_log_are_ignored(source: KernelReader, kmsg: Path) -> None:
    log(kmsg, UNRELATED.format(id=ONE))
    assert source.poll() is None


@pytest.mark.parametrize(
    ("asked", "asked_again", "written", "told"),
    [
        (0.0, 0.25, 0.1, 0.1),
        (0.0, 0.25, -4.0, 0.000000001),
        (0.0, 0.25, 4.0, 0.25),
        (0.0, -3600.0, -3600.0, -3600.0),
    ],
    ids=["right", "behind", "ahead", "set back"],
)
def test_the_drift_of_the_logs_clock_is_corrected(  # noqa: PLR0913, PLR0917  # a table
    proc: Path,
    kmsg: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: float,
    asked_again: float,
    written: float,
    told: float,
) -> None:
    """Seconds since a beginning: between two questions, a line's time is between the two."""
    now = asked - 1
    clock = {
        "time_ns": lambda: NOW + round(now * 10**9),
        "monotonic_ns": lambda: 10_000 * 10**9 + round(now * 10**9),
    }
    monkeypatch.setattr(reader, "time", SimpleNamespace(**clock))
    with closing(KernelReader(proc, kmsg)) as source:
        now = asked
        assert source.poll() is None
        microseconds = 10_000 * 10**6 + round(written * 10**6)
        log(kmsg, CGROUP_V1.replace("88211", str(microseconds)).format(id=ONE))
        now = asked_again
        report = source.poll()
    assert report is not None
    assert [fact.at_ns - NOW for fact in report.facts] == [round(told * 10**9)]


def test_counter_and_log_are_reported_together(source: KernelReader, proc: Path, kmsg: Path) -> None:
    count(proc, 4)
    log(kmsg, CGROUP_V2.format(id=TWO))
    assert named(source.poll()) == (1, [TWO])


def test_a_closed_reader_still_counts_and_can_be_closed_again(
    source: KernelReader, proc: Path, kmsg: Path
) -> None:
    source.close()
    source.close()
    log(kmsg, CGROUP_V1.format(id=ONE))
    count(proc, 4)
    assert source.poll() == KernelReport(oom_kills=1, at_ns=NOW)


def test_an_unreadable_log_leaves_the_counter(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "a directory").mkdir()
    before = open_files()
    source = KernelReader(proc, tmp_path / "a directory")
    count(proc, 4)
    assert source.poll() == KernelReport(oom_kills=1, at_ns=NOW)
    assert open_files() == before


def test_a_log_that_cannot_be_positioned_is_closed(proc: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = open_files()
    source = KernelReader(proc, tmp_path / "fifo")
    assert open_files() == before
    assert source.poll() is None


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the names alone; the listing's own is among them


def script_reads(monkeypatch: pytest.MonkeyPatch, answers: Iterable[str | OSError]) -> list[int]:
    """Let reads of the log answer so, and with EAGAIN when no answer is left; give the sizes asked for."""
    rest = iter(answers)
    sizes: list[int] = []

    def read(_file: int, size: int) -> bytes:
        sizes.append(size)
        answer = next(rest, BlockingIOError(errno.EAGAIN, "no record yet"))
        if isinstance(answer, OSError):
            raise answer
        return answer.encode()

    monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "read": read}))
    return sizes


def test_all_records_of_the_log_are_read(source: KernelReader, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = script_reads(
        monkeypatch, [CGROUP_V1.format(id=ONE), RESULT, CGROUP_V2.format(id=TWO), CGROUP_V1.format(id=ONE)]
    )
    assert named(source.poll()) == (0, [ONE, TWO, ONE])
    assert sizes == [8192] * 5


def test_reading_continues_after_overwritten_records(
    source: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtaken = BrokenPipeError(errno.EPIPE, "overwritten")
    script_reads(monkeypatch, [CGROUP_V1.format(id=ONE), overtaken, CGROUP_V1.format(id=TWO)])
    assert named(source.poll()) == (0, [ONE, TWO])


def test_a_poll_reads_at_most_ten_thousand_records(
    source: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = script_reads(monkeypatch, (UNRELATED for _ in range(20_000)))
    assert source.poll() is None
    assert len(sizes) == 10_000


def test_a_log_that_disappears_is_not_read_again(
    source: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = OSError(errno.ENODEV, "gone")
    sizes = script_reads(monkeypatch, [CGROUP_V1.format(id=ONE), gone, CGROUP_V1.format(id=TWO)])
    assert named(source.poll()) == (0, [ONE])
    assert source.poll() is None
    assert len(sizes) == 2


def test_the_counter_is_read_before_the_log(
    source: KernelReader, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two readings must be in the log's answer, never in the counter's alone."""

    def read(_file: int, _size: int) -> bytes:
        count(proc, 4)
        raise BlockingIOError(errno.EAGAIN, "no record yet")

    monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "read": read}))
    assert source.poll() is None
    assert source.poll() == KernelReport(oom_kills=1, at_ns=NOW)
