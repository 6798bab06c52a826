"""Requests that need no container, and their recorded answers: the scripted engine must give the same."""

import json
from pathlib import Path
from typing import Any

from docker import APIClient

DIRECTORY = Path(__file__).parent

REQUESTS = (
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("HEAD", "/info"),
    ("GET", "/nonsense"),
    ("GET", "/v1.41/nonsense"),
    ("GET", "/v1.99/info"),
    ("GET", "/v1.10/info"),
    ("GET", "/containers/nope/json"),
    ("GET", "/v1.41/containers/nope/json"),
    ("GET", "/events?until=5"),
    ("GET", "/events?since=1.5&until=2.5"),
    ("GET", "/events?since=20&until=10"),
    ("GET", "/events?since=7.000000002&until=7.000000001"),
    ("GET", "/events?since=x"),
    ("GET", "/events?since=2026-11-23T21:00:00Z"),
    ("GET", "/events?until=1.y"),
    ("GET", "/events?filters=x"),
    ("GET", '/events?until=5&filters={"bogus":["a"]}'),
    ("GET", '/events?until=5&filters={"type":{"container":true}}'),
)


def ask(client: APIClient, method: str, target: str) -> dict[str, Any]:
    """Return the answer to a request, for comparison."""
    answer = client.request(method, f"{client.base_url}{target}")
    return {
        "method": method,
        "target": target,
        "status": answer.status_code,
        "content_type": answer.headers["Content-Type"],
        "framing": answer.headers.get("Transfer-Encoding") or answer.headers["Content-Length"],
        "body": answer.text,
    }


def record_answers(client: APIClient, file: Path) -> None:
    """Record the answers of an engine."""
    answers = [ask(client, method, target) for method, target in REQUESTS]
    file.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


def recorded_answers(api: str) -> list[dict[str, Any]]:
    """Return the recorded answers of an engine with this version of the API."""
    answers: list[dict[str, Any]] = json.loads(answers_file(api).read_text(encoding="utf-8"))
    return answers


def answers_file(api: str) -> Path:
    """Return the file of the answers of engines with this version."""
    return DIRECTORY / f"answers-{api}.json"
