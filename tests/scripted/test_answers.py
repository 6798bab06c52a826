"""The scripted engine and the recorded ones give the same answers, byte for byte."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from tests.scripted.answers import REQUESTS, ask, recorded_answers
from tests.scripted.engine import ScriptedEngine

RECORDED = [(api, recorded) for api in ("1.41", "1.56") for recorded in recorded_answers(api)]


@pytest.mark.parametrize(
    ("api", "recorded"), RECORDED, ids=[f"{api} {each['method']} {each['target']}" for api, each in RECORDED]
)
def test_it_answers_as_the_real_engine_did(tmp_path: Path, api: str, recorded: dict[str, Any]) -> None:
    with ScriptedEngine(tmp_path, api=api) as engine, closing(APIClient(engine.url, "auto")) as client:
        assert ask(client, recorded["method"], recorded["target"]) == recorded


@pytest.mark.parametrize("api", ["1.41", "1.56"])
def test_every_request_was_recorded(api: str) -> None:
    assert [(each["method"], each["target"]) for each in recorded_answers(api)] == list(REQUESTS)
