"""What schemathesis makes of the OpenAPI document: requests of every kind, and answers as documented."""

from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from exporter.store import Batch
from tests.store.samples import OOM, ended, job
from tests.web.served import Served

REQUESTS = 40
UNDOCUMENTED = {
    "/api/v1/jobs": {"reason", "cursor"},
    "/api/v1/stream": {"reason"},
    "/api/v1/summary": {"since"},
}
"""Parameters of which no schema can have all valid values: the catalogue's, what a page before gave, and what
must be before another one."""


@pytest.fixture
def schema(served: Served) -> BaseSchema:
    """The document of a server with a running and an ended job."""
    served.store.commit(Batch(running=[job("b")], ended=[ended(job("a"), 137, OOM, oom_kills=1)]))
    # A stream ends after its first message then.
    served.feed.end()
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_documented(schema: BaseSchema, mode: GenerationMode) -> None:
    """A 500, another status, type or body than documented, and a wrong request that is accepted fail."""
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    asked = []
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not len(operation.query):
            continue

        @given(operation.as_strategy(mode))
        @settings(max_examples=REQUESTS)
        def is_as_documented(case: schemathesis.Case[Any]) -> None:
            free = UNDOCUMENTED.get(case.path, set()) & set(case.query or ()) or "code" in (
                case.path_parameters or ()
            )
            case.call_and_validate(excluded_checks=[positive_data_acceptance] if free else [])

        is_as_documented()
        asked.append(operation.path)
    assert set(UNDOCUMENTED) <= set(asked)
