"""Form of events by the version of the API; tests may emit them in any form."""

from collections.abc import Mapping
from typing import Any

from tests.scripted.times import SECOND
from tests.scripted.wire import JSON, JSON_LINES

FIRST_WITH_DURATIONS = (1, 43)
FIRST_WITH_JSON_LINES = (1, 52)
"""First version whose events have no `id`, `status` and `from` at the top level."""

REDUNDANT_KEYS = {"id", "status", "from"}


class Dialect:
    """Converts events to the form of one version."""

    def __init__(self, newest: tuple[int, ...]) -> None:
        self._newest = newest
        self._started: dict[str, int] = {}

    def convert(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event in the form of this version."""
        converted = dict(event)
        if self._newest >= FIRST_WITH_JSON_LINES:
            converted = {key: value for key, value in event.items() if key not in REDUNDANT_KEYS}
        if self._newest >= FIRST_WITH_DURATIONS and event.get("Type") == "container":
            return self._with_duration(converted)
        return converted

    def _with_duration(self, event: dict[str, Any]) -> dict[str, Any]:
        """Add to `die` for how many whole seconds the container ran."""
        container, moment = event["Actor"]["ID"], event.get("timeNano", 0)
        if event["Action"] == "start":
            self._started[container] = moment
        if event["Action"] != "die":
            return event
        seconds = (moment - self._started.get(container, moment)) // SECOND
        attributes = {"execDuration": str(seconds), **event["Actor"].get("Attributes", {})}
        return {**event, "Actor": {**event["Actor"], "Attributes": attributes}}


def stream_type(version: tuple[int, ...]) -> str:
    """Return the content type of a stream in this version."""
    return JSON_LINES if version >= FIRST_WITH_JSON_LINES else JSON
