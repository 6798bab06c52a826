"""The scripted engine and the recorded one give the same answers, byte for byte."""

from typing import Any

import pytest
from docker import APIClient

from tests.scripted.answers import REQUESTS, ask, recorded_answers


@pytest.mark.parametrize(
    "recorded", recorded_answers(), ids=lambda each: f"{each['method']} {each['target']}"
)
def test_it_answers_as_the_real_engine_did(client: APIClient, recorded: dict[str, Any]) -> None:
    assert ask(client, recorded["method"], recorded["target"]) == recorded


def test_every_request_was_recorded() -> None:
    assert [(each["method"], each["target"]) for each in recorded_answers()] == list(REQUESTS)
