"""``codes``: the catalogue in use, as a table, as JSON and as a page of somebody's docs."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import invoke
from tests.cli.other_servers import NOBODY
from tests.web.served import Served

OWN = """
reasons:
  BadShard:
    meaning: "A shard | is *broken*."
    recovery: retry
    causes: ["The disk <b>died</b>"]
codes:
  42: {reason: BadShard}
workloads:
  "train-*":
    43: {reason: BadShard}
images:
  "*/loader":
    3: {reason: BadShard}
"""


@pytest.fixture
def with_own_codes(served: Served) -> Served:
    """The server with a catalogue of a team."""
    served.catalogue_file.write_text(OWN)
    served.catalog.reload()
    return served


def rows(served: Served) -> list[str]:
    """Return the table's rows, with single spaces."""
    return [" ".join(line.split()) for line in invoke("codes", "--url", served.url).out.splitlines()]


def test_a_team_sees_its_own_codes_beside_ours(with_own_codes: Served) -> None:
    found = rows(with_own_codes)
    assert found[0] == "CODE FOR REASON RECOVERY MEANING"
    for row in (
        "42 BadShard retry A shard | is *broken*.",
        "43 workload train-* BadShard retry A shard | is *broken*.",
        "3 image */loader BadShard retry A shard | is *broken*.",
    ):
        assert row in found
    assert any(row.startswith("by evidence OOMKilled more-memory Memory had run out") for row in found)


def test_json_is_the_answer_of_the_api(with_own_codes: Served) -> None:
    done = invoke("codes", "--format", "json", "--url", with_own_codes.url)
    assert json.loads(done.out) == with_own_codes.ask("/api/v1/reasons").json()


def test_a_page_of_docs_shows_text_as_text(with_own_codes: Served) -> None:
    lines = invoke("codes", "--format", "markdown", "--url", with_own_codes.url).out.splitlines()
    row = r"| 42 | all | `BadShard` | retry | A shard \| is \*broken\*. | The disk \<b\>died\</b\> |"
    assert row in lines
    assert any(line.startswith("| 3 | `image */loader` | `BadShard` |") for line in lines)
    assert {line.replace(r"\|", "").count("|") for line in lines} == {7}


def test_without_a_server_it_is_the_built_in_catalogue() -> None:
    done = invoke("codes", "--url", NOBODY)
    assert (done.code, "FOR" in done.out.splitlines()[0]) == (0, False)
    assert done.err.endswith("From the built-in catalogue:\n\n")
