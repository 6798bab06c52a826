"""The recordings say what was seen of a real engine, can be made into other jobs, and play as they were."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from docker import APIClient
from docker.errors import NotFound
from hypothesis import given
from hypothesis import strategies as st

from tests.scripted import recording
from tests.scripted.deaths import SCENARIOS
from tests.scripted.engine import ScriptedEngine
from tests.scripted.reading import lines
from tests.scripted.recording import CORPUS, Recording, load, perform, play
from tests.scripted.times import NEVER, SECOND, format_rfc3339, parse_rfc3339, parse_seconds

OTHER = "0f" * 32
TIMES = st.integers(min_value=0, max_value=4_000_000_000 * SECOND)


def actions(name: str) -> list[str]:
    """Name the container's own events of a recording, in order."""
    return [each["Action"] for each in load(name).events if each["Type"] == "container"]


def states(name: str, after: str) -> list[dict[str, Any] | None]:
    """Give the states that the inspects after such events found; None for 404."""
    found = (each.answer for each in load(name).inspects if each.after == after)
    return [None if answer is None else answer["State"] for answer in found]


def codes(name: str) -> list[int | None]:
    """Give the exit codes that inspecting on each `die` found."""
    return [None if state is None else state["ExitCode"] for state in states(name, "die")]


def mentions(value: Any, text: str) -> bool:
    """Whether the text stands anywhere in the value."""
    return text in json.dumps(value)


# --- what was seen


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("completed", [0]),
        ("error_exit", [1]),
        ("oom_killed", [137]),
        ("oom_child_completed", [0]),
        ("oom_child_error", [1]),
        ("docker_kill", [137]),
        ("docker_stop_obeyed", [143]),
        ("docker_stop_timed_out", [137]),
        ("docker_restart", [137, 137]),
        ("kill_from_outside", [137]),
        ("hup_then_error", [3]),
        ("segfault", [139]),
        ("label_exit_code", [77]),
        ("restart_on_failure", [1, 1, 1, 1]),
        ("rename_while_running", [0]),
        ("command_not_found", []),
        ("command_not_executable", []),
    ],
)
def test_inspecting_on_die_found_the_code(name: str, expected: list[int]) -> None:
    assert codes(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("completed", ["create", "start", "die"]),
        ("docker_kill", ["create", "start", "kill", "die"]),
        ("docker_stop_obeyed", ["create", "start", "kill", "die", "stop"]),
        ("docker_stop_timed_out", ["create", "start", "kill", "kill", "die", "stop"]),
        (
            "docker_restart",
            ["create", "start", "kill", "kill", "die", "stop", "start", "restart", "kill", "die"],
        ),
        ("docker_remove_force", ["create", "start", "kill", "die", "destroy"]),
        ("kill_from_outside", ["create", "start", "die"]),
        ("command_not_found", ["create"]),
        ("command_not_found_removed", ["create", "destroy"]),
        ("rename_while_running", ["create", "start", "rename", "die"]),
        ("restart_on_failure", ["create", *["start", "die"] * 4]),
        ("completed_removed", ["create", "start", "die", "destroy"]),
    ],
)
def test_the_engine_told_this_much(name: str, expected: list[str]) -> None:
    assert actions(name) == expected


@pytest.mark.parametrize(
    "name", ["oom_killed", "oom_killed_removed", "oom_child_completed", "oom_child_error"]
)
def test_an_oom_kill_has_its_event(name: str) -> None:
    assert actions(name).count("oom") == 1


def test_a_label_can_make_die_lie() -> None:
    (die,) = (each for each in load("label_exit_code").events if each["Action"] == "die")
    assert (die["Actor"]["Attributes"]["exitCode"], codes("label_exit_code")) == ("0", [77])


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("command_not_found", "created", 127),
        ("command_not_found_removed", "removing", 127),
        ("command_not_executable", "created", 126),
    ],
)
def test_a_job_that_never_started_is_found_on_the_networks_disconnect(
    name: str, status: str, code: int
) -> None:
    (state,) = states(name, "disconnect")
    assert state is not None
    assert (state["Status"], state["ExitCode"], state["FinishedAt"]) == (status, code, NEVER)


@pytest.mark.parametrize("name", ["completed_removed", "oom_killed_removed", "docker_remove_force"])
def test_a_removed_container_is_gone_on_destroy(name: str) -> None:
    assert states(name, "destroy") == [None]


FOLDERS = ("docker-20.10", "docker-29")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_recording_has_a_path_of_the_machine(folder: str) -> None:
    found = [
        file.name
        for file in (CORPUS / folder).glob("*.jsonl")
        if re.search(r"/(tmp|var|root|home)/", file.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_readme_and_the_scenarios_name_exactly_the_recordings_there_are(folder: str) -> None:
    readme = (CORPUS / folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)
    assert rows == sorted(path.stem for path in (CORPUS / folder).glob("*.jsonl")) == sorted(SCENARIOS)


# --- other jobs made of them


@pytest.mark.parametrize("name", recording.names())
def test_renamed_to_itself_it_is_the_same(name: str) -> None:
    original = load(name)
    assert original.renamed(original.container_id, original.name, 0) == original


@pytest.mark.parametrize("name", recording.names())
def test_renamed_it_says_nothing_of_the_job_it_was(name: str) -> None:
    original = load(name)
    other = original.renamed(OTHER, "other-job", 1)
    said = [(step.event, step.inspection and step.inspection.answer) for step in other.steps]
    assert not mentions(said, original.container_id)
    assert not mentions(said, original.name)


@given(offset=TIMES)
def test_renamed_every_time_moves_by_the_offset(offset: int) -> None:
    original = load("completed")
    other = original.renamed(OTHER, "other", offset)
    assert times_of(other) == [each + offset for each in times_of(original)]
    assert [each["time"] for each in other.events] == [each["timeNano"] // SECOND for each in other.events]


def times_of(one: Recording) -> list[int]:
    """Give every time of a recording in nanoseconds: those of its events, then those of its inspects."""
    answers = json.dumps([each.answer for each in one.inspects])
    texts = re.findall(r'"((?!0001)\d{4}-[^"]*Z)"', answers)
    return [each["timeNano"] for each in one.events] + [parse_rfc3339(text) for text in texts]


def test_renamed_keeps_what_a_rename_adds_and_what_is_not_its_own() -> None:
    other = load("rename_while_running").renamed(OTHER, "other", 0)
    said = [each["Actor"]["Attributes"] for each in other.events]
    assert [each.get("oldName") for each in said if "oldName" in each] == ["/other"]
    assert [each["name"] for each in said] == [
        "other",
        "none",
        "other",
        "other-renamed",
        "other-renamed",
        "none",
    ]


# --- playing


@pytest.mark.parametrize("name", recording.names())
def test_played_the_stream_is_the_recorded_one(engine: ScriptedEngine, client: APIClient, name: str) -> None:
    with lines(client) as stream:
        play(engine, load(name))
        engine.cut()
        assert [json.loads(line) for line in stream] == list(load(name).events)


@pytest.mark.parametrize("name", recording.names())
def test_inspecting_on_each_event_finds_what_the_observer_found(
    engine: ScriptedEngine, client: APIClient, name: str
) -> None:
    for step in load(name).steps:
        perform(engine, step)
        if step.inspection is not None:
            assert inspected(client, load(name).container_id) == step.inspection.answer


def inspected(client: APIClient, container: str) -> dict[str, Any] | None:
    """Inspect, None for 404."""
    try:
        answer: dict[str, Any] = client.inspect_container(container)
    except NotFound:
        return None
    return answer


# --- times


@given(TIMES)
def test_a_time_survives_being_written_and_read(moment: int) -> None:
    assert parse_rfc3339(format_rfc3339(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T21:02:47.67045392Z", 1_795_467_767_670_453_920),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", SECOND + 1),
    ],
)
def test_a_time_is_written_as_go_writes_it(text: str, moment: int) -> None:
    assert (parse_rfc3339(text), format_rfc3339(moment)) == (moment, text)


def test_a_time_agrees_with_the_standard_library() -> None:
    text = "2026-11-23T21:02:47.123456Z"
    expected = datetime(2026, 11, 23, 21, 2, 47, 123456, UTC).timestamp()
    assert parse_rfc3339(text) / SECOND == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "moment"), [("5", 5 * SECOND), ("5.1", 5_100_000_000), ("5.000000001", 5_000_000_001)]
)
def test_a_fraction_of_a_second_may_be_short(text: str, moment: int) -> None:
    assert parse_seconds(text) == moment


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="not a time of an engine: 'yesterday'"):
        parse_rfc3339("yesterday")
