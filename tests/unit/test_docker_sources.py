"""Sources of several engines, as the settings name them."""

import pytest

from exporter.config.settings import Settings
from exporter.sources.docker.source import _watch_config


@pytest.mark.parametrize(("engines", "threads"), [(1, 16), (4, 16), (8, 8), (100, 4)])
def test_engines_share_the_threads_that_inspect(engines: int, threads: int) -> None:
    assert _watch_config(Settings(), engines).inspect_threads == threads
