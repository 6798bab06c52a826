"""Facts of the kernel's log, from recorded lines and from lines in the kernel's sources and documents.

The files in ``kmsg`` were recorded with kernel 6.18 (cgroup v1); the processes had the names in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import LimitOwner, OomVictim
from exporter.sources.docker.kernel.kmsg import KmsgParser
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelFact, KernelOomKill, SeccompKill

RECORDED = Path(__file__).parent / "kmsg"
PAGE = 4096
ONE = "cf66bc477fcb5d49d9665c0df5be53f6cfc7fb5f6f7c9836d1eff6cdc1c3254a"
TWO = "1112593a6525921039e0c04688488274dadb25156e51ee8c2bd0d41f6518ff20"
CROWDED = "79fc84ec1067302329a79e8a553c4948abdd9a42cd9d2e060e6e34858996f5ba"
HEADER = "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"


def parse(records: Iterable[bytes], log: KmsgParser | None = None) -> list[KernelFact]:
    """Return the facts of these records; their times are the microseconds of the log's clock."""
    return list((log or KmsgParser(PAGE)).parse(records, lambda microseconds: microseconds))


def record(text: str, at: int = 7, flag: str = "-") -> bytes:
    """Return a record of the kernel."""
    return f"6,1,{at},{flag};{text}\n".encode()


def parse_line(text: str) -> list[KernelFact]:
    """Return the facts of a single line."""
    return parse([record(text)])


def kill(
    cgroup: str = f"/docker/{ONE}",
    *,
    limited: str | None = None,
    constraint: str = "MEMCG",
    process: str = "python",
    pid: int = 42,
) -> str:
    """Return the line with the victim's control group; without ``limited``, the host's memory was used up."""
    whose = "global_oom" if limited is None else f"oom_memcg={limited}"
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),cpuset=/,mems_allowed=0,"
        f"{whose},task_memcg={cgroup},task={process},pid={pid},uid=0"
    )


def killed(pid: int = 42, process: str = "python", whose: str = "Memory cgroup out of memory: ") -> str:
    """Return the last line about a kill."""
    return (
        f"{whose}Killed process {pid} ({process}) total-vm:4000kB, anon-rss:1234kB, file-rss:1kB, "
        "shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0"
    )


def row(pid: int, pages: int, name: str, tgid: int | None = None) -> str:
    """Return a row of the table of processes."""
    return f"[{pid:7d}]     0 {tgid or pid:5d}     9999 {pages:8d}   196608        0             0 {name}"


def own(at: int, cgroup: str, process: str, pid: int, rss_kib: int) -> KernelOomKill:
    """Return a kill at the container's own limit."""
    container_id = cgroup.rpartition("/")[2]
    victim = OomVictim(LimitOwner.OWN, cgroup, process, pid, rss_kib * 1024)
    return KernelOomKill(at, container_id, victim)


def alone(at: int, pid: int) -> KernelOomKill:
    """Return one of many kills at once, of which the kernel logged only the last line."""
    return KernelOomKill(at, None, OomVictim(None, "", "crowd", pid, 27576 * 1024), named=False)


@pytest.mark.parametrize(
    ("file", "facts"),
    [
        ("oom-own-limit", [own(1376718902, f"/docker/{ONE}", "dd) x[1] (y", 13191, 68408)]),
        (
            "oom-limit-of-parent",
            [
                KernelOomKill(
                    1378883023,
                    ONE,
                    OomVictim(LimitOwner.PARENT, "/s", "holder  big", 13192, 90168 * 1024),
                )
            ],
        ),
        ("oom-nested", [own(1380033183, f"/docker/{ONE}/docker/{TWO}", "nested", 13211, 48056)]),
        (
            "oom-crowd",
            [
                own(1380919918, f"/docker/{CROWDED}", "crowd", 13225, 27576),
                alone(1380922411, 13212),
                alone(1380962944, 13226),
                alone(1380971315, 13213),
                alone(1380979770, 13221),
                alone(1380997814, 13214),
                alone(1381027337, 13222),
                alone(1381055352, 13227),
            ],
        ),
        ("pids-limit", [ForkRejected(1381071445, ONE)]),
        (
            "crashes",
            [
                Crash(948470268, "ud2[1] x) y", 20971, 4, "invalid opcode", "dev/zero"),
                Crash(948472361, "divide", 20972, 8, "divide error", "dev/zero"),
                Crash(948474030, "int3", 20973, 5, "int3", "dev/zero"),
                Crash(948475675, "hlt gp", 20974, 11, "general protection fault", "dev/zero"),
                Crash(948477212, "nulé \\", 20975, 11, "segfault at address 0x0, reading", "dev/zero"),
                Crash(948478908, "writer", 20976, 11, "segfault at address 0x0, writing", "dev/zero"),
                Crash(948480521, "stack", 20977, 7, "stack segment", "dev/zero"),
                Crash(948482118, "jump", 20978, 11, "segfault at address 0x0, executing", None),
                Crash(948483349, "python3", 20979, 11, "segfault at address 0x0, reading", "libc.so.6"),
            ],
        ),
        (
            "seccomp",
            [
                SeccompKill(948485326, "python3", 20980, 9, 110),
                SeccompKill(1365402359, 'sec "x" y', 12933, 31, 110),
            ],
        ),
    ],
)
def test_recorded_logs_give_the_expected_facts(file: str, facts: list[KernelFact]) -> None:
    assert parse((RECORDED / f"{file}.kmsg").read_bytes().splitlines(keepends=True)) == facts


@pytest.mark.parametrize(
    ("line", "container_id", "limit", "cgroup"),
    [
        (kill(limited=f"/docker/{ONE}"), ONE, LimitOwner.OWN, f"/docker/{ONE}"),
        (
            kill(f"/system.slice/docker-{ONE}.scope", limited=f"/system.slice/docker-{ONE}.scope"),
            ONE,
            LimitOwner.OWN,
            f"/system.slice/docker-{ONE}.scope",
        ),
        (kill(f"/docker/{ONE}/job", limited=f"/docker/{ONE}"), ONE, LimitOwner.OWN, f"/docker/{ONE}"),
        (
            kill(f"/docker/{ONE}/docker/{TWO}", limited=f"/docker/{ONE}"),
            TWO,
            LimitOwner.PARENT,
            f"/docker/{ONE}",
        ),
        (kill(f"/jobs.slice/{ONE}", limited="/jobs.slice"), ONE, LimitOwner.PARENT, "/jobs.slice"),
        (kill(constraint="NONE"), ONE, LimitOwner.HOST, "/"),
        (kill(constraint="CPUSET"), ONE, LimitOwner.HOST, "/"),
        (kill(constraint="MEMORY_POLICY"), ONE, LimitOwner.HOST, "/"),
        (kill("/user.slice/a.scope", limited="/user.slice"), None, LimitOwner.PARENT, "/user.slice"),
        (kill("/x\\x5cx2dy.slice", limited="/x\\x5cx2dy.slice"), None, LimitOwner.OWN, "/x\\x2dy.slice"),
        (kill().replace("cpuset=/,mems_allowed=0,", ""), ONE, LimitOwner.HOST, "/"),
    ],
    ids=[
        *("cgroupfs", "systemd", "below", "nested", "slice", "host", "cpuset", "policy"),
        *("no container", "escaped", "kernels without cpuset"),
    ],
)
def test_an_oom_kill_has_its_innermost_container_and_limit(
    line: str, container_id: str | None, limit: LimitOwner, cgroup: str
) -> None:
    assert parse_line(line) == [KernelOomKill(7, container_id, OomVictim(limit, cgroup, "python", 42))]


@pytest.mark.parametrize(
    ("rows", "largest"),
    [
        ([row(41, 500, "7 small ones"), row(42, 300, "python")], ("7 small ones", 500 * PAGE)),
        ([row(41, 500, "[  pid  ]"), row(42, 501, "python")], None),
        ([row(43, 500, "python", tgid=42), row(41, 300, "x")], None),
        ([row(41, 500, ""), row(42, 300, "python")], ("", 500 * PAGE)),
        ([], None),
    ],
    ids=["another", "the victim", "a thread of the victim", "without a name", "an empty table"],
)
def test_the_table_names_a_larger_process_than_the_victim(
    rows: list[str], largest: tuple[str, int] | None
) -> None:
    (fact,) = parse(map(record, [HEADER, *rows, kill()]))
    assert isinstance(fact, KernelOomKill)
    assert fact.victim.largest == largest


def test_a_table_belongs_to_the_next_kill_only() -> None:
    facts = parse(map(record, [HEADER, row(41, 500, "big"), kill(), kill(pid=50)]))
    assert [fact.victim.largest for fact in facts if isinstance(fact, KernelOomKill)] == [
        ("big", 500 * PAGE),
        None,
    ]


def test_a_kill_with_a_late_last_line_is_reported_once() -> None:
    log = KmsgParser(PAGE)
    expected = KernelOomKill(7, ONE, OomVictim(LimitOwner.HOST, "/", "python", 42))
    assert (parse([record(kill())], log), parse([record(killed())], log)) == ([expected], [])


def test_lines_of_another_kill_complete_nothing() -> None:
    facts = parse(map(record, [kill(), killed(50, "other"), killed()]))
    assert [
        (fact.victim.pid, fact.victim.rss_bytes) for fact in facts if isinstance(fact, KernelOomKill)
    ] == [
        (42, None),
        (50, 1234 * 1024),
    ]


@pytest.mark.parametrize(
    ("whose", "limit", "cgroup"),
    [
        ("Out of memory: ", LimitOwner.HOST, "/"),
        ("Out of memory (oom_kill_allocating_task): ", LimitOwner.HOST, "/"),
        ("Memory cgroup out of memory: ", None, ""),
        ("", None, ""),
    ],
)
def test_the_last_line_alone_is_a_kill_without_a_container(
    whose: str, limit: LimitOwner | None, cgroup: str
) -> None:
    assert parse_line(killed(whose=whose)) == [
        KernelOomKill(7, None, OomVictim(limit, cgroup, "python", 42, 1234 * 1024), named=False)
    ]


def test_an_interrupted_line_is_joined() -> None:
    line = kill(limited=f"/docker/{ONE}")
    head, middle, tail = line[:60], line[60:130], line[130:]
    records = [
        record(head),
        record("eth0: link up"),
        record(middle, flag="c"),
        record(tail, 9, flag="c"),
        record(killed()),
    ]
    assert parse(records) == [own(9, f"/docker/{ONE}", "python", 42, 1234)]


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        (
            "seg[27408]: segfault at 7f00dead ip 0055d0 sp 007ffd error 7 in libx-2.0.so[7f0000000+1000]",
            Crash(7, "seg", 27408, 11, "segfault at address 0x7f00dead, writing", "libx-2.0.so"),
        ),
        (
            "traps: node[39633] general protection ip:7f1ebe353532 sp:7ffe error:0 in libc-2.19.so[7f1e+1a]",
            Crash(7, "node", 39633, 11, "general protection", "libc-2.19.so"),
        ),
        (
            "MCE: Killing trainer:4711 due to hardware memory corruption fault at 7f0000000000",
            Crash(7, "trainer", 4711, 7, "hardware memory corruption", None),
        ),
        (
            "Memory failure: 0x1a2b3c: Killing trainer:4711 due to hardware memory corruption",
            Crash(7, "trainer", 4711, 7, "hardware memory corruption", None),
        ),
        (
            "NVRM: Xid (PCI:0000:65:00): 79, pid=1234, name=python, GPU has fallen off the bus.",
            GpuFault(7, "0000:65:00", 79, 1234, "python", "GPU has fallen off the bus."),
        ),
        (
            "NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics Exception: ESR 0x57",
            GpuFault(7, "0000:cb:00", 13, None, None, "Graphics Exception: ESR 0x57"),
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 79, pid=1122, GPU has fallen off the bus.",
            GpuFault(7, "0000:01:00", 79, 1122, None, "GPU has fallen off the bus."),
        ),
        (
            "NVRM: Xid (PCI:0019:01:00): 149, NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000)",
            GpuFault(7, "0019:01:00", 149, None, None, "NETIR Fatal XC0 i0 Link -1 (0x000fe406 0x00000000)"),
        ),
        ("NVRM: Xid (0000:03:00): 62", GpuFault(7, "0000:03:00", 62, None, None, "")),
    ],
)
def test_other_lines_give_facts_about_processes(line: str, fact: KernelFact) -> None:
    assert parse_line(line) == [fact]


@pytest.mark.parametrize(
    "line",
    [
        "eth0: renamed from veth1",
        "cgroup: fork rejected by pids controller in /user.slice/user-1000.slice",
        "traps: PANIC: double fault, error_code: 0x0",
        'audit: type=1326 audit(1.2:3): auid=1 pid=9 comm="x" exe="/x" sig=0 arch=c000003e syscall=59 ',
        "oom_reaper: reaped process 42 (python), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    ],
    ids=["else", "no container", "no process", "only logged", "after a kill"],
)
def test_unrelated_lines_give_no_fact(line: str) -> None:
    assert parse_line(line) == []


def test_lines_written_by_users_give_no_fact() -> None:
    assert parse([b"14,1,7,-;" + kill().encode() + b"\n", record("x\n " + kill())]) == []


# Fifteen bytes, as the kernel keeps them.
@pytest.mark.parametrize(
    "name",
    [
        "a,pid=1,uid=0",
        "x,task=y,pid=1",
        ") total-vm:1kB,",
        "(x) (y)",
        "[1]: segfault ",
        "x[1] trap int3",
        "",
        " a  b ",
    ],
)
@pytest.mark.parametrize(
    ("line", "process_of"),
    [
        (lambda name: kill(process=name), lambda fact: (fact.victim.process, fact.victim.pid)),
        (lambda name: killed(process=name), lambda fact: (fact.victim.process, fact.victim.pid)),
        (
            lambda name: (
                f"{name}[42]: segfault at 0 ip 0 sp 0 error 4 in a[1]: segfault at 0 ip 0 sp 0 error 4"
            ),
            lambda fact: (fact.process, fact.pid),
        ),
        (
            lambda name: f"traps: {name}[42] trap int3 ip:0 sp:0 error:0 in a[1] trap int3 ip:0 sp:0 error:0",
            lambda fact: (fact.process, fact.pid),
        ),
    ],
    ids=["oom-kill", "killed", "segfault", "trap"],
)
def test_a_process_name_cannot_imitate_another_process(
    name: str, line: Callable[[str], str], process_of: Callable[[KernelFact], tuple[str, int]]
) -> None:
    (fact,) = parse_line(line(name))
    assert process_of(fact) == (name, 42)


def test_texts_are_sanitized_and_bounded() -> None:
    (fact,) = parse_line("NVRM: Xid (PCI:0000:65:00): 79, pid=1, name=x\\x1b[1m, " + "y" * 9_000)
    assert isinstance(fact, GpuFault)
    assert fact.process is not None
    assert re.search("[\x00-\x1f]", fact.process) is None
    assert len(fact.text) < 1_000


LINES = st.sampled_from(
    [
        *(
            kill(),
            kill(limited="/s"),
            killed(),
            HEADER,
            row(41, 5, "x"),
            "seg[1]: segfault at 0 ip 0 sp 0 error 4 in x[0+1]",
        ),
        *("traps: x[1] trap int3 ip:0 sp:0 error:0", "NVRM: Xid (PCI:0000:65:00): 79, pid=1, name=x, y"),
        *(
            'audit: type=1326 audit(1): pid=1 comm="x" exe=x sig=31 arch=c syscall=1 ',
            "cgroup: fork rejected by",
        ),
    ]
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Build a record that begins and ends like the kernel's, with other bytes in between."""
    line = draw(LINES).encode()
    begin, end = sorted((draw(st.integers(0, len(line))), draw(st.integers(0, len(line)))))
    text = line[:begin] + draw(st.binary(max_size=20)) + line[end:]
    return b"6,1,%d,%s;" % (draw(st.integers(0, 10**18)), draw(st.sampled_from([b"-", b"c"]))) + text


@given(st.lists(st.binary() | mangled()))
@example([b"6,1,1,-;NVRM: Xid (0): 1, pid=" + b"9" * 5_000])
@example([b'6,1,1,-;audit: type=1326 audit(1): pid=1 comm=FFFE exe="x" sig=31 arch=c0 syscall=1 \n'])
def test_no_log_raises_an_error(records: list[bytes]) -> None:
    for fact in parse(records):
        assert fact.at_ns >= 0
