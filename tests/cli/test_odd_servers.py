"""Servers that answer odd, slowly or without end: each command ends in time, and shows no secret."""

import json
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import repeat
from types import SimpleNamespace

import pytest

from exporter.cli import client as client_module
from exporter.cli import time_limit
from exporter.cli.client import PROBLEM, ApiClient, UnreachableError
from tests.cli.command import Done, invoke
from tests.cli.other_servers import NOBODY, Other, other_server
from tests.scripted.dripping import dripping
from tests.web.served import Served

DRIP_SECONDS = 0.02
HEAD = b"HTTP/1.1 200 OK\r\n"
PASSWORD = "hunter22"  # noqa: S105  # the tests look for it
ODD_ANSWERS: Mapping[str, Mapping[str, object]] = {
    "fields are missing": {"jobs": [{"id": "x"}], "next_cursor": None, "id": "x", "workloads": []},
    "fields are null": {"jobs": None, "next_cursor": None, "id": None, "workloads": None},
    "fields have another type": {"jobs": [1], "next_cursor": [], "id": 1, "workloads": "many", "total": 3},
}


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"X: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "headers", "interim answers"],
)
def test_an_answer_that_comes_in_drops_ends_with_the_timeout(head: bytes, drop: bytes) -> None:
    with dripping(head, repeat(drop), DRIP_SECONDS) as url:
        client = ApiClient(url)
        client.timeout_seconds = 10 * DRIP_SECONDS
        with pytest.raises(UnreachableError, match=r"does not answer within 0\.2 s; see --url"):
            client.get("/api/v1/jobs", key="jobs")


def test_a_limit_of_threads_is_no_error(unchanged: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unstartable(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    # Of all modules, only the client's may start none: the server is in this process.
    monkeypatch.setattr(time_limit, "threading", SimpleNamespace(Thread=Unstartable))
    assert ApiClient(unchanged.url).not_ready_reason() is None


def test_an_answer_without_end_is_no_answer_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1 << 20)
    with dripping(HEAD + b"\r\n", repeat(b"1," * 10_000)) as url:
        assert (
            invoke("ps", "--url", url).err == f"Error: {url} answers, but not as exit-exporter; see --url\n"
        )


@pytest.mark.parametrize("words", [["ps"], ["show", "x"], ["report"], ["wait", "x", "--retry-for", "0"]])
@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_an_answer_with_other_fields_is_one_line(kind: str, words: Sequence[str]) -> None:
    with other_server(Other(json.dumps({**ODD_ANSWERS[kind], "container_exit_code": 0}).encode())) as url:
        done = invoke(*words, "--url", url)
    assert done.code == (251 if words[0] == "wait" else 1)
    assert done.err == f"Error: {url} answers, but not as exit-exporter; see --url\n"


@pytest.mark.parametrize("words", [["ps"], ["show", "x"], ["report"], ["wait", "x", "--retry-for", "0"]])
def test_a_terminal_obeys_nothing_in_the_error_of_a_server(words: Sequence[str]) -> None:
    detail = json.dumps({"detail": "\x1b]0;mine\x07\x9b2J\rno"}).encode()
    with other_server(Other(detail, HTTPStatus.BAD_REQUEST, PROBLEM)) as url:
        assert invoke(*words, "--url", url).err == "Error: \ufffd]0;mine\ufffd\ufffd2J\ufffdno\n"


def test_a_terminal_obeys_nothing_in_why_a_list_is_empty() -> None:
    answer = {"detail": "\x1b[2J"}
    with other_server(Other(json.dumps(answer).encode(), HTTPStatus.SERVICE_UNAVAILABLE)) as url:
        assert ApiClient(url).not_ready_reason() == "\ufffd[2J"


@pytest.mark.parametrize(
    "words",
    [["ps"], ["explain", "137"], ["wait", "x", "--retry-for", "0.1s"]],
)
@pytest.mark.parametrize("url", [NOBODY, "http://[::1", "ftp://127.0.0.1", "http://127.0.0.1:1x"])
@pytest.mark.parametrize("between", ["", *" \t'/?#@[", "12/"])
def test_a_password_in_the_url_is_in_no_error(between: str, url: str, words: Sequence[str]) -> None:
    password = f"{between}{PASSWORD}{between}{PASSWORD}"
    done: Done = invoke(*words, "--url", url.replace("://", f"://ali:{password}@"))
    assert "[redacted]@" in done.err
    assert PASSWORD not in done.err


@pytest.mark.parametrize("words", [["serve", "--docker.host"], ["ps", "--url"], ["explain", "1", "--url"]])
def test_a_password_that_is_several_arguments_is_in_no_error(words: Sequence[str]) -> None:
    done: Done = invoke(*words, "tcp://ali:a", PASSWORD, f"{PASSWORD}@host:1")
    assert done.code == 2
    assert done.err.endswith("Error: Got unexpected extra arguments ([redacted]@host:1)\n")
