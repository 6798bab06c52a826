"""What a summary costs, in counts that are the same on any machine: statements, and calls of functions.

The limits are about a third more than what was counted.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request

from exporter.store import Batch, Store
from exporter.web.summary import SummaryApi
from tests.contract.test_exit_cost import calls_of
from tests.store.files import opened
from tests.store.plans import statements_of
from tests.web.made_up_runs import killed, run

# What is on record, the exits, the OOM kills, the limits, the months, and the completed runs.
QUERIES = 6
# By number of workloads. Counted: 2,492 and 9,346; 7,413 and 17,419 before queries were kept, and before
# views were dictionaries.
MAX_CALLS = {5: 3300, 55: 12400}


def summarize(store: Store) -> Callable[[], object]:
    """Return what answers with the summary of the first week of the made-up runs."""
    query = b"since=2100-01-01&until=2100-01-08"
    request = Request({"type": "http", "headers": [], "query_string": query})
    return lambda: SummaryApi(store).summary(request)


@pytest.mark.parametrize("workloads", MAX_CALLS)
def test_it_takes_few_statements_and_calls_for_many_workloads(workloads: int, tmp_path: Path) -> None:
    names = [f"team-{number}" for number in range(workloads)]
    exits = [
        each
        for name in names
        for each in (killed(name, 1, 512), *(run(name, hour, 0, 1024) for hour in (2, 3, 4)))
    ]
    with opened(tmp_path / "exits.db") as store:
        store.commit(Batch(ended=exits))
        answer = summarize(store)
        # Queries are made and compiled once.
        answer()
        statements = [each for each, _ in statements_of(store, answer) if each != "BEGIN"]
        assert len(statements) == QUERIES
        assert calls_of(answer) <= MAX_CALLS[workloads]
