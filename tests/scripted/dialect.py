"""How an engine tells its events, by the version of its API: a test emits them in any form."""

from collections.abc import Mapping
from typing import Any

from tests.scripted.times import SECOND
from tests.scripted.wire import JSON, JSON_LINES

FIRST_WITH_DURATIONS = (1, 43)
FIRST_WITH_JSON_LINES = (1, 52)
"""The first version whose events have no `id`, `status` and `from` beside what they say of their actor."""

TWICE_TOLD = {"id", "status", "from"}


class Dialect:
    """Puts events into the form of one version, and remembers starts for it."""

    def __init__(self, newest: tuple[int, ...]) -> None:
        self._newest = newest
        self._started: dict[str, int] = {}

    def told(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Give the event as this version tells it."""
        told = dict(event)
        if self._newest >= FIRST_WITH_JSON_LINES:
            told = {key: value for key, value in event.items() if key not in TWICE_TOLD}
        if self._newest >= FIRST_WITH_DURATIONS and event.get("Type") == "container":
            return self._with_duration(told)
        return told

    def _with_duration(self, event: dict[str, Any]) -> dict[str, Any]:
        """Add to an end for how many whole seconds the container ran."""
        container, moment = event["Actor"]["ID"], event.get("timeNano", 0)
        if event["Action"] == "start":
            self._started[container] = moment
        if event["Action"] != "die":
            return event
        seconds = (moment - self._started.get(container, moment)) // SECOND
        attributes = {"execDuration": str(seconds), **event["Actor"].get("Attributes", {})}
        return {**event, "Actor": {**event["Actor"], "Attributes": attributes}}


def stream_type(version: tuple[int, ...]) -> str:
    """Give the content type of a stream that was asked for in this version."""
    return JSON_LINES if version >= FIRST_WITH_JSON_LINES else JSON
