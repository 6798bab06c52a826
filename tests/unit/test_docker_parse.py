"""Messages of engines: recorded ones, those of other engines, and broken ones."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.labels import KEPT
from exporter.sources.docker.api import parse
from exporter.sources.docker.engine import EngineInfo, Event, EventType, Inspection, MaskedField
from exporter.text import sanitize
from tests.scripted import recording
from tests.scripted.times import parse_rfc3339

ID = "de579c0c2b75b70f60fde40bcadcd2ce18fd3f2b804f05f1bee26e7773290d92"
AT = 1_795_469_024_051_598_677
NETWORK = "0cadbb58da2c"
MALFORMED = Event(EventType.MALFORMED)
OTHER = Event(EventType.OTHER)


def message(action: str, /, **attributes: object) -> dict[str, Any]:
    """Make a container's event as an engine sends it, with these attributes beside the usual ones."""
    usual = {"image": "acme/train:v1", "name": "gentle-stingray-1"}
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": ID, "Attributes": {**usual, **attributes}},
        "scope": "local",
        "time": AT // 10**9,
        "timeNano": AT,
    }


def parse_event(of: object) -> Event:
    return parse.event(json.dumps(of).encode())


def container_event(event_type: EventType, /, **facts: Any) -> Event:
    return Event(event_type, ID, AT, "gentle-stingray-1", "acme/train:v1", **facts)


# Recorded messages


def summary(event: Event) -> str:
    """Return the type of an event, with its code or signal and its masked fields."""
    word = event.type.value
    if event.type is EventType.DIE:
        word += f"={event.code}"
    if event.type is EventType.KILL:
        word += f"={event.signal}"
    return word + "".join(f"!{masked_fields.value}" for masked_fields in sorted(event.masked_fields))


RECORDED_EVENTS = {
    "command_not_executable": "create start_attempt start_attempt_over",
    "command_not_found": "create start_attempt start_attempt_over",
    "command_not_found_removed": "create start_attempt start_attempt_over destroy",
    "completed": "create start_attempt start die=0 start_attempt_over",
    "completed_removed": "create start_attempt start die=0 start_attempt_over destroy",
    "docker_kill": "create start_attempt start kill=9 die=137 start_attempt_over",
    "docker_remove_force": "create start_attempt start kill=9 die=137 start_attempt_over destroy",
    "docker_restart": "create start_attempt start kill=15 kill=9 die=137 start_attempt_over stop "
    "start_attempt start other kill=9 die=137 start_attempt_over",
    "docker_stop_obeyed": "create start_attempt start kill=15 die=143 start_attempt_over stop",
    "docker_stop_timed_out": "create start_attempt start kill=15 kill=9 die=137 start_attempt_over stop",
    "error_exit": "create start_attempt start die=1 start_attempt_over",
    "hup_then_error": "create start_attempt start kill=1 die=3 start_attempt_over",
    "kill_from_outside": "create start_attempt start die=137 start_attempt_over",
    "label_exit_code": "create!code start_attempt start!code die=0 start_attempt_over",
    "oom_child_completed": "create start_attempt start oom die=0 start_attempt_over",
    "oom_child_error": "create start_attempt start oom die=1 start_attempt_over",
    "oom_killed": "create start_attempt start oom die=137 start_attempt_over",
    "oom_killed_removed": "create start_attempt start oom die=137 start_attempt_over destroy",
    "rename_while_running": "create start_attempt start rename die=0 start_attempt_over",
    "restart_on_failure": " ".join(["create", *["start_attempt start die=1 start_attempt_over"] * 4]),
    "segfault": "create start_attempt start die=139 start_attempt_over",
}


@pytest.mark.parametrize("name", RECORDED_EVENTS)
def test_recorded_events_have_their_types(name: str) -> None:
    assert (
        " ".join(summary(parse_event(event)) for event in recording.load(name).events)
        == RECORDED_EVENTS[name]
    )


@pytest.mark.parametrize("name", recording.names())
def test_recorded_events_have_their_container_and_exact_time(
    name: str,
) -> None:
    recorded = recording.load(name)
    for raw in recorded.events:
        event = parse_event(raw)
        if event != OTHER:
            assert (event.container_id, event.at_ns) == (recorded.container_id, raw["timeNano"])


def test_recorded_events_have_name_and_image() -> None:
    created, *_ = recording.load("oom_killed").events
    attributes = created["Actor"]["Attributes"]
    assert parse_event(created) == Event(
        type=EventType.CREATE,
        container_id=created["Actor"]["ID"],
        at_ns=created["timeNano"],
        name=attributes["name"],
        image=attributes["image"],
    )


RECORDED_ENDS = {
    "command_not_executable": (126, "start_failed"),
    "command_not_found": (127, "start_failed"),
    "command_not_found_removed": (127, "start_failed"),
    "completed": (0, ""),
    "completed_removed": (0, ""),
    "docker_kill": (137, ""),
    "docker_remove_force": (137, ""),
    "docker_stop_obeyed": (143, ""),
    "docker_stop_timed_out": (137, ""),
    "error_exit": (1, ""),
    "hup_then_error": (3, ""),
    "kill_from_outside": (137, ""),
    "label_exit_code": (77, ""),
    "oom_child_completed": (0, "oom_killed"),
    "oom_child_error": (1, "oom_killed"),
    "oom_killed": (137, "oom_killed"),
    "oom_killed_removed": (137, "oom_killed"),
    "rename_while_running": (0, ""),
    "restart_on_failure": (1, ""),
    "segfault": (139, ""),
}


@pytest.mark.parametrize("name", RECORDED_ENDS)
def test_the_last_recorded_inspection_shows_the_end(name: str) -> None:
    answers = [inspect.answer for inspect in recording.load(name).inspects if inspect.answer is not None]
    inspection = parse.inspection(answers[-1])
    flags = " ".join(flag for flag in ("oom_killed", "start_failed") if getattr(inspection, flag))
    assert (inspection.running, inspection.code, flags) == (False, *RECORDED_ENDS[name])


@pytest.mark.parametrize("name", recording.names())
def test_recorded_inspections_have_ordered_times(name: str) -> None:
    recorded = recording.load(name)
    for inspect in recorded.inspects:
        if inspect.answer is not None:
            inspection = parse.inspection(inspect.answer)
            times = [inspection.created_ns, inspection.started_ns, inspection.finished_ns]
            known = [at_ns for at_ns in times if at_ns is not None]
            assert inspection.container_id == recorded.container_id
            assert known == sorted(known)
            assert inspection.running == (inspection.code is None)


def test_a_recorded_inspection_is_parsed_completely() -> None:
    recorded = recording.load("oom_killed")
    answer = next(inspect.answer for inspect in recorded.inspects if inspect.after == "die")
    assert answer is not None
    assert parse.inspection(answer) == Inspection(
        container_id=recorded.container_id,
        name=recorded.name,
        image=answer["Config"]["Image"],
        image_id=answer["Image"],
        labels={},
        running=False,
        created_ns=parse_rfc3339(answer["Created"]),
        started_ns=parse_rfc3339(answer["State"]["StartedAt"]),
        finished_ns=parse_rfc3339(answer["State"]["FinishedAt"]),
        code=137,
        oom_killed=True,
        start_failed=False,
        memory_limit_bytes=16 << 20,
        restarts=0,
        stop_signal=15,
    )


def test_a_container_that_waits_for_its_restart_is_not_running() -> None:
    answer = next(
        inspect.answer for inspect in recording.load("restart_on_failure").inspects if inspect.after == "die"
    )
    assert answer is not None
    inspection = parse.inspection(answer)
    assert answer["State"]["Running"] is True
    assert (inspection.running, inspection.code, inspection.restarts) == (False, 1, 0)
    assert inspection.finished_ns is not None


def test_a_restarted_container_has_no_code() -> None:
    inspects = recording.load("restart_on_failure").inspects
    answer = [inspect.answer for inspect in inspects if inspect.after == "start"][1]
    assert answer is not None
    inspection = parse.inspection(answer)
    assert answer["State"]["FinishedAt"] != "0001-01-01T00:00:00Z"
    assert (inspection.running, inspection.code, inspection.finished_ns) == (True, None, None)


# Events


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (message("create"), container_event(EventType.CREATE)),
        (message("start"), container_event(EventType.START)),
        (message("oom"), container_event(EventType.OOM)),
        (message("kill", signal="15"), container_event(EventType.KILL, signal=15)),
        (message("kill", signal="SIGHUP"), container_event(EventType.KILL, signal=1)),
        (message("kill"), container_event(EventType.KILL)),
        (message("die", exitCode="0"), container_event(EventType.DIE, code=0)),
        (message("die", exitCode="137", execDuration="3"), container_event(EventType.DIE, code=137)),
        (message("die"), container_event(EventType.DIE)),
        (message("die", exitCode="soon"), container_event(EventType.DIE)),
        (message("rename", oldName="/other"), container_event(EventType.RENAME)),
        (message("destroy"), container_event(EventType.DESTROY)),
        (message("exec_start: sh -c 'echo secret'"), OTHER),
        (message("exec_die", exitCode="1"), OTHER),
        (message("health_status: unhealthy"), container_event(EventType.HEALTH, healthy=False)),
        (message("health_status: healthy"), container_event(EventType.HEALTH, healthy=True)),
        (message("stop"), container_event(EventType.STOP)),
        (message("update"), container_event(EventType.UPDATE)),
        (message("attach"), OTHER),
        ({"Type": "image", "Action": "pull", "Actor": {"ID": "busybox:1"}, "timeNano": AT}, OTHER),
        ({"Type": "daemon", "Action": "reload"}, OTHER),
        ({"Type": "a future type"}, OTHER),
    ],
    ids=lambda value: value["Type"] + " " + value.get("Action", "") if isinstance(value, dict) else "",
)
def test_each_action_has_its_event_type(raw: dict[str, Any], event: Event) -> None:
    assert parse_event(raw) == event


@pytest.mark.parametrize(
    ("action", "attributes", "event"),
    [
        ("connect", {"container": ID}, Event(EventType.START_ATTEMPT, ID, AT, network=NETWORK)),
        (
            "disconnect",
            {"container": ID},
            Event(EventType.START_ATTEMPT_OVER, ID, AT, network=NETWORK),
        ),
        ("disconnect", {"container": ""}, OTHER),
        ("disconnect", {}, OTHER),
        ("disconnect", None, OTHER),
        ("create", {"container": ID}, OTHER),
    ],
)
def test_a_network_event_of_a_container_is_a_start_attempt(
    action: str, attributes: dict[str, str] | None, event: Event
) -> None:
    network = {"ID": NETWORK, "Attributes": attributes}
    assert parse_event({"Type": "network", "Action": action, "Actor": network, "timeNano": AT}) == event


def test_attributes_that_newer_engines_lack_are_optional() -> None:
    """API 1.52 has no id, status and from at the top level."""
    assert parse_event({**message("start"), "id": "x", "status": "die", "from": "y"}) == parse_event(
        message("start")
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0", 0),
        ("255", 255),
        ("3221225477", 3221225477),
        ("-1073741819", 3221225477),
        ("-1", 4294967295),
        (137, 137),
        ("", None),
        ("1.0", None),
        (None, None),
        ("9" * 5000, None),
        ("²", None),
    ],
)
def test_a_code_is_32_bits_unsigned_or_unknown(text: object, code: int | None) -> None:
    assert parse_event(message("die", exitCode=text)) == container_event(EventType.DIE, code=code)


@pytest.mark.parametrize(
    ("raw", "masked_fields"),
    [
        (message("create", exitCode="0"), {MaskedField.CODE}),
        (message("start", exitCode=""), {MaskedField.CODE}),
        (message("kill", exitCode="0", signal="9"), {MaskedField.CODE}),
        (message("start", signal="HUP"), {MaskedField.SIGNAL}),
        (message("die", exitCode="1", signal="HUP"), {MaskedField.SIGNAL}),
        (message("oom", exitCode="0", signal="1"), {MaskedField.CODE, MaskedField.SIGNAL}),
        (message("die", exitCode="0"), set()),
        (message("kill", signal="9"), set()),
        (message("start", exitcode="0", Signal="9"), set()),
    ],
)
def test_a_label_that_masks_a_field_is_detected_in_other_events(
    raw: dict[str, Any], masked_fields: set[MaskedField]
) -> None:
    assert parse_event(raw).masked_fields == masked_fields


@pytest.mark.parametrize("signal", ["²", "9" * 5000, "-9", "", "SIG", "KABOOM", None, [], {}])
def test_a_kill_with_a_masked_signal_is_still_a_kill(signal: object) -> None:
    assert parse_event(message("kill", signal=signal)) == container_event(EventType.KILL)


# Podman


@pytest.mark.parametrize(
    "attributes",
    [{"containerExitCode": "137"}, {"exitCode": "137"}, {"exitCode": "137", "containerExitCode": "137"}],
    ids=" ".join,
)
def test_podmans_died_is_a_die(attributes: dict[str, str]) -> None:
    assert parse_event(message("died", **attributes)) == container_event(EventType.DIE, code=137)
    assert parse_event(message("die", **attributes)) == container_event(EventType.DIE, code=137)


def test_podmans_remove_is_a_destroy() -> None:
    assert parse_event(message("remove", podId="")) == container_event(EventType.DESTROY)


@pytest.mark.parametrize("action", ["create", "start", "kill", "remove"])
def test_podmans_exit_code_in_every_event_masks_nothing(action: str) -> None:
    """Podman up to 4 writes containerExitCode into each event, over a label if there is one."""
    assert parse_event(message(action, containerExitCode="0", podId="")).masked_fields == frozenset()


def test_a_label_like_podmans_attribute_masks_nothing_of_docker() -> None:
    assert parse_event(message("die", exitCode="77", containerExitCode="0")).code == 77


# Text of labels and names


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("nightly", "nightly"),
        ("Zoë 日本 🐟", "Zoë 日本 🐟"),
        ("a\x00b", "a\ufffdb"),
        ("a\nb\tc\x7f", "a\ufffdb\ufffdc\ufffd"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("\x9b31mred", "\ufffd31mred"),
        ("\ud800", "\ufffd"),
        ("x\udfffy", "x\ufffdy"),
        ("x" * (1 << 20), "x" * 512),
        ("\x00" * 513, "\ufffd" * 512),
        ("gnp\u202exe.exe", "gnp\ufffdxe.exe"),
        ("a\u2066b\u2069c", "a\ufffdb\ufffdc"),
        ("a\u200eb\u200fc\u061cd", "a\ufffdb\ufffdc\ufffdd"),
        ("a\u200bb\u200cc\u200dd\u2060e\ufefff\xadg", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg"),
        ("a\u2800b\u3164c\u180ed\u034fe\ufe0ff", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"),
        (
            "a\u2061b\u2064c\u206ad\u206fe\U000e0000f\U000e007fg",
            "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg",
        ),
        (" nightly\n", "nightly"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_labels_are_sanitized(value: str, kept: str) -> None:
    label = {"exit-exporter.workload": value}
    assert parse_event(message("start", **label)) == container_event(
        EventType.START, labels={"exit-exporter.workload": kept}
    )


def test_names_are_sanitized() -> None:
    assert parse_event(message("start", name="a\x00b", image="\ud800" + "y" * 600)) == Event(
        EventType.START, ID, AT, "a\ufffdb", "\ufffd" + "y" * 511
    )


def test_only_labels_with_a_meaning_are_kept() -> None:
    kept = {
        "exit-exporter.workload": "nightly",
        "com.docker.swarm.service.name": "web",
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "cart",
        "com.docker.compose.oneoff": "True",
    }
    raw = message("start", **kept, maintainer="me", **{"org.acme.secret": "hush"})
    assert parse_event(raw) == container_event(EventType.START, labels=kept)


def test_many_containers_share_the_text_of_their_image_and_labels() -> None:
    one, other = (parse_event(message("create", **{"exit-exporter.workload": "etl"})) for _ in range(2))
    assert one.image is other.image
    assert one.labels["exit-exporter.workload"] is other.labels["exit-exporter.workload"]


def test_labels_named_by_a_setting_are_kept_and_sanitized() -> None:
    labels, kept = {"com.example.job": "a\x00b", "org.acme.secret": "hush"}, [*KEPT, "com.example.job"]
    found = parse.event(json.dumps(message("start", **labels)).encode(), kept)
    assert found.labels == {"com.example.job": "a\ufffdb"}
    assert parse.inspection(inspect({}, {"Labels": labels}), kept).labels == found.labels


@given(st.text(st.characters(codec=None)))
def test_sanitized_text_has_no_control_characters_or_surrogates(text: str) -> None:
    cleaned = sanitize(text)
    assert {unicodedata.category(character) for character in cleaned} & {"Cc", "Cs"} == set()
    assert len(cleaned) == min(len(text), 512)


# Broken messages

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["exitCode", "containerExitCode", "signal", "name", "image", "container", "exit-exporter.workload"]
    ),
    JSON,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "Type": st.sampled_from(["container", "network"]) | JSON,
        "Action": st.sampled_from(parse.ACTIONS) | JSON,
        "Actor": st.fixed_dictionaries(
            {}, optional={"ID": st.just(ID) | JSON, "Attributes": ATTRIBUTES | JSON}
        )
        | JSON,
        "timeNano": st.just(AT) | JSON,
    },
)


def assert_valid(event: Event) -> None:
    """Assert what the rest of the project relies on."""
    texts = [event.container_id, event.name, event.image, *event.labels.values()]
    assert texts == [sanitize(text) for text in texts]
    assert bool(event.container_id) == (event.type not in (EventType.MALFORMED, EventType.OTHER))
    assert -(2**63) <= event.at_ns < 2**63
    assert event.code is None or 0 <= event.code < 2**32
    assert event.signal is None or event.signal >= 0


@given(st.binary())
def test_arbitrary_bytes_are_malformed(line: bytes) -> None:
    assert parse.event(line) in (MALFORMED, OTHER)


@given(JSON)
def test_arbitrary_json_is_malformed_or_other(raw: object) -> None:
    assert parse_event(raw) in (MALFORMED, OTHER)


@given(MESSAGES)
@example({**message("die"), "timeNano": float("inf")})
@example({**message("die"), "timeNano": 2**63})
@example({**message("die"), "Actor": {"ID": None, "Attributes": {}}})
def test_no_message_raises_or_breaks_the_types(raw: object) -> None:
    assert_valid(parse_event(raw))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"die"',
        b"{}",
        b"\xff\xfe",
        b"\x00",
        b'{"Type":"container"',
        b'{"message":"page not found"}',
        b"[" * 100_000,
        b"<html>502 Bad Gateway</html>",
        json.dumps({**message("die"), "timeNano": None}).encode(),
        json.dumps({**message("die"), "timeNano": "soon"}).encode(),
        json.dumps({**message("die"), "timeNano": []}).encode(),
        json.dumps(message("die")).replace(str(AT), "1e999").encode(),
        json.dumps(message("die")).replace(str(AT), str(2**63)).encode(),
        json.dumps(message("die")).replace(str(AT), "9" * 5000).encode(),
        json.dumps({**message("die"), "Actor": None}).encode(),
        json.dumps({**message("die"), "Actor": {"ID": ""}}).encode(),
        json.dumps({**message("die"), "Actor": {"ID": None}}).encode(),
        json.dumps({**message("die"), "Actor": {"ID": ID, "Attributes": ["exitCode"]}}).encode(),
        json.dumps({**message("die"), "Action": ["die"]}).encode(),
    ],
    ids=lambda line: repr(line[:40]),
)
def test_unreadable_messages_are_malformed(line: bytes) -> None:
    assert parse.event(line) == MALFORMED


# Inspects

INSPECT: dict[str, Any] = {
    "Id": ID,
    "Name": "/gentle-stingray-1",
    "Created": "2026-11-23T21:23:43.928569666Z",
    "Image": "sha256:071c23e8d4641db657219857333e14a5c466f37eb0dc4f5ffd256535f4f4994f",
    "RestartCount": 2,
    "State": {
        "Running": False,
        "Restarting": False,
        "OOMKilled": False,
        "ExitCode": 1,
        "Error": "",
        "StartedAt": "2026-11-23T22:23:44.5+01:00",
        "FinishedAt": "2026-11-23T21:23:45Z",
    },
    "Config": {
        "Image": "acme/train:v1",
        "Labels": {"exit-exporter.workload": "a\x00b", "org.acme.secret": "hush"},
        "StopSignal": "SIGQUIT",
    },
    "HostConfig": {"Memory": 1 << 30, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}},
}
EXITED: dict[str, Any] = {
    "container_id": ID,
    "name": "gentle-stingray-1",
    "image": "acme/train:v1",
    "image_id": "sha256:071c23e8d4641db657219857333e14a5c466f37eb0dc4f5ffd256535f4f4994f",
    "labels": {"exit-exporter.workload": "a\ufffdb"},
    "running": False,
    "created_ns": 1_795_469_023_928_569_666,
    "started_ns": 1_795_469_024_500_000_000,
    "finished_ns": 1_795_469_025_000_000_000,
    "code": 1,
    "oom_killed": False,
    "start_failed": False,
    "memory_limit_bytes": 1 << 30,
    "restarts": 2,
    "stop_signal": 3,
}
RUNNING: dict[str, Any] = {
    "running": True,
    "code": None,
    "finished_ns": None,
    "previous_finished_ns": EXITED["finished_ns"],
}
NEVER = "0001-01-01T00:00:00Z"


def inspect(state: Mapping[str, Any], config: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """Return an inspect answer with changes in its state, its configuration and its top level."""
    return {
        **INSPECT,
        **rest,
        "State": {**INSPECT["State"], **state},
        "Config": {**INSPECT["Config"], **config},
    }


def policy(name: str, most: int) -> dict[str, Any]:
    """Return a host configuration with a restart policy."""
    return {"Memory": 1 << 30, "RestartPolicy": {"Name": name, "MaximumRetryCount": most}}


@pytest.mark.parametrize(
    ("state", "host", "restarts"),
    [
        pytest.param({"Running": True}, policy("always", 0), 2, id="running"),
        pytest.param(
            {"Running": True, "Restarting": True}, policy("always", 0), 1, id="waiting for the third run"
        ),
        pytest.param(
            {"Running": True, "Restarting": True}, policy("on-failure", 2), 1, id="waiting for the last run"
        ),
        pytest.param({}, policy("on-failure", 2), 2, id="given up"),
        pytest.param({"ExitCode": 0}, policy("on-failure", 9), 2, id="succeeded"),
        pytest.param({}, policy("on-failure", 9), 1, id="stopped, maybe while waiting"),
        pytest.param({}, policy("unless-stopped", 0), 1, id="stopped, maybe while waiting"),
    ],
)
def test_restarts_are_a_lower_bound_before_the_shown_run(
    state: Mapping[str, Any], host: Mapping[str, Any], restarts: int
) -> None:
    assert parse.inspection(inspect(state, {}, HostConfig=host)).restarts == restarts


@pytest.mark.parametrize(
    ("answer", "changed"),
    [
        pytest.param(inspect({}, {}), {}, id="an ordinary end"),
        pytest.param(inspect({"ExitCode": 3221225477}, {}), {"code": 3221225477}, id="a Windows code"),
        pytest.param(
            inspect({"ExitCode": -1073741819}, {}), {"code": 3221225477}, id="a Windows code, signed"
        ),
        pytest.param(inspect({"ExitCode": None}, {}), {"code": None}, id="no code"),
        pytest.param(inspect({"OOMKilled": True}, {}), {"oom_killed": True}, id="the flag"),
        pytest.param(inspect({"Running": True}, {}), RUNNING, id="running"),
        pytest.param(
            inspect({"Running": True, "Restarting": True}, {}), {"restarts": 1}, id="waiting for a restart"
        ),
        pytest.param(
            inspect({"Running": True, "Error": "x"}, {}),
            RUNNING,
            id="running after a failed start",
        ),
        pytest.param(
            inspect(
                {"StartedAt": NEVER, "FinishedAt": NEVER, "Error": "no such\nfile\x1b", "ExitCode": 127}, {}
            ),
            {
                "started_ns": None,
                "finished_ns": None,
                "start_failed": True,
                "error": "no such file\ufffd",
                "code": 127,
            },
            id="never started",
        ),
        pytest.param(
            inspect({"StartedAt": NEVER, "FinishedAt": NEVER, "ExitCode": 127}, {}),
            {"started_ns": None, "finished_ns": None, "start_failed": True, "code": 127},
            id="never started and being removed",
        ),
        pytest.param(
            inspect({"StartedAt": NEVER, "FinishedAt": NEVER, "ExitCode": 0}, {}),
            {"started_ns": None, "finished_ns": None, "code": 0},
            id="not started yet",
        ),
        pytest.param(
            inspect(
                {
                    "StartedAt": NEVER,
                    "FinishedAt": NEVER,
                    "Error": f"exec: {'x' * 3000}: no such",
                    "ExitCode": 127,
                },
                {},
            ),
            {
                "started_ns": None,
                "finished_ns": None,
                "start_failed": True,
                "error": f"exec: {'x' * 993} … {'x' * 989}: no such",
                "code": 127,
            },
            id="never started, with a long error",
        ),
        pytest.param(inspect({}, {"Labels": None}), {"labels": {}}, id="no labels"),
        pytest.param(inspect({}, {"Image": ""}), {"image": INSPECT["Image"]}, id="no name for the image"),
        pytest.param(
            inspect({}, {"Image": None}, Image=None), {"image": "", "image_id": ""}, id="no image at all"
        ),
        pytest.param(inspect({}, {"StopSignal": ""}), {"stop_signal": 15}, id="an empty stop signal"),
        pytest.param(inspect({}, {"StopSignal": "37"}), {"stop_signal": 37}, id="a stop signal by number"),
        pytest.param(
            inspect({}, {"StopSignal": "SIGRTMIN+3"}), {"stop_signal": 37}, id="a real-time stop signal"
        ),
        pytest.param(inspect({}, {"StopSignal": "KABOOM"}), {"stop_signal": 15}, id="an unknown stop signal"),
        pytest.param(
            inspect({}, {}, HostConfig={"Memory": 0}),
            {"memory_limit_bytes": None, "restarts": 1},
            id="no limit",
        ),
        pytest.param(
            inspect({}, {}, HostConfig=None),
            {"memory_limit_bytes": None, "restarts": 1},
            id="no host configuration",
        ),
        pytest.param(inspect({}, {}, RestartCount=None), {"restarts": 0}, id="no restart count"),
        pytest.param(inspect({}, {}, Name="no-slash"), {"name": "no-slash"}, id="a name without a slash"),
    ],
)
def test_an_inspection_has_the_state_of_its_container(
    answer: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert parse.inspection(answer) == Inspection(**{**EXITED, **changed})


ANSWERS = st.builds(
    lambda state, config, rest: {**INSPECT, "State": state, "Config": config, **rest},
    st.dictionaries(st.sampled_from(sorted(INSPECT["State"])), JSON).map(
        lambda changed: {**INSPECT["State"], **changed}
    )
    | JSON,
    st.dictionaries(st.sampled_from(sorted(INSPECT["Config"])), JSON).map(
        lambda changed: {**INSPECT["Config"], **changed}
    )
    | JSON,
    st.dictionaries(st.sampled_from(["Id", "Name", "Created", "Image", "RestartCount", "HostConfig"]), JSON),
)


@given(ANSWERS)
@example(INSPECT | {"Config": None})
@example(INSPECT | {"Config": []})
@example(INSPECT | {"Created": 5})
@example(INSPECT | {"HostConfig": "none"})
@example(INSPECT | {"HostConfig": {"Memory": float("inf")}})
@example(INSPECT | {"HostConfig": {"Memory": 2**63}})
@example(INSPECT | {"RestartCount": float("inf")})
@example(INSPECT | {"State": INSPECT["State"] | {"StartedAt": 5}})
@example(INSPECT | {"State": INSPECT["State"] | {"FinishedAt": "9999-12-31T23:59:59Z"}})
@example(INSPECT | {"Config": {"Labels": ["exitCode"]}})
def test_an_inspection_is_parsed_or_raises_one_of_three_errors(answer: dict[str, Any]) -> None:
    try:
        inspection = parse.inspection(answer)
    except (KeyError, TypeError, ValueError):
        return
    texts = [inspection.name, inspection.image, *inspection.labels.values()]
    assert texts == [sanitize(text) for text in texts]
    assert inspection.code is None or 0 <= inspection.code < 2**32
    numbers = (
        inspection.created_ns,
        inspection.started_ns,
        inspection.finished_ns,
        inspection.memory_limit_bytes,
        inspection.restarts,
    )
    assert [number for number in numbers if number is not None and not -(2**63) <= number < 2**63] == []


# The engine itself


def test_info_has_the_identity_of_the_engine() -> None:
    answer = {
        "ID": "XXXX:YYYY",
        "Name": "alpha\x00",
        "ServerVersion": "20.10.24+dfsg1",
        "KernelVersion": "6.18.44",
        "MemTotal": 16_777_216_000,
        "SystemTime": "2026-11-23T21:23:43.928569666Z",
    }
    assert parse.info(answer) == EngineInfo(
        host="alpha\ufffd",
        version="20.10.24+dfsg1",
        kernel="6.18.44",
        memory_bytes=16_777_216_000,
        time_ns=1_795_469_023_928_569_666,
        id="XXXX:YYYY",
    )


def test_a_minimal_info_is_accepted() -> None:
    assert parse.info({"SystemTime": "2026-11-23T21:23:43Z"}) == EngineInfo(
        host="unknown",
        version="unknown",
        kernel="",
        memory_bytes=0,
        time_ns=1_795_469_023_000_000_000,
        late_network_connect=True,
    )


@pytest.mark.parametrize(
    ("version", "late"),
    [("20.10.24+dfsg1", False), ("27.5.1", False), ("28.0.0-rc.1", True), ("29.7.2", True), ("dev", True)],
)
def test_engines_since_28_connect_networks_late(version: str, *, late: bool) -> None:
    answer = {"SystemTime": "2026-11-23T21:23:43Z", "ServerVersion": version}
    assert parse.info(answer).late_network_connect is late


@given(
    st.dictionaries(
        st.sampled_from(["Name", "ServerVersion", "KernelVersion", "MemTotal", "SystemTime"]), JSON
    ).map(lambda changed: {"SystemTime": "2026-11-23T21:23:43Z", **changed})
)
@example({"SystemTime": "2026-11-23T21:23:43Z", "MemTotal": float("inf")})
@example({"SystemTime": 5})
def test_info_is_parsed_or_raises_one_of_three_errors(answer: dict[str, Any]) -> None:
    try:
        found = parse.info(answer)
    except (KeyError, TypeError, ValueError):
        return
    assert [found.host, found.version, found.kernel] == [
        sanitize(text) for text in (found.host, found.version, found.kernel)
    ]
