"""The OpenAPI document: valid, complete, and true of real responses."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from exporter.model import LimitOwner, OomKill, OomSource, OomVictim
from exporter.store import Batch
from tests.store.samples import OOM, ended, job
from tests.web.served import Served

JOBS, JOB = "/api/v1/jobs", "/api/v1/jobs/{id}"
STREAM = "/api/v1/stream"
REASONS, REASON = "/api/v1/reasons", "/api/v1/reasons/{code}"
SUMMARY = "/api/v1/summary"
METRICS, HEALTHY, READY, RELOAD = "/metrics", "/-/healthy", "/-/ready", "/-/reload"
PRIVATE = (JOBS, JOB, STREAM, SUMMARY, REASONS, REASON)
HEADERS = {403: {"Sec-Fetch-Site": "cross-site"}, 421: {"Host": "evil.example"}}
"""By status, headers that lead to it."""

PARAMETERS = {
    f"GET {JOBS}": [
        *("status", "reason", "code", "workload", "dstack_job_id"),
        *("host", "text", "casualties", "since", "until", "limit", "cursor"),
    ],
    f"GET {JOB}": ["{id}"],
    f"GET {STREAM}": ["status", "reason", "workload", "host", "last_event_id"],
    f"GET {REASONS}": [],
    f"GET {REASON}": ["{code}", "workload", "image"],
    f"GET {SUMMARY}": ["since", "until", "workload", "host"],
    f"GET {METRICS}": ["name[]"],
    f"GET {HEALTHY}": [],
    f"GET {READY}": [],
    f"POST {RELOAD}": [],
}


def nothing(_served: Served) -> None:
    """Change nothing."""


def add_alike(served: Served) -> None:
    """Add another container whose id begins in the same way."""
    served.store.commit(Batch(running=[job("a", container_id="aaaaaa" + "b" * 58, name="alike")]))


def break_store(served: Served) -> None:
    """Make the store fail."""
    served.break_store()


def end_streams(served: Served) -> None:
    """Let each stream end after its opening."""
    served.feed.end()


def end_pipeline(served: Served) -> None:
    """Let the pipeline end."""
    served.alive = False


def set_unready(served: Served) -> None:
    """Let a component be unready."""
    served.health.set_unready("store", "/exits.db: database or disk is full")


def break_catalogue(served: Served) -> None:
    """Write a bad catalogue file."""
    served.catalogue_file.write_text("codes: {1: Nowhere}\n", encoding="utf-8")


def first_event(response: requests.Response) -> dict[str, str]:
    """Return the fields of the first event of a stream, which follows its opening."""
    _, event, *_ = response.text.split("\n\n")
    return dict(line.split(": ", 1) for line in event.splitlines())


READERS: dict[str, Callable[[requests.Response], object]] = {
    "application/json": requests.Response.json,
    "application/problem+json": requests.Response.json,
    "text/plain": lambda response: response.text,
    "text/event-stream": first_event,
}

Documented = tuple[str, str, int]
RESPONSES: dict[Documented, tuple[Callable[[Served], None], str]] = {
    ("get", JOBS, 200): (nothing, "/api/v1/jobs?limit=1"),
    ("get", JOBS, 400): (nothing, "/api/v1/jobs?limit=0"),
    ("get", JOBS, 503): (break_store, "/api/v1/jobs"),
    ("get", JOB, 200): (nothing, "/api/v1/jobs/gentle-stingray-a"),
    ("get", JOB, 400): (nothing, "/api/v1/jobs/gentle-stingray-a?colour=red"),
    ("get", JOB, 404): (nothing, "/api/v1/jobs/nobody"),
    ("get", JOB, 409): (add_alike, "/api/v1/jobs/aaaaaa"),
    ("get", JOB, 503): (break_store, "/api/v1/jobs/nobody"),
    ("get", STREAM, 200): (end_streams, f"{STREAM}?last_event_id=unknown"),
    ("get", STREAM, 400): (nothing, f"{STREAM}?status=asleep"),
    ("get", STREAM, 503): (break_store, STREAM),
    ("get", REASONS, 200): (nothing, "/api/v1/reasons"),
    ("get", REASONS, 400): (nothing, "/api/v1/reasons?colour=red"),
    ("get", REASON, 200): (nothing, "/api/v1/reasons/137?workload=w"),
    ("get", REASON, 400): (nothing, "/api/v1/reasons/x"),
    ("get", SUMMARY, 200): (nothing, "/api/v1/summary?since=2099-12-31&until=2100-02-01"),
    ("get", SUMMARY, 400): (nothing, "/api/v1/summary?since=1h&until=2h"),
    ("get", SUMMARY, 503): (break_store, "/api/v1/summary"),
    ("get", METRICS, 200): (nothing, "/metrics"),
    ("get", HEALTHY, 200): (nothing, "/-/healthy"),
    ("get", HEALTHY, 500): (end_pipeline, "/-/healthy"),
    ("get", READY, 200): (nothing, "/-/ready"),
    ("get", READY, 503): (set_unready, "/-/ready"),
    ("post", RELOAD, 200): (nothing, "/-/reload"),
    ("post", RELOAD, 403): (nothing, "/-/reload"),
    ("post", RELOAD, 422): (break_catalogue, "/-/reload"),
    **{("get", path, 421): (nothing, path.format(id="x", code=1)) for path in PRIVATE},
    ("post", RELOAD, 421): (nothing, "/-/reload"),
}
"""For each documented response, what leads to it and the path of the request."""


@pytest.fixture
def document(served: Served) -> Any:
    """Return the document that is served, with a running and an ended job on record."""
    killed = job("a", oom_kills=(OomKill(OomSource.LOG, 1, OomVictim(LimitOwner.OWN, "/a", "java", 7)),))
    served.store.commit(Batch(running=[job("b")], ended=[ended(killed, 137, OOM, oom_kills=1)]))
    response = served.ask("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    return response.json()


def operations(document: Any) -> dict[str, Any]:
    """Return all operations, by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def validate(value: object, schema: Any, document: Any) -> None:
    """Validate a value against a schema of the document."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # takes seconds, in each worker

    complete = {**schema, "components": document["components"]}
    Draft202012Validator(complete, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def test_it_is_a_valid_openapi_document(document: Any) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415  # imports jsonschema

    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_it_has_every_path_and_parameter(document: Any) -> None:
    parameters = {name: operation["parameters"] for name, operation in operations(document).items()}
    names = {
        name: [f"{{{each['name']}}}" if each["in"] == "path" else each["name"] for each in found]
        for name, found in parameters.items()
    }
    assert names == PARAMETERS
    in_query = [each for found in parameters.values() for each in found if each["in"] == "query"]
    assert [each["name"] for each in in_query if not each["description"].endswith(".")] == []


def test_every_documented_response_is_tried_here(document: Any) -> None:
    documented = {
        (method, path, int(status))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    assert documented == set(RESPONSES)


@pytest.mark.parametrize("documented", RESPONSES, ids=lambda documented: " ".join(map(str, documented)))
def test_a_real_response_is_as_documented(served: Served, document: Any, documented: Documented) -> None:
    method, path, status = documented
    prepare, target = RESPONSES[documented]
    prepare(served)
    response = served.ask(target, method.upper(), headers=HEADERS.get(status))
    assert response.status_code == status
    media_types = document["paths"][path][method]["responses"][str(status)]["content"]
    media_type = response.headers["content-type"].partition(";")[0]
    validate(READERS[media_type](response), media_types[media_type]["schema"], document)


def test_openmetrics_is_documented(served: Served, document: Any) -> None:
    response = served.ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    media_types = document["paths"][METRICS]["get"]["responses"]["200"]["content"]
    assert response.headers["content-type"].partition(";")[0] in media_types


@pytest.mark.parametrize(
    "name",
    [
        "JobView",
        "OomProcessView",
        "HolderView",
        "JobPage",
        "ReasonView",
        "ReadingView",
        "CodeView",
        "SummaryView",
        "WorkloadSummaryView",
        "MemoryView",
    ],
)
def test_all_fields_are_required(document: Any, name: str) -> None:
    schema = document["components"]["schemas"][name]
    assert sorted(schema["required"]) == sorted(schema["properties"])


def test_a_job_has_all_promised_fields(document: Any) -> None:
    promised = (
        "id name container_id instance workload image status container_exit_code reason termination error "
        "recovery attempt oom_kills memory_limit_bytes created_at started_at finished_at trace_id"
    )
    assert set(promised.split()) <= set(document["components"]["schemas"]["JobView"]["required"])


def test_the_example_of_a_summary_is_one(document: Any) -> None:
    schema = document["components"]["schemas"]["SummaryView"]
    for example in schema["examples"]:
        validate(example, {"$ref": "#/components/schemas/SummaryView"}, document)
        assert example["workloads"][0]["memory"]["raised"]["result"] == "helped"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("status", "broken"), ("container_exit_code", -1), ("finished_at", "now"), ("id", None)],
)
def test_a_wrong_field_fails_the_validation(served: Served, document: Any, name: str, wrong: object) -> None:
    page = served.ask("/api/v1/jobs").json()
    page["jobs"][0][name] = wrong
    with pytest.raises(Exception, match=re.escape(repr(wrong))):
        validate(page, {"$ref": "#/components/schemas/JobPage"}, document)


VALUES: dict[tuple[str, str], list[Any]] = {
    (JOBS, "status"): ["failed"],
    (JOBS, "reason"): ["OOMKilled"],
    (JOBS, "code"): [0, 4294967295],
    (JOBS, "workload"): ["shop/worker"],
    (JOBS, "host"): ["node-1"],
    (JOBS, "text"): ["worker", "x" * 200],
    (JOBS, "casualties"): [True, False],
    (JOBS, "since"): ["2h", "0"],
    (JOBS, "until"): ["2h", "2026-03-01T12:00:00.5+01:00"],
    (JOBS, "limit"): [1, 500],
    (JOBS, "cursor"): ["NDEwMjQ0NDgwMDAwMDAwMDAwMDpiYmJiYmJiYmJiYmItMQ"],
    (SUMMARY, "since"): ["2h"],
    (SUMMARY, "until"): ["2h"],
    (SUMMARY, "workload"): ["shop/worker"],
    (SUMMARY, "host"): ["node-1"],
    (REASON, "workload"): ["shop/worker"],
    (REASON, "image"): ["registry.example/shop/worker"],
}


@pytest.mark.parametrize(("path", "name"), VALUES)
def test_accepted_values_and_examples_are_valid(served: Served, document: Any, path: str, name: str) -> None:
    (parameter,) = [each for each in document["paths"][path]["get"]["parameters"] if each["name"] == name]
    examples = examples_of(parameter["schema"])
    assert bool(examples) == (name in {"since", "until"})
    for value in (*VALUES[path, name], *examples):
        validate(value, parameter["schema"], document)
        assert served.ask(path.format(code=1), params={name: value}).status_code == 200


def examples_of(schema: Any) -> list[Any]:
    """Return all examples of a schema."""
    inner = [each for part in schema.get("anyOf", []) for each in examples_of(part)]
    return [*schema.get("examples", []), *inner]
