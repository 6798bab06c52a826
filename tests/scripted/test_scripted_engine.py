"""The scripted engine answers as the real one did (20.10.24, API 1.41), and fails as it is told to."""

import json
import math
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import APIClient
from docker.errors import APIError, NotFound

from tests.scripted.engine import HANG_UP, ScriptedEngine
from tests.scripted.reading import get, lines, past_events
from tests.scripted.server import UnixServer
from tests.scripted.times import SECOND, format_rfc3339, format_seconds

LONG_AGO = 1_700_000_000 * SECOND + 123_456_789
FUTURE = "99999999999"
CONTAINER = "5a" * 32


def event(number: int = 0, kind: str = "container", action: str = "die") -> dict[str, Any]:
    """Make the event that came so many nanoseconds after the first."""
    moment = LONG_AGO + number
    actor = {"ID": CONTAINER, "Attributes": {"name": f"job-{number}"}}
    return {"Type": kind, "Action": action, "Actor": actor, "time": moment // SECOND, "timeNano": moment}


def inspect(
    status: str = "running", container: str = CONTAINER, name: str = "job", age: int = 0
) -> dict[str, Any]:
    """Make the inspect answer of a container that was created so many seconds before the first event."""
    return {
        "Id": container,
        "Name": f"/{name}",
        "Created": format_rfc3339(LONG_AGO - age * SECOND),
        "Image": "sha256:00",
        "State": {"Status": status, "ExitCode": 137},
        "Config": {"Image": "job:1", "Labels": {"a": "b"}},
    }


def moment(number: int) -> str:
    """Write the time of an event as a query takes it."""
    return format_seconds(LONG_AGO + number)


# --- who it is


def test_a_docker_client_agrees_with_it_on_the_version_it_states(engine: ScriptedEngine) -> None:
    engine.version["ApiVersion"] = "1.43"
    with closing(APIClient(base_url=engine.url, version="auto")) as client:
        assert client.api_version == "1.43"


@pytest.mark.parametrize("prefix", ["", "/v1.41", "/v1.24"])
@pytest.mark.parametrize("path", ["/_ping", "/version", "/info", "/containers/json?all=1"])
def test_every_path_is_there_with_and_without_a_version(client: APIClient, prefix: str, path: str) -> None:
    assert client.get(f"{client.base_url}{prefix}{path}").status_code == requests.codes.ok


def test_a_ping_says_ok_and_names_the_version_in_a_header(client: APIClient) -> None:
    answer = get(client, "/_ping")
    assert (answer.text, answer.headers["Api-Version"], answer.headers["Server"]) == (
        "OK",
        "1.41",
        "Docker/20.10.24+dfsg1 (linux)",
    )


def test_a_ping_can_be_asked_for_its_headers_alone(client: APIClient) -> None:
    answer = client.head(f"{client.base_url}/_ping")
    assert (answer.status_code, answer.text, get(client, "/_ping").text) == (requests.codes.ok, "", "OK")


def test_an_answer_to_head_has_no_body_even_if_it_is_an_error(engine: ScriptedEngine) -> None:
    said = conversation(engine, b"HEAD /info HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert said.partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.99", '{"message":"client version 1.99 is too new. Maximum supported API version is 1.41"}\n'),
        (
            "1.10",
            (
                "client version 1.10 is too old. Minimum supported API version is 1.12, "
                "please upgrade your client to a newer version\n"
            ),
        ),
    ],
)
def test_a_client_of_a_version_beyond_its_own_is_refused(
    client: APIClient, version: str, message: str
) -> None:
    answer = client.get(f"{client.base_url}/v{version}/info")
    assert (answer.status_code, answer.text) == (requests.codes.bad_request, message)


def test_a_modern_engine_refuses_a_client_below_its_minimum_in_json(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.version.update(ApiVersion="1.52", MinAPIVersion="1.44")
    answer = get(client, "/info")
    assert (answer.status_code, "1.41 is too old" in answer.json()["message"]) == (
        requests.codes.bad_request,
        True,
    )


def test_its_info_is_what_the_test_makes_it(engine: ScriptedEngine, client: APIClient) -> None:
    engine.info.update(Name="elsewhere", MemTotal=1)
    answer = client.info()
    assert (answer["Name"], answer["MemTotal"], answer["ServerVersion"]) == ("elsewhere", 1, "20.10.24+dfsg1")


def test_its_clock_is_the_true_one_until_a_test_sets_it(engine: ScriptedEngine, client: APIClient) -> None:
    before, answer, after = (
        format_rfc3339(time.time_ns()),
        client.info()["SystemTime"],
        format_rfc3339(time.time_ns()),
    )
    engine.info["SystemTime"] = "2001-02-03T04:05:06Z"
    assert before[:19] <= answer[:19] <= after[:19]
    assert client.info()["SystemTime"] == "2001-02-03T04:05:06Z"


def test_a_page_that_is_not_there_is_told_in_the_engines_words(client: APIClient) -> None:
    answer = get(client, "/nonsense")
    assert (answer.status_code, answer.text) == (requests.codes.not_found, '{"message":"page not found"}\n')


# --- of a newer version


def test_a_newer_engine_names_the_container_once_and_says_for_how_long_it_ran(tmp_path: Path) -> None:
    old = {"id": CONTAINER, "status": "die", "from": "job:1"}
    with (
        ScriptedEngine(tmp_path, api="1.55") as engine,
        closing(APIClient(engine.url, "auto")) as client,
        lines(client) as stream,
    ):
        engine.emit({**old, **event(action="start")})
        engine.emit({**old, **event(2 * SECOND)})
        engine.cut()
        start, die = map(json.loads, stream)
    assert start == event(action="start")
    attributes = {"name": f"job-{2 * SECOND}", "execDuration": "2"}
    assert die == {**event(2 * SECOND), "Actor": {"ID": CONTAINER, "Attributes": attributes}}


# --- only reading


def test_whoever_would_change_something_gets_405_and_is_recorded(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with pytest.raises(APIError) as refused:
        client.kill("job")
    assert refused.value.status_code == requests.codes.method_not_allowed
    assert engine.requests[-1] == ("POST", "/v1.41/containers/job/kill")


def test_a_refused_body_does_not_disturb_the_next_request(engine: ScriptedEngine) -> None:
    said = conversation(
        engine,
        b"POST /containers/create HTTP/1.1\r\nContent-Length: 5\r\n\r\n{...}"
        b"GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"405", b"200"]


def test_requests_are_recorded_in_order_with_version_and_query(
    engine: ScriptedEngine, client: APIClient
) -> None:
    get(client, "/containers/json", all="1")
    assert engine.requests == [("GET", "/version"), ("GET", "/v1.41/containers/json?all=1")]


# --- the stream


def test_events_come_line_by_line_as_they_happen(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client) as stream:
        for number in range(3):
            engine.emit(event(number))
            assert json.loads(next(stream)) == event(number)


def test_each_event_is_a_chunk_of_its_own(engine: ScriptedEngine) -> None:
    engine.emit({"timeNano": 1})
    engine.emit({"timeNano": 2})
    said = conversation(engine, b"GET /events?since=0&until=1 HTTP/1.1\r\nConnection: close\r\n\r\n")
    body = said.partition(b"\r\n\r\n")[2]
    assert body == b'f\r\n{"timeNano":1}\n\r\nf\r\n{"timeNano":2}\n\r\n0\r\n\r\n'


def conversation(engine: ScriptedEngine, said: bytes) -> bytes:
    """Say something on a connection of its own, and give all that comes until the engine closes it."""
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as reader:
        connection.connect(str(engine.socket))
        connection.sendall(said)
        return reader.read()


def test_two_readers_get_the_same(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client) as first, lines(client) as second:
        engine.emit(event())
        assert json.loads(next(first)) == json.loads(next(second)) == event()


@pytest.mark.parametrize("text", ["line\nfeed", "\0", "\ud800", "ß→🂡", "x" * 1_000_000], ids=ascii)
def test_whatever_stands_in_a_label_arrives(engine: ScriptedEngine, client: APIClient, text: str) -> None:
    with lines(client) as stream:
        engine.emit({"label": text})
        assert json.loads(next(stream)) == {"label": text}


def test_bytes_are_sent_as_they_are(engine: ScriptedEngine, client: APIClient) -> None:
    malformed = b'{"Type": "container", \xff\x00'
    with lines(client) as stream:
        engine.emit(malformed)
        assert next(stream) == malformed


def test_a_hundred_thousand_events_all_arrive_in_order(engine: ScriptedEngine, client: APIClient) -> None:
    count = 100_000
    with lines(client) as stream:
        for number in range(count):
            engine.emit(b"%d" % number)
        assert list(map(int, islice(stream, count))) == list(range(count))


# --- since and until


def test_nothing_is_replayed_unless_a_time_is_asked_for(engine: ScriptedEngine, client: APIClient) -> None:
    engine.emit(event(1))
    with lines(client) as stream:
        engine.emit(event(2))
        assert json.loads(next(stream)) == event(2)


def test_since_and_until_include_their_own_nanosecond(engine: ScriptedEngine, client: APIClient) -> None:
    for number in range(5):
        engine.emit(event(number))
    assert past_events(client, since=moment(1), until=moment(3)) == [event(1), event(2), event(3)]


def test_until_alone_replays_all_up_to_it(engine: ScriptedEngine, client: APIClient) -> None:
    for number in range(3):
        engine.emit(event(number))
    assert past_events(client, until=moment(1)) == [event(0), event(1)]


def test_after_the_replay_the_stream_goes_on(engine: ScriptedEngine, client: APIClient) -> None:
    engine.emit(event(1))
    with lines(client, since=moment(1)) as stream:
        engine.emit(event(2))
        assert [json.loads(line) for line in islice(stream, 2)] == [event(1), event(2)]


def test_a_since_in_the_future_does_not_hold_back_what_comes(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with lines(client, since=FUTURE) as stream:
        engine.emit(event())
        assert json.loads(next(stream)) == event()


def test_a_stream_with_an_until_ends_when_that_time_comes(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client, until=format_seconds(time.time_ns() + SECOND // 10)) as stream:
        engine.emit(event())
        assert [json.loads(line) for line in stream] == [event()]


def test_an_until_before_the_since_is_refused(client: APIClient) -> None:
    answer = get(client, "/events", since="20.5", until="10")
    assert (answer.status_code, answer.text) == (
        requests.codes.bad_request,
        '{"message":"`since` time (20.5) cannot be after `until` time (10)"}\n',
    )


def test_a_time_that_is_no_number_is_an_error_of_the_engine(client: APIClient) -> None:
    answer = get(client, "/events", since="2026-11-23T21:00:00Z")
    assert (answer.status_code, answer.json()["message"]) == (
        requests.codes.server_error,
        'strconv.ParseInt: parsing "2026-11-23T21:00:00Z": invalid syntax',
    )


def test_the_ring_keeps_the_last_256_events_of_all_types(engine: ScriptedEngine, client: APIClient) -> None:
    for number in range(300):
        engine.emit(event(number, kind="image" if number % 2 else "container"))
    assert [
        each["timeNano"] - LONG_AGO for each in past_events(client, since="0", until=moment(300))
    ] == list(range(44, 300))


def test_the_replay_stops_at_the_first_event_that_is_too_old(
    engine: ScriptedEngine, client: APIClient
) -> None:
    """Read from moby's source: where times step back, a younger event that stands before is not replayed."""
    for number in (5, 1, 6):
        engine.emit(event(number))
    assert past_events(client, since=moment(3), until=moment(9)) == [event(6)]


def test_filters_apply_after_retention(engine: ScriptedEngine, client: APIClient) -> None:
    for number in range(257):
        engine.emit(event(number, kind="container" if number == 0 else "image"))
    filters = json.dumps({"type": ["container"]})
    assert past_events(client, since="0", until=moment(300), filters=filters) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": ["network"]}, [2]),
        ({"event": ["die", "oom"]}, [0, 1]),
        ({"event": ["exec_create"]}, [3]),
        ({"type": {"container": True}, "event": ["oom"]}, [1]),
        ({"container": ["job-1"]}, [1]),
        ({"container": ["5a5a"]}, [0, 1, 2, 3]),
        ({"label": ["name=job-2"]}, [2]),
        ({"label": ["nothing"]}, []),
        ({"bogus": ["x"]}, [0, 1, 2, 3]),
    ],
)
def test_filters_choose_and_unknown_ones_do_nothing(
    engine: ScriptedEngine, client: APIClient, filters: dict[str, Any], expected: list[int]
) -> None:
    kinds = [
        ("container", "die"),
        ("container", "oom"),
        ("network", "disconnect"),
        ("container", "exec_create: ls"),
    ]
    for number, (kind, action) in enumerate(kinds):
        engine.emit(event(number, kind, action))
    found = past_events(client, since="0", until=moment(9), filters=json.dumps(filters))
    assert [each["timeNano"] - LONG_AGO for each in found] == expected


@pytest.mark.parametrize("filters", ["x", "[]"])
def test_filters_that_cannot_be_read_are_an_error_of_the_engine(client: APIClient, filters: str) -> None:
    assert get(client, "/events", filters=filters).status_code == requests.codes.server_error


def test_a_lost_event_is_in_the_ring_and_in_no_stream(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client) as stream:
        engine.lose(event(1))
        engine.emit(event(2))
        assert json.loads(next(stream)) == event(2)
    assert past_events(client, since=moment(1), until=moment(2)) == [event(1), event(2)]


# --- streams that end or hang


def test_a_cut_ends_the_stream_cleanly_after_all_that_was_emitted(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with lines(client) as stream:
        engine.emit(event())
        engine.cut()
        assert [json.loads(line) for line in stream] == [event()]


def test_an_abrupt_cut_breaks_the_stream_after_all_that_was_emitted(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with lines(client) as stream:
        engine.emit(event())
        engine.cut(abruptly=True)
        assert json.loads(next(stream)) == event()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(stream)


def test_a_cut_can_come_in_the_middle_of_an_event(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client) as stream:
        engine.cut(last_words=b'{"Type":')
        assert list(stream) == [b'{"Type":']


def test_when_a_cut_returns_no_stream_is_open(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client):
        engine.cut()
        engine.wait_for_streams(0, seconds=0)


def test_after_a_cut_the_next_stream_resumes_from_the_ring(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client):
        engine.cut(abruptly=True)
    engine.emit(event(1))
    with lines(client, since=moment(0)) as stream:
        assert json.loads(next(stream)) == event(1)


def test_a_paused_stream_hangs_while_a_new_one_flows_and_goes_on_later(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with lines(client) as hanging:
        engine.emit(event(1))
        engine.pause()
        engine.emit(event(2))
        with lines(client, since=moment(0)) as fresh:
            assert [json.loads(line) for line in islice(fresh, 2)] == [event(1), event(2)]
            assert json.loads(next(hanging)) == event(1)
            engine.wait_for_streams(2)
        engine.resume()
        engine.cut()
        assert [json.loads(line) for line in hanging] == [event(2)]


def test_what_a_paused_stream_missed_is_lost_with_a_cut(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client) as hanging:
        engine.pause()
        engine.emit(event())
        engine.cut()
        assert list(hanging) == []


def test_a_reader_that_leaves_is_noticed(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client):
        engine.wait_for_streams(1)
    client.close()
    engine.wait_for_streams(0)


def test_waiting_for_streams_that_do_not_come_tells_how_many_there_are(engine: ScriptedEngine) -> None:
    with pytest.raises(TimeoutError, match="waited 0 s for 2 event streams, 0 are open"):
        engine.wait_for_streams(2, seconds=0)


# --- answers that fail or are late


def test_the_next_answers_fail_as_often_as_told_and_then_no_more(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.fail_next("/events", requests.codes.forbidden, times=2, body=b"<h1>Forbidden</h1>")
    answers = [get(client, "/events", until="1") for _ in range(3)]
    assert [(answer.status_code, answer.text, answer.headers["Content-Type"]) for answer in answers] == [
        (403, "<h1>Forbidden</h1>", "text/html"),
        (403, "<h1>Forbidden</h1>", "text/html"),
        (200, "", "application/json"),
    ]


def test_failures_of_one_path_follow_each_other_and_leave_others_alone(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.fail_next("/containers/", requests.codes.server_error, body={"message": "first"})
    engine.fail_next("/containers/", requests.codes.bad_gateway)
    assert get(client, "/info").status_code == requests.codes.ok
    assert get(client, "/containers/json").json() == {"message": "first"}
    assert get(client, "/containers/json").status_code == requests.codes.bad_gateway


def test_it_can_hang_up_without_an_answer(engine: ScriptedEngine, client: APIClient) -> None:
    engine.fail_next("/info", HANG_UP)
    with pytest.raises(requests.exceptions.ConnectionError):
        get(client, "/info")
    assert get(client, "/info").status_code == requests.codes.ok


def test_an_answer_is_held_back_until_the_delay_is_lifted(engine: ScriptedEngine, client: APIClient) -> None:
    engine.delay("/containers/", math.inf)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(get, client, f"/containers/{CONTAINER}/json")
        engine.wait_for_requests("/containers/", 1)
        assert not late.done()
        engine.set_container(inspect())
        engine.delay("/containers/", 0)
        assert late.result().json() == inspect()


def test_a_delay_leaves_other_paths_alone(engine: ScriptedEngine, client: APIClient) -> None:
    engine.delay("/events", math.inf)
    assert get(client, "/containers/json").status_code == requests.codes.ok


def test_a_delay_does_not_hold_up_a_stop(engine: ScriptedEngine, client: APIClient) -> None:
    engine.delay("/info", math.inf)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(get, client, "/info")
        engine.wait_for_requests("/info", 1)
        engine.stop()
        assert late.exception() is None or isinstance(late.exception(), requests.exceptions.ConnectionError)


def test_waiting_for_requests_that_do_not_come_tells_how_many_came(engine: ScriptedEngine) -> None:
    with pytest.raises(TimeoutError, match="waited 0 s for 1 requests for /events, 0 came"):
        engine.wait_for_requests("/events", 1, seconds=0)


# --- containers


def test_an_unknown_container_is_told_in_the_engines_words(client: APIClient) -> None:
    answer = get(client, "/containers/nope/json")
    assert (answer.status_code, answer.text) == (
        requests.codes.not_found,
        '{"message":"No such container: nope"}\n',
    )


@pytest.mark.parametrize("reference", [CONTAINER, CONTAINER[:12], "job"])
def test_a_container_is_found_by_id_by_its_beginning_and_by_name(
    engine: ScriptedEngine, client: APIClient, reference: str
) -> None:
    engine.set_container(inspect())
    assert client.inspect_container(reference) == inspect()


def test_a_container_changes_only_when_it_is_set_again(engine: ScriptedEngine, client: APIClient) -> None:
    answer = inspect()
    engine.set_container(answer)
    answer["State"]["Status"] = "exited"
    assert client.inspect_container(CONTAINER)["State"]["Status"] == "running"
    engine.set_container(answer)
    assert client.inspect_container(CONTAINER)["State"]["Status"] == "exited"


def test_a_removed_container_is_gone_and_need_not_have_been_there(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.set_container(inspect())
    engine.remove_container(CONTAINER)
    engine.remove_container(CONTAINER)
    with pytest.raises(NotFound):
        client.inspect_container(CONTAINER)


def test_the_list_shows_all_only_when_asked_and_the_newest_first(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.set_container(inspect("exited", "1" * 64, "old", age=9))
    engine.set_container(inspect("exited", "2" * 64, "new", age=1))
    engine.set_container(inspect("running", "3" * 64, "live", age=5))
    assert [row["Names"] for row in client.containers(all=True)] == [["/new"], ["/live"], ["/old"]]
    assert [row["Names"] for row in client.containers()] == [["/live"]]


def test_a_row_of_the_list_has_what_the_engine_puts_there(engine: ScriptedEngine, client: APIClient) -> None:
    engine.set_container(inspect("exited"))
    assert client.containers(all=True) == [
        {
            "Id": CONTAINER,
            "Names": ["/job"],
            "Image": "job:1",
            "ImageID": "sha256:00",
            "Command": "",
            "Created": LONG_AGO // SECOND,
            "Ports": [],
            "Labels": {"a": "b"},
            "State": "exited",
            "Status": "Exited (137) 1 second ago",
            "HostConfig": {"NetworkMode": "none"},
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }
    ]


def test_a_list_with_filters_is_refused_rather_than_wrong(client: APIClient) -> None:
    answer = get(client, "/containers/json", filters=json.dumps({"label": ["a"]}))
    assert answer.status_code == requests.codes.not_implemented


# --- going down and coming back


def test_a_stop_breaks_the_stream_as_an_engine_does_after_all_that_was_emitted(
    engine: ScriptedEngine, client: APIClient
) -> None:
    with lines(client) as stream:
        engine.emit(event())
        engine.stop()
        assert json.loads(next(stream)) == event()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(stream)


def test_a_stopped_engine_cannot_be_reached(engine: ScriptedEngine) -> None:
    """Tried without the SDK: version 7 leaves a socket unclosed for each connection that fails."""
    engine.stop()
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(FileNotFoundError):
        connection.connect(str(engine.socket))


def test_after_a_restart_the_ring_is_empty_and_the_containers_are_there(
    engine: ScriptedEngine, client: APIClient
) -> None:
    engine.emit(event())
    engine.set_container(inspect())
    engine.stop()
    engine.start()
    assert past_events(client, since="0", until=moment(9)) == []
    assert client.inspect_container(CONTAINER) == inspect()


def test_a_stop_ends_a_reader_that_does_not_read(engine: ScriptedEngine, client: APIClient) -> None:
    with lines(client):
        for number in range(1000):
            engine.emit({**event(number), "padding": "x" * 1000})
        engine.stop()
        assert not running_threads()


def test_it_leaves_no_thread_and_no_socket_behind(tmp_path: Path) -> None:
    with ScriptedEngine(tmp_path) as engine, socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(engine.socket))
    assert (running_threads(), list(tmp_path.iterdir())) == ([], [])


def test_a_directory_too_deep_for_a_socket_gets_a_short_path_that_is_removed_again(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    with ScriptedEngine(deep) as engine, closing(APIClient(base_url=engine.url, version="auto")) as client:
        assert (len(engine.url) < 100, client.ping()) == (True, True)
    assert not engine.socket.parent.exists()


def test_a_mistake_in_its_own_threads_is_raised_when_it_stops(tmp_path: Path) -> None:
    engine = ScriptedEngine(tmp_path)
    engine.start()
    engine.info["Name"] = object()
    with closing(APIClient(base_url=engine.url, version="auto")) as client:
        with pytest.raises(requests.exceptions.ConnectionError):
            client.info()
        with pytest.raises(TypeError, match="not JSON serializable"):
            engine.stop()


def running_threads() -> list[str]:
    """Name the threads of a scripted engine that still run."""
    return [each.name for each in threading.enumerate() if UnixServer.__name__ in each.name]
