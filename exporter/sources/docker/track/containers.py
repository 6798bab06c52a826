"""Which containers are known, and which events about them have been told already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from exporter.model import ContainerHistory
from exporter.sources.docker.engine import Event
from exporter.sources.docker.track.run import Container

_GONE_REMEMBERED = 10_000
# An engine remembers 256 events, and is asked for a second's worth that has been read already.
_TOLD_REMEMBERED = 2_048

LoadHistory = Callable[[str], ContainerHistory | None]


class Containers:
    """The containers of one engine; ``recall`` says what is on record of one that is met anew."""

    def __init__(self, load_history: LoadHistory) -> None:
        self._recall = load_history
        self._known: dict[str, Container] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()

    def __iter__(self) -> Iterator[Container]:
        """All that are known now; they may be let go of meanwhile."""
        return iter(list(self._known.values()))

    def get(self, container_id: str) -> Container | None:
        """One, if it is known."""
        return self._known.get(container_id)

    def meet(self, container_id: str, *, is_new: bool = False) -> Container:
        """One, known or not. What ``is_new`` has no past; asking the store would only cost."""
        container = self._known.get(container_id)
        if container is None:
            container = self._known[container_id] = Container(container_id)
            past = None if is_new else self._recall(container_id)
            if past is not None:
                container.remember(past)
                for at_ns in past.recorded_event_times:
                    self._note_told(container_id, at_ns)
        return container

    def let_go(self, container: Container) -> None:
        """One is removed, and nothing about it is open."""
        self._known.pop(container.id, None)
        self._gone[container.id] = None
        while len(self._gone) > _GONE_REMEMBERED:
            self._gone.popitem(last=False)

    def is_gone(self, container_id: str) -> bool:
        """Whether it was let go of."""
        return container_id in self._gone

    def is_told(self, event: Event) -> bool:
        """Whether this very event has come before; from now on it has."""
        known = (event.container_id, event.at_ns) in self._told
        self._note_told(event.container_id, event.at_ns)
        return known

    def _note_told(self, container_id: str, at_ns: int) -> None:
        self._told[container_id, at_ns] = None
        if len(self._told) > _TOLD_REMEMBERED:
            self._told.popitem(last=False)
