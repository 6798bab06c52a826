"""The list of containers of an engine that goes away meanwhile."""

from typing import cast

from exporter.model import Cursor
from exporter.sources.docker.engine import Engine, EngineInfo, Event, EventStream
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.connection import Connection
from exporter.sources.docker.watch.listing import list_containers


class Stream:
    def close(self) -> None:
        """Close nothing."""


class EngineThatGoes:
    """Engine with three containers, whose connection ends while the first is inspected."""

    def __init__(self) -> None:
        info = EngineInfo("host", "29", "linux", 1, 1)
        self.connection = Connection(info, cast("EventStream", Stream()), Cursor(0, 0), None, WatchConfig())
        self.inspected: list[str] = []

    def container_ids(self) -> list[str]:
        return ["a", "b", "c"]

    def inspect(self, container_id: str) -> None:
        self.inspected.append(container_id)
        self.connection.close()

    def event_buffer_complete(self, now_ns: int) -> bool:
        return bool(now_ns)

    def buffered_events(self, since_ns: int, until_ns: int) -> list[Event]:
        assert since_ns <= until_ns
        return []


def test_an_engine_that_has_gone_is_not_asked_for_its_other_containers() -> None:
    engine = EngineThatGoes()
    list_containers(cast("Engine", engine), engine.connection)
    assert engine.inspected == ["a"]
