"""Files of Docker contexts: any that cannot be used is named, whatever is in its place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.sources.docker.api import context
from exporter.sources.docker.engine import EngineError

BROKEN: dict[str, Callable[[Path], object]] = {
    "nested too deeply": lambda path: path.write_text("[" * 200_000),
    "not UTF-8": lambda path: path.write_bytes(b'{"\xff": 1}'),
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "config.json"
    BROKEN[kind](file)
    with pytest.raises(EngineError) as refused:
        context.load(None, {"DOCKER_CONFIG": str(tmp_path)})
    assert str(refused.value).startswith(f"cannot read {file}: ")
    assert "\n" not in str(refused.value)


def test_a_path_that_no_file_can_have_is_named() -> None:
    with pytest.raises(EngineError, match="File name too long"):
        context.load(None, {"DOCKER_CONFIG": "/" + "a" * 300})


@pytest.mark.parametrize("directory", ["/dev/null", "/nowhere"])
def test_where_no_file_can_be_there_is_the_default(directory: str) -> None:
    assert context.load(None, {"DOCKER_CONFIG": directory}) is None
