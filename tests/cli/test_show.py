"""``show``: all that is known of one job."""

from dataclasses import replace

import pytest

from exporter.store import Batch
from tests.cli.command import Done, invoke, run
from tests.cli.elsewhere import NOBODY, OTHERS, other_server
from tests.cli.outputs import SHOW, SHOW_MORE, fill_more, flat, golden
from tests.store.samples import BEGAN_NS, ended, job
from tests.web.served import Served


@pytest.mark.parametrize("name", SHOW)
def test_a_sheet_is_as_it_was_agreed(served: Served, name: str) -> None:
    assert flat(SHOW[name](served.url)) == golden(name)


@pytest.mark.parametrize("name", SHOW_MORE)
def test_a_sheet_says_what_the_engine_and_the_kernels_log_told(served: Served, name: str) -> None:
    fill_more(served)
    assert flat(SHOW_MORE[name](served.url)) == golden(name)


@pytest.mark.parametrize("key", ["aaaaaaaaaaaa-1", "gentle-stingray-1", "a" * 64, "aaaaaaaaaaaa", "aa"])
def test_a_job_is_shown_by_any_of_its_names(served: Served, key: str) -> None:
    done = run("show", key, "--url", served.url)
    assert Done(done.code, flat(done.out), done.err) == Done(0, golden("show_failed"), "")


def test_what_goes_to_a_pipe_has_no_spaces_at_the_ends_of_its_lines(served: Served) -> None:
    sheet = SHOW["show_failed"](served.url)
    assert sheet == flat(sheet)


def test_a_text_is_as_long_as_its_words_and_not_as_wide_as_the_pipe(served: Served) -> None:
    assert max(len(line) for line in SHOW["show_failed"](served.url).splitlines()) < 110


@pytest.mark.parametrize("key", ["nobody", "%", "a b", "-", "?", "#", "é", "..."])
def test_a_job_that_is_not_on_record_is_named(served: Served, key: str) -> None:
    cause = f"no job, container name or container id {key!r} is on record"
    assert invoke("show", "--url", served.url, "--", key) == Done(1, "", f"Error: {cause}\n")


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "/"])
def test_what_can_be_no_name_is_refused_and_not_taken_for_a_path(served: Served, key: str) -> None:
    done = invoke("show", key, "--url", served.url)
    assert done.code != 0
    assert done.out == ""
    assert repr(key) in done.err.splitlines()[-1]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_server_of_something_else_is_told_from_ours(kind: str) -> None:
    with other_server(OTHERS[kind]) as url:
        done = invoke("show", "nightly", "--url", url)
    assert done == Done(1, "", f"Error: {url} answers, but not as exit-exporter; see --url\n")


def test_a_job_must_be_named() -> None:
    usage = "Usage: exit-exporter show [OPTIONS] JOB\nTry 'exit-exporter show --help' for help.\n\n"
    assert run("show") == Done(2, "", f"{usage}Error: Missing argument 'JOB'.\n")


def test_a_reason_that_the_catalogue_no_longer_has_is_said_to_be_one(served: Served) -> None:
    judged = ended(job("9", name="forgotten", start_event_ns=BEGAN_NS), 42)
    old = replace(judged, verdict=replace(judged.verdict, reason="CheckpointCorrupt"))
    served.store.commit(Batch(ended=[old]))
    sheet = flat(invoke("show", "forgotten", "--url", served.url).out)
    assert sheet.endswith(
        "\nRan           1m30s\n\nCheckpointCorrupt\n  A reason that is not in the current catalogue.\n"
    )


def test_where_nobody_answers_that_is_said_with_what_to_do() -> None:
    cause = f"no exit-exporter answers at {NOBODY}; is 'exit-exporter serve' running there? See --url"
    assert run("show", "nightly", "--url", NOBODY) == Done(1, "", f"Error: {cause}\n")


def test_a_server_whose_store_fails_says_so(served: Served) -> None:
    cause = served.break_store()
    expected = Done(1, "", f"Error: the store cannot be read: {cause}\n")
    assert invoke("show", "nightly", "--url", served.url) == expected
