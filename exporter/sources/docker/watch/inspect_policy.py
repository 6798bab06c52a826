"""Decision about which events cause an inspection of their container."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from exporter.exit_codes import UNKNOWN_STATUS
from exporter.sources.docker.engine import Event, EventType, MaskedField

_DOUBTFUL_CODES = (None, UNKNOWN_STATUS)


class Need(Enum):
    """How much an inspection is needed. ``NECESSARY``: a verdict depends on it."""

    NONE = auto()
    USEFUL = auto()
    NECESSARY = auto()


@dataclass(slots=True)
class _Container:
    """State of a container by its events; ``networks`` are those that it has joined."""

    is_starting: bool = False
    is_running: bool = False
    is_code_masked: bool = False
    networks: set[str] = field(default_factory=set)
    ended_ns: int = 0

    def begin_attempt(self, network: str) -> Need:
        # The engine holds the container's lock during a start, and so answers an inspection at the attempt
        # when the start is over and before ``--rm`` can remove a container that failed. If it answers
        # earlier, the inspection at the end of the attempt shows the failure.
        was_starting, self.is_starting = self.is_starting, True
        self.networks.add(network)
        return Need.NONE if was_starting else Need.USEFUL

    def end_attempt(self, network: str) -> Need:
        # Engines send the same event after the end of a run (since 23 before the end), for each network that
        # the run had joined.
        may_have_failed = not self.is_running and (self.is_starting or network not in self.networks)
        self.is_starting &= self.is_running
        self.networks.discard(network)
        return Need.NECESSARY if may_have_failed else Need.NONE

    def start(self) -> Need:
        was_starting, self.is_starting, self.is_running = self.is_starting, False, True
        return Need.NONE if was_starting else Need.USEFUL

    def end(self, code: int | None, at_ns: int) -> Need:
        # An inspection has the exact time. It may also have what is in doubt: the code, or the start.
        is_doubtful = not self.is_running or self.is_code_masked or code in _DOUBTFUL_CODES
        self.is_running, self.ended_ns = False, at_ns
        return Need.NECESSARY if is_doubtful else Need.USEFUL


class InspectPolicy:
    """Decides by a container's earlier events.

    Inspections are made at once, since ``--rm`` removes a container within moments.
    """

    def __init__(self) -> None:
        self._containers: dict[str, _Container] = {}

    def previous_end_ns(self, container_id: str) -> int:
        """Return the time of the latest observed end of a container, 0 if there is none."""
        container = self._containers.get(container_id)
        return container.ended_ns if container else 0

    def observe(self, event: Event) -> Need:
        """Take in an event, and return how much an inspection of its container is needed."""
        container_id = event.container_id
        if MaskedField.CODE in event.masked_fields:
            self._get_or_create(container_id).is_code_masked = True
        match event.type:
            case EventType.START_ATTEMPT:
                return self._get_or_create(container_id).begin_attempt(event.network)
            case EventType.START_ATTEMPT_OVER:
                # Nothing is kept of a container that may be removed already.
                return (self._containers.get(container_id) or _Container()).end_attempt(event.network)
            case EventType.START:
                return self._get_or_create(container_id).start()
            case EventType.DIE:
                return self._get_or_create(container_id).end(event.code, event.at_ns)
            case EventType.DESTROY:
                self._containers.pop(container_id, None)
        is_useful = event.type is EventType.UPDATE or event.healthy is False
        return Need.USEFUL if is_useful else Need.NONE

    def _get_or_create(self, container_id: str) -> _Container:
        container = self._containers.get(container_id)
        if container is None:
            container = self._containers[container_id] = _Container()
        return container
