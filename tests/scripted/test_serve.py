"""The command that serves a file of events in a process of its own, for benchmarks."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import requests
from docker import APIClient

from tests.scripted.reading import get, lines, past_events

ROOT = Path(__file__).parents[2]
COUNT = 2000


@contextmanager
def served(*words: str | Path) -> Iterator[APIClient]:
    """Run the command and give a client of it; at the end it must stop as asked, with 0."""
    command = [sys.executable, "-m", "tests.scripted.serve", *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with closing(APIClient(base_url=url, version="auto")) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def tape(directory: Path) -> Path:
    """Write a file of events, one of them no JSON."""
    file = directory / "events.jsonl"
    events = [json.dumps({"timeNano": number}) for number in range(COUNT)]
    file.write_text("\n".join([*events, "nonsense", ""]), encoding="utf-8")
    return file


def test_every_stream_gets_the_whole_file_as_it_is_and_stays_open(tmp_path: Path) -> None:
    file = tape(tmp_path)
    with served(tmp_path / "s.sock", file) as client:
        for query in ({}, {"since": "99999999999"}):
            with lines(client, **query) as stream:
                assert list(islice(stream, COUNT + 1)) == file.read_bytes().splitlines()


def test_a_query_with_an_end_gets_its_time_alone(tmp_path: Path) -> None:
    with served(tmp_path / "s.sock", tape(tmp_path)) as client:
        found = past_events(client, since="0.000000005", until="0.000000007")
    assert found == [{"timeNano": number} for number in (5, 6, 7)]


def test_without_containers_an_inspect_answers_404(tmp_path: Path) -> None:
    with served(tmp_path / "s.sock", tape(tmp_path)) as client:
        assert get(client, "/containers/aa/json").status_code == requests.codes.not_found


def test_with_containers_an_inspect_answers_from_the_file(tmp_path: Path) -> None:
    containers = tmp_path / "containers.jsonl"
    containers.write_text('{"Id":"aa"}\n{"Id":"bb"}\n', encoding="utf-8")
    with served(tmp_path / "s.sock", tape(tmp_path), "--containers", containers) as client:
        assert get(client, "/containers/bb/json").json() == {"Id": "bb"}
