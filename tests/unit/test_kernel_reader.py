"""Reader of the kernel, with prepared files instead of ``/proc`` and ``/dev/kmsg``.

A regular file replaces the log if it is enough that records are read one at a time. Tests of the device's
behaviour (one record per read, EAGAIN at its end, EPIPE after overwritten records) replace the reads, as the
kernel's documentation of ``/dev/kmsg`` describes them.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
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
    """Directory like /proc, of a machine with three OOM kills."""
    tree = tmp_path / "proc"
    (tree / "sys/kernel").mkdir(parents=True)
    (tree / "sys/kernel/osrelease").write_text(f"{RELEASE}\n")
    (tree / "meminfo").write_text(f"MemTotal:       {MEMORY_KB} kB\nMemFree:         1234 kB\n")
    count(tree, 3)
    return tree


@pytest.fixture
def kmsg(tmp_path: Path) -> Path:
    """Log with an old OOM kill."""
    log = tmp_path / "kmsg"
    log.write_text(CGROUP_V1.format(id=ONE))
    return log


@pytest.fixture
def kernel(proc: Path, kmsg: Path) -> Iterator[KernelReader]:
    """Reader with counter and log."""
    with closing(KernelReader(proc, kmsg)) as opened:
        yield opened


def count(proc: Path, kills: int) -> None:
    (proc / "vmstat").write_text(f"nr_free_pages 1\noom_kill {kills}\noom_kill_other 99\nballoon 0\n")


def log(kmsg: Path, record: str) -> None:
    with kmsg.open("a") as file:
        file.write(record)


def named(report: KernelReport | None) -> tuple[int, list[str | None]]:
    """Return the number of counted kills, and the containers that the log names."""
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


def test_kills_before_the_first_poll_are_not_reported(kernel: KernelReader) -> None:
    assert kernel.poll() is None


def test_kills_since_the_last_poll_are_counted(proc: Path, tmp_path: Path) -> None:
    kernel = KernelReader(proc, tmp_path / "no kmsg")
    count(proc, 5)
    assert kernel.poll() == KernelReport(oom_kills=2, at_ns=NOW, since_ns=NOW)
    assert kernel.poll() is None
    count(proc, 6)
    assert kernel.poll() == KernelReport(oom_kills=1, at_ns=NOW, since_ns=NOW)


@pytest.mark.parametrize(
    "vmstat",
    ["", "nr_free_pages 1\n", "oom_kill many\n", "oom_killed 5\n"],
    ids=["empty", "old", "bad", "else"],
)
def test_a_kernel_without_a_counter_reports_nothing(proc: Path, tmp_path: Path, vmstat: str) -> None:
    (proc / "vmstat").write_text(vmstat)
    kernel = KernelReader(proc, tmp_path / "no kmsg")
    assert (kernel.has_counter, kernel.poll()) == (False, None)


def test_a_machine_without_proc_reports_nothing(tmp_path: Path) -> None:
    kernel = KernelReader(tmp_path / "no proc", tmp_path / "no kmsg")
    assert (kernel.has_counter, kernel.poll()) == (False, None)


def test_a_counter_that_stands_still_reports_nothing(proc: Path, tmp_path: Path) -> None:
    kernel = KernelReader(proc, tmp_path / "no kmsg")
    assert (kernel.has_counter, kernel.poll()) == (True, None)


def test_a_reader_knows_if_it_can_read_the_log(kernel: KernelReader, proc: Path, tmp_path: Path) -> None:
    assert (kernel.has_log, KernelReader(proc, tmp_path / "no kmsg").has_log) == (True, False)


def test_a_counter_that_appears_or_decreases_reports_nothing(proc: Path, tmp_path: Path) -> None:
    (proc / "vmstat").write_text("")
    kernel = KernelReader(proc, tmp_path / "no kmsg")
    count(proc, 7)
    assert kernel.poll() is None
    count(proc, 2)
    assert kernel.poll() is None
    count(proc, 3)
    assert kernel.poll() == KernelReport(oom_kills=1, at_ns=NOW, since_ns=NOW)


@pytest.mark.parametrize(
    "record",
    [CGROUP_V1, CGROUP_V2, WHOLE_HOST, OTHERS_LIMIT],
    ids=["cgroup v1", "cgroup v2", "no limit", "the limit of another"],
)
def test_the_log_names_the_container_of_the_killed_process(
    kernel: KernelReader, kmsg: Path, record: str
) -> None:
    log(kmsg, record.format(id=ONE, other=TWO))
    assert named(kernel.poll()) == (0, [ONE])
    assert kernel.poll() is None


@pytest.mark.parametrize("record", [OUTSIDE, RESULT], ids=["a process of the host", "the last line alone"])
def test_a_kill_outside_containers_is_reported(kernel: KernelReader, kmsg: Path, record: str) -> None:
    log(kmsg, record)
    assert named(kernel.poll()) == (0, [None])


def test_other_records_of_the_log_are_ignored(kernel: KernelReader, kmsg: Path) -> None:
    log(kmsg, UNRELATED.format(id=ONE))
    assert kernel.poll() is None


@pytest.mark.parametrize(
    ("polled", "polled_again", "written", "expected"),
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
    polled: float,
    polled_again: float,
    written: float,
    expected: float,
) -> None:
    """Times are in seconds. The time of a line is always between the two polls."""
    now = polled - 1
    clock = {
        "time_ns": lambda: NOW + round(now * 10**9),
        "monotonic_ns": lambda: 10_000 * 10**9 + round(now * 10**9),
    }
    monkeypatch.setattr(reader, "time", SimpleNamespace(**clock))
    with closing(KernelReader(proc, kmsg)) as kernel:
        now = polled
        assert kernel.poll() is None
        microseconds = 10_000 * 10**6 + round(written * 10**6)
        log(kmsg, CGROUP_V1.replace("88211", str(microseconds)).format(id=ONE))
        now = polled_again
        report = kernel.poll()
    assert report is not None
    assert [fact.at_ns - NOW for fact in report.facts] == [round(expected * 10**9)]


def test_counter_and_log_are_reported_together(kernel: KernelReader, proc: Path, kmsg: Path) -> None:
    count(proc, 4)
    log(kmsg, CGROUP_V2.format(id=TWO))
    assert named(kernel.poll()) == (1, [TWO])


def test_a_closed_reader_still_counts_and_can_be_closed_again(
    kernel: KernelReader, proc: Path, kmsg: Path
) -> None:
    kernel.close()
    kernel.close()
    log(kmsg, CGROUP_V1.format(id=ONE))
    count(proc, 4)
    assert kernel.poll() == KernelReport(oom_kills=1, at_ns=NOW, since_ns=NOW)


def test_a_counter_beyond_the_first_page_is_found(proc: Path, tmp_path: Path) -> None:
    def write(kills: int) -> None:
        (proc / "vmstat").write_text("numa_other 1\n" * 20_000 + f"oom_kill {kills}\n")

    write(3)
    kernel = KernelReader(proc, tmp_path / "no kmsg")
    write(5)
    assert kernel.poll() == KernelReport(oom_kills=2, at_ns=NOW, since_ns=NOW)


def test_an_unreadable_log_leaves_the_counter(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "a directory").mkdir()
    before = open_files()
    kernel = KernelReader(proc, tmp_path / "a directory")
    count(proc, 4)
    assert kernel.poll() == KernelReport(oom_kills=1, at_ns=NOW, since_ns=NOW)
    kernel.close()
    assert open_files() == before


def test_a_log_that_cannot_be_positioned_is_closed(proc: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = open_files()
    kernel = KernelReader(proc, tmp_path / "fifo")
    assert kernel.poll() is None
    kernel.close()
    assert open_files() == before


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the names alone; the listing's own is among them


def script_reads(monkeypatch: pytest.MonkeyPatch, results: Iterable[str | OSError]) -> list[int]:
    """Replace the results of reads of the log, EAGAIN after the last; return the list of requested sizes."""
    rest = iter(results)
    sizes: list[int] = []

    def read(_file: int, size: int) -> bytes:
        sizes.append(size)
        result = next(rest, BlockingIOError(errno.EAGAIN, "no record yet"))
        if isinstance(result, OSError):
            raise result
        return result.encode()

    monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "read": read}))
    return sizes


def test_all_records_of_the_log_are_read(kernel: KernelReader, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = script_reads(
        monkeypatch, [CGROUP_V1.format(id=ONE), RESULT, CGROUP_V2.format(id=TWO), CGROUP_V1.format(id=ONE)]
    )
    assert named(kernel.poll()) == (0, [ONE, TWO, ONE])
    assert sizes == [8192] * 5


def test_reading_continues_after_overwritten_records(
    kernel: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwritten = BrokenPipeError(errno.EPIPE, "overwritten")
    script_reads(monkeypatch, [CGROUP_V1.format(id=ONE), overwritten, CGROUP_V1.format(id=TWO)])
    assert named(kernel.poll()) == (0, [ONE, TWO])


def test_a_poll_reads_at_most_ten_thousand_records(
    kernel: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = script_reads(monkeypatch, (UNRELATED for _ in range(20_000)))
    assert kernel.poll() is None
    assert len(sizes) == 10_000


def test_a_log_that_disappears_is_not_read_again(
    kernel: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = OSError(errno.ENODEV, "gone")
    sizes = script_reads(monkeypatch, [CGROUP_V1.format(id=ONE), gone, CGROUP_V1.format(id=TWO)])
    assert named(kernel.poll()) == (0, [ONE])
    assert kernel.poll() is None
    assert len(sizes) == 2


def test_the_counter_is_read_before_the_log(
    kernel: KernelReader, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two reads must be in the log, never in the counter alone."""

    def read(_file: int, _size: int) -> bytes:
        count(proc, 4)
        raise BlockingIOError(errno.EAGAIN, "no record yet")

    monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "read": read}))
    assert kernel.poll() is None
    assert kernel.poll() == KernelReport(oom_kills=1, at_ns=NOW, since_ns=NOW)


def test_a_counter_that_cannot_be_read_for_a_while_has_all_kills_afterwards(
    proc: Path, kernel: KernelReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as exhausted:
        kernel.close()
        exhausted.setattr(reader, "os", SimpleNamespace(**{**vars(os), "open": too_many_files}))
        assert kernel.poll() is None
        count(proc, 5)
        assert kernel.poll() is None
    monkeypatch.setattr(reader, "time", SimpleNamespace(time_ns=lambda: NOW + 9))
    assert kernel.poll() == KernelReport(2, NOW + 9, (), NOW)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Log that says EAGAIN at its end, as the device does and no file: a pipe that can be positioned."""
    path = tmp_path / "device"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    monkeypatch.setattr(reader, "os", SimpleNamespace(**{**vars(os), "lseek": lambda *_: 0}))
    yield path
    os.close(writer)


def clock_at(monkeypatch: pytest.MonkeyPatch, nanoseconds: int) -> None:
    """Set the clock to so much after NOW."""
    clock = {"time_ns": lambda: NOW + nanoseconds, "monotonic_ns": lambda: UPTIME + nanoseconds}
    monkeypatch.setattr(reader, "time", SimpleNamespace(**clock))


def test_the_counter_is_not_read_while_the_log_is_quiet_and_a_report_is_since_then(
    proc: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(KernelReader(proc, device)) as kernel:
        assert kernel.poll() is None
        count(proc, 4)
        clock_at(monkeypatch, 7)
        assert kernel.poll_if_logged() is None
        clock_at(monkeypatch, 9)
        assert kernel.poll() == KernelReport(1, NOW + 9, (), NOW + 7)


def test_a_line_lets_the_counter_be_read_until_none_has_followed(proc: Path, device: Path) -> None:
    """A line can come before the kill is counted, and its count when no line follows any more."""
    with closing(KernelReader(proc, device)) as kernel:
        assert kernel.poll() is None
        log(device, CGROUP_V2.format(id=ONE))
        assert named(kernel.poll_if_logged()) == (0, [ONE])
        count(proc, 4)
        assert named(kernel.poll_if_logged()) == (1, [])
        count(proc, 5)
        assert kernel.poll_if_logged() is None
        log(device, UNRELATED.format(id=ONE))
        assert named(kernel.poll_if_logged()) == (1, [])


def nothing(_kernel: KernelReader, _device: Path, _patch: pytest.MonkeyPatch) -> None:
    """Do nothing: no poll has come before."""


def lines_that_were_overwritten(kernel: KernelReader, _device: Path, patch: pytest.MonkeyPatch) -> None:
    """Poll when the device says EPIPE, and then has what came after the lines that are lost."""
    with patch.context() as overwritten:
        script_reads(overwritten, [BrokenPipeError(errno.EPIPE, "overwritten"), UNRELATED])
        assert kernel.poll() is None


def more_lines_than_one_poll_reads(kernel: KernelReader, _device: Path, patch: pytest.MonkeyPatch) -> None:
    """Poll when there is no end of lines."""
    with patch.context() as flooded:
        script_reads(flooded, (UNRELATED for _ in range(20_000)))
        assert kernel.poll() is None


def a_log_that_is_gone(kernel: KernelReader, _device: Path, patch: pytest.MonkeyPatch) -> None:
    """Poll when the device cannot be read any more."""
    with patch.context() as gone:
        script_reads(gone, [OSError(errno.ENODEV, "gone")])
        assert kernel.poll() is None


def a_counter_that_cannot_be_read(kernel: KernelReader, _device: Path, patch: pytest.MonkeyPatch) -> None:
    """Poll when the counter cannot be read, and the log is quiet."""
    with patch.context() as unreadable:
        unreadable.setattr(reader, "os", SimpleNamespace(**{**vars(os), "pread": too_many_files}))
        assert kernel.poll() is None


@pytest.mark.parametrize(
    "happens",
    [
        nothing,
        lines_that_were_overwritten,
        more_lines_than_one_poll_reads,
        a_log_that_is_gone,
        a_counter_that_cannot_be_read,
    ],
)
def test_the_counter_is_read_where_the_log_does_not_show_that_it_stands_still(
    proc: Path,
    device: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[KernelReader, Path, pytest.MonkeyPatch], None],
) -> None:
    with closing(KernelReader(proc, device)) as kernel:
        happens(kernel, device, monkeypatch)
        count(proc, 4)
        assert named(kernel.poll_if_logged()) == (1, [])


@pytest.mark.parametrize("path", ["/dev/null", "kmsg", "no kmsg"], ids=["null", "a file", "none"])
def test_what_is_not_the_kernels_log_is_never_quiet(proc: Path, kmsg: Path, path: str) -> None:
    """Some containers have another file in place of the device."""
    with closing(KernelReader(proc, kmsg.parent / path)) as kernel:
        for kills in (3, 4, 5):
            count(proc, kills)
            report = kernel.poll_if_logged()
        assert named(report) == (1, [])


def test_whether_an_engine_is_on_this_host_is_not_guessed(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", too_many_files)
    with pytest.raises(OSError, match="Too many open files"):
        is_this_host(engine(), proc)


def too_many_files(*_arguments: object) -> None:
    """Fail as a process does that has no descriptor left."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    ("seconds_ago", "found"), [(3.0, [2, 1]), (1.5, [1]), (0.5, [])], ids=["long ago", "lately", "just now"]
)
def test_the_log_is_read_from_where_another_reader_has_left_off(
    proc: Path, monkeypatch: pytest.MonkeyPatch, seconds_ago: float, found: list[int]
) -> None:
    """Times are in seconds before now; the machine has run for a hundred seconds.

    There are more lines than one poll reads, and a kill outside containers.
    """
    clock = SimpleNamespace(time_ns=lambda: NOW, monotonic_ns=lambda: 100 * 10**9)
    monkeypatch.setattr(reader, "time", clock)
    lines = [CGROUP_V1.replace("88211", str((100 - ago) * 10**6)).format(id=ONE) for ago in (9, 2, 1)]
    since_ns = NOW - round(seconds_ago * 10**9)
    outside = OUTSIDE.replace("88214", "99000000")
    script_reads(monkeypatch, [lines[0], *[UNRELATED] * 10_000, *lines[1:], outside])
    with closing(KernelReader(proc, Path(os.devnull), log_since_ns=since_ns)) as kernel:
        report = kernel.poll()
        assert kernel.poll() is None
    times = [] if report is None else [fact.at_ns for fact in report.earlier]
    assert times == [NOW - ago * 10**9 for ago in found]


def test_what_was_logged_earlier_is_reported_once(proc: Path, kmsg: Path) -> None:
    before = open_files()
    with closing(KernelReader(proc, kmsg, log_since_ns=0)) as kernel:
        first, second = kernel.poll(), kernel.poll()
    assert first is not None
    assert ([kill.container_id for kill in first.earlier], first.facts, second) == ([ONE], (), None)
    assert open_files() == before
