"""The connected sources: which are read, what their trackers find, and whether they are ready."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import structlog

from exporter.metrics import exporter_metrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import Cursor, Job, Submission
from exporter.pipeline.orphans import end_replaced, end_unwatched
from exporter.pipeline.readiness import Readiness
from exporter.sources.source import (
    Connected,
    Disconnected,
    EventsCounted,
    EventsMissed,
    HostFact,
    Limited,
    Listed,
    Message,
    Outcome,
    Recorded,
    Records,
    ServerAnswered,
    ServerFailed,
    Source,
    Tracker,
)
from exporter.verdict.facts import EndedRun

log = structlog.get_logger(__name__)


class ConnectedSources:
    """Hands the messages of sources to their trackers, and passes on what is to be recorded."""

    def __init__(
        self, sources: Iterable[Source], records: Records, state: MetricState, readiness: Readiness
    ) -> None:
        self._sources = {source.address: source for source in sources}
        self._records = records
        self._state = state
        self._readiness = readiness
        self._trackers: dict[str, Tracker] = {}
        # As the sources name their hosts; a setting may show another name.
        self._hosts: dict[str, str] = {}
        self._addresses: dict[tuple[str, str], str] = {}
        self._identities: dict[str, str] = {}
        # Addresses at which an engine answers now that is read at another one.
        self._duplicates: set[str] = set()
        self._listed: set[str] = set()
        # Not listed yet since the start.
        self._unlisted = set(self._sources)
        # Whether a source may be on a host whose listing was cut off, as far as the store can tell.
        self._may_be_on: dict[tuple[str, str], bool] = {}
        self._has_ended_unwatched = False
        self._servers_answered: set[str] = set()

    def add_server(self, address: str, tracker: Tracker) -> None:
        """Read a supervisor's server, which is no engine: nothing waits for it, and it is never unready."""
        self._trackers[address] = tracker
        if self._records.cursor(address) is None:
            self._state.begin_history(address)

    @property
    def next_due(self) -> float | None:
        """Time at which ``release_due`` must be called at the latest; None while nothing waits."""
        dues = [tracker.next_due for tracker in self._trackers.values()]
        return min((due for due in dues if due is not None), default=None)

    def cursors(self) -> dict[str, Cursor]:
        """Return up to where each source has been read and handed over."""
        now = {address: tracker.cursor for address, tracker in self._trackers.items()}
        return {address: cursor for address, cursor in now.items() if cursor is not None}

    def receive(self, message: Message, now: float) -> Iterable[Recorded]:
        """Take in a message, and return what is to be recorded."""
        address, content = message.address, message.content
        match content:
            case Connected():
                return self._connect(address, content, now)
            case Disconnected():
                self._disconnect(address, content)
            case _ if address in self._trackers and address not in self._duplicates:
                return self._track(address, content, now)
        return ()

    def release_due(self, now: float) -> Iterator[Recorded]:
        """Yield what need not wait any longer for late evidence."""
        for address, tracker in self._trackers.items():
            yield from self._recorded(address, tracker.release_due(now), now)

    def mark_listed(self) -> bool:
        """Mark the hosts of the sources whose list is now on record; return whether there is one."""
        for address in self._listed:
            changes = MetricUpdate()
            # Only now: at the next start, the presence of these series says that the listing was finished.
            exporter_metrics.create_backfill_series(changes, self._trackers[address].host)
            self._state.apply(changes)
        return bool(self._listed)

    def show_ready(self) -> None:
        """Show as ready the sources whose list is now on record, unless they are gone again."""
        while self._listed:
            address = self._listed.pop()
            self._unlisted.discard(address)
            self._state.end_history(address, self._trackers[address].host)
            if self._is_up(address):
                self._readiness.set_ready(address)
        for host in self._state.unlisted_hosts:
            if not any(self._may_list(address, host) for address in self._unlisted):
                self._state.show_unlisted(host)
        while self._servers_answered:
            self._state.end_history(self._servers_answered.pop())

    def _may_list(self, address: str, host: str) -> bool:
        """Return whether a source may be on a host; one that never was read may be another's new address."""
        tracker = self._trackers.get(address)
        if tracker is not None:
            return tracker.host == host
        if (address, host) not in self._may_be_on:
            was_read = self._records.cursor(address) is not None
            self._may_be_on[address, host] = not was_read or address in self._records.sources_of(host)
        return self._may_be_on[address, host]

    def end_unwatched(self) -> Iterator[EndedRun]:
        """Yield, once every source is listed, the ends of jobs whose source is no longer among them."""
        if self._has_ended_unwatched or self._unlisted:
            return
        self._has_ended_unwatched = True
        yield from end_unwatched(self._records, self._sources.keys() | self._trackers.keys())

    # --- connections

    def _connect(self, address: str, connected: Connected, now: float) -> Iterable[Recorded]:
        duplicate = self._addresses.setdefault((connected.identity, connected.host), address)
        if connected.identity and duplicate != address:
            # Read from both, every exit would be counted twice.
            self._duplicates.add(address)
            self._warn_not_watched(address, f"is the same engine as {duplicate}; name it once")
            return ()
        self._duplicates.discard(address)
        is_new = address not in self._trackers
        is_back = not (is_new or self._is_up(address))
        changes = MetricUpdate()
        exporter_metrics.set_engine_up(changes, address, up=True)
        if is_back:
            exporter_metrics.count_engine_reconnect(changes, address)
        self._state.apply(changes)
        is_another = not is_new and self._is_another(address, connected)
        if is_new or is_back or is_another:
            self._readiness.set_unready(address, "the engine's containers are being listed")
        if is_another:
            return self._begin_anew(address, connected, now)
        if is_new:
            self._add_tracker(address, connected)
        self._identities[address] = connected.identity or self._identities[address]
        return self._track(address, connected.details, now)

    def _is_another(self, address: str, connected: Connected) -> bool:
        """Return whether another engine on another host answers than before.

        One of both alone can be a host with a new name, or an engine that was installed anew.
        """
        has_other_id = connected.identity and connected.identity != self._identities[address]
        return bool(has_other_id and self._identities[address] and connected.host != self._hosts[address])

    def _begin_anew(self, address: str, connected: Connected, now: float) -> Iterator[Recorded]:
        """Track another engine, once all that was found of the one before is on record."""
        before, records = self._trackers.pop(address), self._records
        self._listed.discard(address)
        # The one before can be read at another address now.
        self._addresses = {engine: each for engine, each in self._addresses.items() if each != address}
        self._addresses[connected.identity, connected.host] = address
        log.warning("another engine answers", engine=address, before=before.host, host=connected.host)
        yield from self._recorded(address, before.release_due(math.inf), now)
        if records.settle():
            yield from end_replaced(records, address)
        if records.settle():
            self._add_tracker(address, connected)
            yield from self._track(address, connected.details, now)

    def _disconnect(self, address: str, disconnected: Disconnected) -> None:
        changes = MetricUpdate()
        exporter_metrics.set_engine_up(changes, address, up=False)
        self._state.apply(changes)
        self._readiness.set_unready(address, disconnected.cause)

    def _is_up(self, address: str) -> bool:
        return exporter_metrics.is_engine_up(self._state, address)

    def _warn_not_watched(self, address: str, cause: str) -> None:
        """Show, and log once, why a source that answers is not read."""
        if self._readiness.problems().get(address) != cause:
            log.warning("engine not watched", engine=address, cause=cause)
        self._readiness.set_unready(address, cause)

    def _add_tracker(self, address: str, connected: Connected) -> None:
        added = self._sources[address].tracker(connected, self._records)
        for other, tracker in self._trackers.items():
            if tracker.host == added.host:
                log.warning("engines have one host name", engine=address, other=other, host=added.host)
        self._hosts[address], self._identities[address] = connected.host, connected.identity
        self._trackers[address] = added
        if self._records.cursor(address) is None or not self._state.was_listed(added.host):
            self._state.begin_history(address)

    # --- outcomes

    def _track(self, address: str, content: object, now: float) -> Iterable[Recorded]:
        outcomes = self._trackers[address].receive(content, now)
        # Nothing follows at once from most messages.
        return self._recorded(address, outcomes, now) if outcomes else ()

    def _recorded(self, address: str, outcomes: Iterable[Outcome], now: float) -> Iterator[Recorded]:
        """Yield the outcomes that are to be recorded, and count, show or forward the others."""
        for outcome in outcomes:
            match outcome:
                case Job() | EndedRun() | Submission():
                    yield outcome
                case EventsCounted():
                    self._count_events(address, outcome)
                case EventsMissed():
                    log.warning("events were missed", engine=address, event_gap=outcome.cause)
                    changes = MetricUpdate()
                    exporter_metrics.count_event_gap(changes, address)
                    self._state.apply(changes)
                case Listed():
                    self._listed.add(address)
                case Limited():
                    self._readiness.set_limitations(address, outcome.missing)
                case HostFact():
                    yield from self._forward(address, outcome, now)
                case ServerAnswered() | ServerFailed():
                    self._count_server(address, outcome)

    def _count_events(self, address: str, events: EventsCounted) -> None:
        changes = MetricUpdate()
        for event_type, count in events.types.items():
            exporter_metrics.count_engine_events(changes, address, event_type, count)
        self._state.apply(changes)

    def _count_server(self, address: str, outcome: ServerAnswered | ServerFailed) -> None:
        changes = MetricUpdate()
        exporter_metrics.set_dstack_server_up(changes, up=isinstance(outcome, ServerAnswered))
        if isinstance(outcome, ServerAnswered):
            self._servers_answered.add(address)
        else:
            exporter_metrics.count_dstack_server_error(changes, outcome.problem)
        self._state.apply(changes)

    def _forward(self, address: str, fact: HostFact, now: float) -> Iterator[Recorded]:
        host = self._hosts[address]
        for other in [each for each, on in self._hosts.items() if on == host and each != address]:
            yield from self._track(other, fact.content, now)
