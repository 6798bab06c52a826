"""Registry of an engine's containers, and of the events received about them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from exporter.model import ContainerHistory
from exporter.sources.docker.engine import EVENT_BUFFER_SIZE, Event
from exporter.sources.docker.track.container import Container
from exporter.sources.docker.track.container_info import ContainerInfo

_MAX_REMOVED = 10_000
# A reconnect replays at most the engine's buffer. What is more is for what is received between reconnects
# that follow each other closely.
_SEEN_EVENTS = 8 * EVENT_BUFFER_SIZE

LoadHistory = Callable[[str], ContainerHistory | None]
# By the name of a supervised job: the ids of the containers that were made for it.
LoadSubmissions = Callable[[str], frozenset[str]]


class Containers:
    """The containers of one engine by id; ``load_history`` returns what is on record of one."""

    def __init__(self, load_history: LoadHistory) -> None:
        self._load_history = load_history
        self._containers: dict[str, Container] = {}
        self._removed_ids: OrderedDict[str, None] = OrderedDict()
        # The last ones, and as many before them: to drop each of the oldest by itself takes longer.
        self._seen_events: set[tuple[str, int]] = set()
        self._seen_before: set[tuple[str, int]] = set()
        # What an exporter before this one has received: any number of events of one run.
        self._recorded_events: dict[str, frozenset[int]] = {}

    def __iter__(self) -> Iterator[Container]:
        """Return all containers; they may be discarded during the iteration."""
        return iter(list(self._containers.values()))

    def __reversed__(self) -> Iterator[Container]:
        """Return all containers, the newest first; none may be discarded during the iteration."""
        return reversed(self._containers.values())

    def get(self, container_id: str) -> Container | None:
        """Return a container if it is known."""
        return self._containers.get(container_id)

    def get_or_create(self, container_id: str, *, is_new: bool = False) -> Container:
        """Return a container; load its history if it is not known yet, unless it ``is_new`` to the engine."""
        container = self._containers.get(container_id)
        if container is None:
            container = self._containers[container_id] = Container(ContainerInfo(container_id))
            history = None if is_new else self._load_history(container_id)
            if history is not None:
                container.load_history(history)
                self._recorded_events[container_id] = history.recorded_event_times
        return container

    def discard(self, container: Container) -> None:
        """Forget a container that was removed, and ignore it from now on."""
        self._containers.pop(container.id, None)
        self._recorded_events.pop(container.id, None)
        self._removed_ids[container.id] = None
        while len(self._removed_ids) > _MAX_REMOVED:
            self._removed_ids.popitem(last=False)

    def was_removed(self, container_id: str) -> bool:
        """Return whether it was discarded."""
        return container_id in self._removed_ids

    def mark_seen(self, event: Event) -> bool:
        """Mark an event as seen; return whether it was seen for the first time."""
        seen = (event.container_id, event.at_ns)
        if seen in self._seen_events or seen in self._seen_before:
            return False
        if len(self._seen_events) >= _SEEN_EVENTS:
            self._seen_before, self._seen_events = self._seen_events, set()
        self._seen_events.add(seen)
        return event.at_ns not in self._recorded_events.get(event.container_id, ())

    def forget_recorded(self) -> None:
        """Forget which events are on record: what was replayed since the start has been received."""
        self._recorded_events.clear()
