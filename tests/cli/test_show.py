"""``show``: one job with its evidence."""

from dataclasses import replace

import pytest

from exporter.store import Batch
from tests.cli.command import Done, invoke
from tests.cli.outputs import SHOW, SHOW_MORE, flat, golden
from tests.store.samples import BEGAN_NS, ended, job
from tests.web.served import Served


@pytest.mark.parametrize("name", [*SHOW, *SHOW_MORE])
def test_a_job_is_shown_as_agreed(unchanged: Served, with_more: Served, name: str) -> None:
    output = SHOW_MORE[name](with_more.url) if name in SHOW_MORE else SHOW[name](unchanged.url)
    assert flat(output) == golden(name)


@pytest.mark.parametrize("key", ["aaaaaaaaaaaa-1", "gentle-stingray-1", "a" * 64, "aaaaaaaaaaaa", "aaaaaa"])
def test_a_job_is_found_by_each_of_its_names(unchanged: Served, key: str) -> None:
    done = invoke("show", key, "--url", unchanged.url)
    assert Done(done.code, flat(done.out), done.err) == Done(0, golden("show_failed"), "")


def test_piped_lines_are_as_long_as_their_text(unchanged: Served) -> None:
    output = SHOW["show_failed"](unchanged.url)
    assert output == flat(output)
    assert max(map(len, output.splitlines())) < 110


@pytest.mark.parametrize("key", ["nobody", "%", "a b", "-", "?", "#", "é", "..."])
def test_an_unknown_job_is_reported(unchanged: Served, key: str) -> None:
    cause = f"no job, container name or container id {key!r} is on record"
    assert invoke("show", "--url", unchanged.url, "--", key) == Done(1, "", f"Error: {cause}\n")


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "/"])
def test_a_path_is_no_job(unchanged: Served, key: str) -> None:
    usage = "Usage: exit-exporter show [OPTIONS] JOB\nTry 'exit-exporter show --help' for help.\n\n"
    cause = f"Invalid value for 'JOB': {key!r} is not a job id or a container name"
    assert invoke("show", key, "--url", unchanged.url) == Done(2, "", f"{usage}Error: {cause}\n")


def test_a_job_must_be_given() -> None:
    usage = "Usage: exit-exporter show [OPTIONS] JOB\nTry 'exit-exporter show --help' for help.\n\n"
    assert invoke("show") == Done(2, "", f"{usage}Error: Missing argument 'JOB'.\n")


def test_a_reason_can_be_missing_in_the_catalogue(served: Served) -> None:
    end = ended(job("9", name="forgotten", start_event_ns=BEGAN_NS), 42)
    old = replace(end, verdict=replace(end.verdict, reason="CheckpointCorrupt"))
    served.store.commit(Batch(ended=[old]))
    output = flat(invoke("show", "forgotten", "--url", served.url).out)
    assert output.endswith(
        "\nRan           1m30s\n\nCheckpointCorrupt\n  A reason that is not in the current catalogue.\n"
    )


@pytest.mark.parametrize(
    ("created_ns", "limit", "shown"),
    [(BEGAN_NS, 512 << 20, "512 MiB"), (BEGAN_NS, None, "none"), (None, None, "not known")],
)
def test_a_job_without_a_limit_is_told_from_one_that_was_not_inspected(
    served: Served, created_ns: int | None, limit: int | None, shown: str
) -> None:
    one = job("cafe", name="one", created_ns=created_ns, memory_limit_bytes=limit)
    served.store.commit(Batch(ended=[ended(one, 1)]))
    rows = invoke("show", "one", "--url", served.url).out.splitlines()
    assert [row.split("  ")[-1].strip() for row in rows if row.startswith("Memory limit")] == [shown]
