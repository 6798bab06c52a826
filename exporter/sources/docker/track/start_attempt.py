"""A start of a container that is under way or has just failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.sources.docker.engine import Inspection


@dataclass(slots=True)
class StartAttempt:
    """One or more attempts to start a container that no ``start`` event has followed.

    ``joined_network``: an event has shown the attempt itself, and not only the network that a failed one
    leaves. ``failed_ns`` are the times at which attempts ended without a start. ``failed_state`` is the
    latest inspection that shows a failed start, ``ok_state`` the latest that shows none: it may show a run
    whose ``start`` event is still to come. ``is_held``: a replayed event may yet show that a network was left
    at the end of a run.
    """

    began_ns: int
    joined_network: bool = True
    is_held: bool = False
    failed_state: Inspection | None = None
    ok_state: Inspection | None = None
    failed_ns: list[int] = field(default_factory=list)

    def update_from_inspect(self, inspection: Inspection, requested_ns: int) -> None:
        """Take over an inspection, unless it was requested before this attempt."""
        if requested_ns < self.began_ns:
            return
        if not inspection.start_failed:
            self.ok_state = inspection
        elif inspection.error or self.failed_state is None or not self.failed_state.error:
            # While --rm removes a container, the engine's error text is gone before its code is.
            self.failed_state = inspection
