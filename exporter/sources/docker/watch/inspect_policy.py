"""Decision about which events cause an inspection of their container."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.exit_codes import UNKNOWN_STATUS
from exporter.sources.docker.engine import Event, EventType, MaskedField

_DOUBTFUL_CODES = (None, UNKNOWN_STATUS)


@dataclass(slots=True)
class _Container:
    """State of a container by its events; ``networks`` are those that it has joined."""

    is_starting: bool = False
    is_running: bool = False
    is_code_masked: bool = False
    networks: set[str] = field(default_factory=set)
    ended_ns: int = 0

    def may_have_failed_to_start(self, network: str) -> bool:
        """Return whether leaving a network may be the end of a failed start.

        Engines send the same event after the end of a run (since 23 before the end), for each network that
        the run had joined.
        """
        return not self.is_running and (self.is_starting or network not in self.networks)

    def is_end_doubtful(self, code: int | None) -> bool:
        """Return whether an inspection at the end gives more than the exact time: a code, or the start."""
        return not self.is_running or self.is_code_masked or code in _DOUBTFUL_CODES


class InspectPolicy:
    """Decides by a container's earlier events. Call ``observe`` with each event after the decision about it.

    Inspections are made at once, since ``--rm`` removes a container within moments.
    """

    def __init__(self) -> None:
        self._containers: dict[str, _Container] = {}

    def should_inspect(self, event: Event, *, is_busy: bool) -> bool:
        """Return whether to inspect the container of this event, which was not observed yet.

        While it ``is_busy``, only inspections are made on which a verdict depends.
        """
        if self.is_necessary(event):
            return True
        if is_busy:
            return False
        container = self._containers.get(event.container_id) or _Container()
        match event.type:
            case EventType.START_ATTEMPT | EventType.START:
                # The engine holds the container's lock during a start, and so answers an inspection at the
                # attempt when the start is over and before ``--rm`` can remove a container that failed. If it
                # answers earlier, the inspection at the end of the attempt shows the failure.
                return not container.is_starting
            case EventType.DIE | EventType.UPDATE:
                return True
            case _:
                return event.healthy is False

    def is_necessary(self, event: Event) -> bool:
        """Return whether a verdict depends on the inspection at this event, which was not observed yet."""
        container = self._containers.get(event.container_id) or _Container()
        match event.type:
            case EventType.START_ATTEMPT_OVER:
                return container.may_have_failed_to_start(event.network)
            case EventType.DIE:
                return container.is_end_doubtful(event.code)
            case _:
                return False

    def previous_end_ns(self, container_id: str) -> int:
        """Return the time of the latest observed end of a container, 0 if there is none."""
        container = self._containers.get(container_id)
        return container.ended_ns if container else 0

    def observe(self, event: Event) -> None:
        """Update the state of the event's container."""
        container_id = event.container_id
        if MaskedField.CODE in event.masked_fields:
            self._get_or_create(container_id).is_code_masked = True
        match event.type:
            case EventType.START_ATTEMPT:
                container = self._get_or_create(container_id)
                container.is_starting = True
                container.networks.add(event.network)
            case EventType.START_ATTEMPT_OVER if container_id in self._containers:
                container = self._containers[container_id]
                container.is_starting &= container.is_running
                container.networks.discard(event.network)
            case EventType.START:
                container = self._get_or_create(container_id)
                container.is_starting, container.is_running = False, True
            case EventType.DIE:
                container = self._get_or_create(container_id)
                container.is_running, container.ended_ns = False, event.at_ns
            case EventType.DESTROY:
                self._containers.pop(container_id, None)
            case _:
                pass

    def _get_or_create(self, container_id: str) -> _Container:
        return self._containers.setdefault(container_id, _Container())
