"""The API's own description: valid, complete, and true of every real answer."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from exporter.model import LimitOwner, OomKill, OomSource, OomVictim
from exporter.store import Batch
from tests.store.samples import OOM, ended, job
from tests.web.served import Served

Answer = tuple[str, str, int]

JOBS, JOB = "/api/v1/jobs", "/api/v1/jobs/{id}"
REASONS, REASON = "/api/v1/reasons", "/api/v1/reasons/{code}"
METRICS, HEALTHY, READY, RELOAD = "/metrics", "/-/healthy", "/-/ready", "/-/reload"
PARAMETERS = {
    f"GET {JOBS}": ["status", "reason", "code", "workload", "since", "limit", "cursor"],
    f"GET {JOB}": ["{id}"],
    f"GET {REASONS}": [],
    f"GET {REASON}": ["{code}", "workload", "image"],
    f"GET {METRICS}": ["name[]"],
    f"GET {HEALTHY}": [],
    f"GET {READY}": [],
    f"POST {RELOAD}": [],
}


def nothing(_served: Served) -> None:
    """Leave all as it is."""


def break_store(served: Served) -> None:
    """Have the store fail."""
    served.break_store()


def die(served: Served) -> None:
    """Have the pipeline end."""
    served.alive = False


def be_in_trouble(served: Served) -> None:
    """Have something stand in the way."""
    served.health.set_unready("store", "/exits.db: database or disk is full")


def spoil(served: Served) -> None:
    """Write a catalogue that must be refused."""
    served.catalogue_file.write_text("codes: {1: Nowhere}\n", encoding="utf-8")


# What must have happened, and what is then asked, for each answer that is documented.
ANSWERS: dict[Answer, tuple[Callable[[Served], None], str]] = {
    ("get", JOBS, 200): (nothing, "/api/v1/jobs?limit=1"),
    ("get", JOBS, 400): (nothing, "/api/v1/jobs?limit=0"),
    ("get", JOBS, 503): (break_store, "/api/v1/jobs"),
    ("get", JOB, 200): (nothing, "/api/v1/jobs/gentle-stingray-a"),
    ("get", JOB, 400): (nothing, "/api/v1/jobs/gentle-stingray-a?colour=red"),
    ("get", JOB, 404): (nothing, "/api/v1/jobs/nobody"),
    ("get", JOB, 503): (break_store, "/api/v1/jobs/nobody"),
    ("get", REASONS, 200): (nothing, "/api/v1/reasons"),
    ("get", REASONS, 400): (nothing, "/api/v1/reasons?colour=red"),
    ("get", REASON, 200): (nothing, "/api/v1/reasons/137?workload=w"),
    ("get", REASON, 400): (nothing, "/api/v1/reasons/x"),
    ("get", METRICS, 200): (nothing, "/metrics"),
    ("get", HEALTHY, 200): (nothing, "/-/healthy"),
    ("get", HEALTHY, 500): (die, "/-/healthy"),
    ("get", READY, 200): (nothing, "/-/ready"),
    ("get", READY, 503): (be_in_trouble, "/-/ready"),
    ("post", RELOAD, 200): (nothing, "/-/reload"),
    ("post", RELOAD, 422): (spoil, "/-/reload"),
}


@pytest.fixture
def document(served: Served) -> Any:
    """Give the description, as it is served, with a running and an ended job on record."""
    killed = job("a", oom_kills=(OomKill(OomSource.LOG, 1, OomVictim(LimitOwner.OWN, "/a", "java", 7)),))
    served.store.commit(Batch(running=[job("b")], ended=[ended(killed, 137, OOM, oom_kills=1)]))
    return served.ask("/openapi.json").json()


def operations(document: Any) -> dict[str, Any]:
    """Give all operations, by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def check(value: object, schema: Any, document: Any) -> None:
    """Hold a value to a schema of the description."""
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def test_it_is_a_valid_openapi_document(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")


def test_it_is_served_as_json(served: Served) -> None:
    answer = served.ask("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (HTTPStatus.OK, "application/json")


def test_every_path_and_every_parameter_is_described_and_no_others(document: Any) -> None:
    described = {
        name: [
            f"{{{parameter['name']}}}" if parameter["in"] == "path" else parameter["name"]
            for parameter in operation["parameters"]
        ]
        for name, operation in operations(document).items()
    }
    assert described == PARAMETERS


def test_every_parameter_of_a_query_says_what_it_does(document: Any) -> None:
    silent = [
        (name, parameter["name"])
        for name, operation in operations(document).items()
        for parameter in operation["parameters"]
        if parameter["in"] == "query" and not parameter["description"].endswith(".")
    ]
    assert silent == []


def test_every_operation_has_a_name_of_its_own(document: Any) -> None:
    names = [operation["operationId"] for operation in operations(document).values()]
    assert sorted(names) == sorted(set(names))


def test_every_answer_that_is_described_really_happens(document: Any) -> None:
    described = {
        (method, path, int(status))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    assert described == set(ANSWERS)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: " ".join(map(str, answer)))
def test_a_real_answer_is_as_it_is_described(served: Served, document: Any, answer: Answer) -> None:
    method, path, status = answer
    prepare, asked = ANSWERS[answer]
    prepare(served)
    real = served.ask(asked, method.upper())
    assert real.status_code == status
    described = document["paths"][path][method]["responses"][str(status)]["content"]
    media_type = real.headers["content-type"].partition(";")[0]
    assert media_type in described
    check(real.text if media_type == "text/plain" else real.json(), described[media_type]["schema"], document)


def test_an_openmetrics_answer_is_described_too(served: Served, document: Any) -> None:
    real = served.ask("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    described = document["paths"][METRICS]["get"]["responses"]["200"]["content"]
    assert real.headers["content-type"].partition(";")[0] in described


@pytest.mark.parametrize(
    "name", ["JobView", "OomProcessView", "HolderView", "JobPage", "ReasonView", "ReadingView", "CodeView"]
)
def test_every_field_that_is_described_always_comes(document: Any, name: str) -> None:
    schema = document["components"]["schemas"][name]
    assert sorted(schema["required"]) == sorted(schema["properties"])


def test_a_job_is_described_with_all_fields_of_the_contract(document: Any) -> None:
    contract = (
        "id name container_id instance workload image status container_exit_code reason termination error "
        "recovery attempt oom_kills memory_limit_bytes created_at started_at finished_at trace_id"
    )
    assert set(contract.split()) <= set(document["components"]["schemas"]["JobView"]["required"])


def test_a_wrong_answer_would_be_noticed(served: Served, document: Any) -> None:
    schema = {"$ref": "#/components/schemas/JobPage"}
    page = served.ask("/api/v1/jobs").json()
    for name, wrong in (
        ("status", "broken"),
        ("container_exit_code", -1),
        ("finished_at", "now"),
        ("id", None),
    ):
        spoilt = {**page, "jobs": [{**page["jobs"][0], name: wrong}]}
        with pytest.raises(Exception, match=re.escape(repr(wrong))):
            check(spoilt, schema, document)


GOOD_VALUES: dict[str, dict[str, list[Any]]] = {
    JOBS: {
        "status": ["failed"],
        "reason": ["OOMKilled"],
        "code": [0, 4294967295],
        "workload": ["shop/worker"],
        "since": ["2h", "0"],
        "limit": [1, 1000],
        "cursor": ["NDEwMjQ0NDgwMDAwMDAwMDAwMDpiYmJiYmJiYmJiYmItMQ"],
    },
    REASON: {"workload": ["shop/worker"], "image": ["registry.example/shop/worker"]},
}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        (path, name, value)
        for path, parameters in GOOD_VALUES.items()
        for name, values in parameters.items()
        for value in values
    ],
)
def test_a_good_value_of_a_parameter_is_good_by_the_description_too(
    served: Served, document: Any, path: str, name: str, value: object
) -> None:
    (parameter,) = [each for each in document["paths"][path]["get"]["parameters"] if each["name"] == name]
    check(value, parameter["schema"], document)
    assert served.ask(path.format(code=1), params={name: value}).status_code == HTTPStatus.OK


def examples_of(schema: Any) -> list[Any]:
    """Give all examples of a schema."""
    inner = [each for part in schema.get("anyOf", []) for each in examples_of(part)]
    return [*schema.get("examples", []), *inner]


def test_every_example_is_a_good_value(served: Served, document: Any) -> None:
    examples = {
        (path, parameter["name"]): examples_of(parameter["schema"])
        for path, methods in document["paths"].items()
        for parameter in methods.get("get", {}).get("parameters", [])
        if examples_of(parameter["schema"])
    }
    assert [*examples] == [(JOBS, "since")]
    for (path, name), values in examples.items():
        for value in values:
            assert served.ask(path, params={name: value}).status_code == HTTPStatus.OK
