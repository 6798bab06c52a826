"""Delivery: what waits in the outbox is brought to a collector, the oldest first.

A letter is forgotten when the collector has taken it, and not before: what a crash makes it be sent a second
time is the same span. Nothing here is ever waited for by whoever counts.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog
from google.protobuf.message import Message

from exporter.metrics import exporter_metrics
from exporter.metrics.exporter_metrics import OtlpJobCounts
from exporter.metrics.state import MetricState, MetricUpdate
from exporter.model import TelemetrySignal
from exporter.otlp.client import Accepted, Answer, Collector, Refused, Unavailable
from exporter.otlp.encoding import Form
from exporter.store import Outbox, OutboxEntry, OutboxUpdate, StoreError

log = structlog.get_logger(__name__)

MAX_LETTERS = 512
# gRPC takes four MiB at most, and the end of a log makes a span large.
MAX_BYTES = 1 << 20
IDLE_SECONDS = 60.0
# No collector may ask to be left alone for longer.
MAX_RETRY_SECONDS = 600.0
# After so many failures in a row, any request may be what the collector fails at.
PATIENT_FAILURES = 5
# A letter that fails so often by itself may be what the collector fails at: others go before it then.
SUSPECT_AFTER = 3
MAX_SUSPECTS = 16
# So many refused one after the other are rather the collector's mistake: it goes on slowly then.
MANY_REFUSED = 10
_GIVE_UP_SECONDS = 1.0
_GIVEN_UP_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a collector: the ``first`` pause and the ``longest``, in seconds.

    No more than ``letters`` are kept for it, and none for longer than ``age`` (0: for ever).
    """

    first: float = 1.0
    longest: float = 60.0
    letters: int = 100_000
    age: float = 7 * 86400.0


@dataclass(slots=True)
class _Load:
    """What goes out in one request."""

    letters: list[OutboxEntry] = field(default_factory=list)
    items: list[Message] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [letter.number for letter in self.letters]


class OutboxWorker:
    """Delivers one signal until it is stopped."""

    def __init__(
        self, form: Form, collector: Collector, outbox: Outbox, ledger: MetricState, patience: Patience
    ) -> None:
        self._form = form
        self._collector = collector
        self._outbox = outbox
        self._ledger = ledger
        self._patience = patience
        self._most = MAX_LETTERS
        self._pause = patience.first
        self._resume_at = 0.0
        self._gave_up_at = 0.0
        self._looked_away = False
        self._failures = 0
        self._tries = 0
        self._refused = 0
        self._suspects: list[int] = []
        self._waits_for_suspect = False
        self._owed: tuple[OutboxUpdate, OtlpJobCounts, int] | None = None
        self._troubles: set[str] = set()
        self._posted = threading.Event()
        self._stopping = threading.Event()
        # A daemon thread: a collector that does not answer must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name=f"deliver {self.signal}", daemon=True)

    @property
    def signal(self) -> TelemetrySignal:
        """What is delivered."""
        return self._form.signal

    def start(self) -> None:
        """Begin, with what was left from before. Raises StoreError."""
        changes = MetricUpdate()
        exporter_metrics.create_otlp_series(changes, self.signal, self._outbox.count(self.signal))
        # As if saved: were they left for the pipeline to save, it could undo what is settled meanwhile.
        self._ledger.apply_committed(changes, self._ledger.preview(changes))
        log.info("delivering", signal=self.signal.value, to=self._collector.address)
        self._thread.start()

    def posted(self) -> None:
        """Something was put into the outbox."""
        self._posted.set()

    def stop(self, seconds: float) -> None:
        """Deliver what can be within so many seconds; the rest waits for the next start."""
        self._stopping.set()
        self._posted.set()
        self._thread.join(seconds)
        self._collector.close()

    def _run(self) -> None:
        while self._work() or not self._stopping.is_set():
            pass

    def _work(self) -> bool:
        """Do what can be done now, else wait; whether there may be more at once."""
        try:
            if self._owed is not None:
                # The collector has it: sent again, most would keep it twice.
                self._record(*self._owed)
            self._give_up()
            if time.monotonic() >= self._resume_at:
                self._resume_at = 0.0
                if self._deliver():
                    return True
        except StoreError as error:
            self._wait_longer("outbox not at hand, trying again", str(error))
        except Exception:
            log.exception("a bug while delivering")
            self._resume_at = time.monotonic() + self._patience.longest
        if self._stopping.is_set():
            return False
        if self._posted.wait(self._idle_seconds(time.monotonic())) and self._waits_for_suspect:
            self._resume_at = 0.0
        self._posted.clear()
        # Posted and stopped at once, there is something to deliver still.
        return True

    def _idle_seconds(self, now: float) -> float:
        """For how long there is nothing to do, unless something is posted."""
        # What was posted right after the bounds were looked at may be beyond them.
        look_again = self._gave_up_at + _GIVE_UP_SECONDS if self._looked_away else math.inf
        resume_at = self._resume_at or math.inf
        return max(0.0, min(now + IDLE_SECONDS, resume_at, look_again) - now)

    def _deliver(self) -> bool:
        """One request; whether there may be another at once."""
        letters = self._next()
        load = self._packed(letters)
        if load.letters:
            self._settle(load, self._sent(load))
        return bool(letters) and time.monotonic() >= self._resume_at

    def _sent(self, load: _Load) -> Answer:
        try:
            return self._collector.send(self._form.request(load.items))
        except Exception:
            log.exception("a bug while sending")
            return Unavailable("a bug of the exporter; its log has the details", overcome=True)

    def _next(self) -> list[OutboxEntry]:
        """The letters that have waited longest; the suspects only where there are no others, in turns."""
        if self._refused >= MANY_REFUSED:
            # If it takes the newest one, only those before are bad; if not, it takes none.
            return self._outbox.waiting(self.signal, 1, newest=True)
        letters = self._outbox.waiting(self.signal, self._most + len(self._suspects))
        there = {letter.number: letter for letter in letters}
        self._suspects = [number for number in self._suspects if number in there]
        others = [letter for letter in letters if letter.number not in self._suspects]
        return (others or [there[number] for number in self._suspects])[: self._most]

    def _packed(self, letters: Sequence[OutboxEntry]) -> _Load:
        """As many as fit; what cannot be written down is set aside, and what is gone forgotten."""
        load, size = _Load(), 0
        for letter in letters:
            if letter.record is None or letter.record.ended is None:
                self._record(OutboxUpdate([letter.number]), OtlpJobCounts(dropped=1), 1)
                continue
            try:
                items = self._form.items(letter.record.ended)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with this one, the others go on
                self._set_aside(letter, f"cannot be encoded: {error!r}")
                continue
            size += sum(item.ByteSize() for item in items)
            if load.letters and size > MAX_BYTES:
                break
            load.letters.append(letter)
            load.items.extend(items)
        return load

    def _settle(self, load: _Load, answer: Answer) -> None:
        match answer:
            case Accepted():
                self._accepted(load, answer)
            case Refused() if len(load.letters) > 1:
                # One of them is bad; the halves tell which.
                self._most = len(load.letters) // 2
            case Refused():
                self._set_aside(load.letters[0], answer.cause)
                self._refused += 1
                if self._refused > MANY_REFUSED:
                    self._wait_longer("everything is refused, going on slowly", answer.cause)
            case Unavailable():
                self._unavailable(load, answer)

    def _accepted(self, load: _Load, answer: Accepted) -> None:
        rejected = min(answer.rejected, len(load.letters))
        settlement = OutboxUpdate(load.numbers)
        counts = OtlpJobCounts(exported=len(load.letters) - rejected, rejected=rejected)
        self._record(settlement, counts, len(load.letters))
        if rejected or answer.message:
            # Which ones it does not say, and by the protocol they must not be sent again.
            log.warning("collector says", signal=self.signal.value, rejected=rejected, message=answer.message)
        if self._troubles:
            log.info("collector takes what waits", signal=self.signal.value)
        self._suspects = [number for number in self._suspects if number not in load.numbers]
        self._troubles.clear()
        self._pause, self._resume_at = self._patience.first, 0.0
        self._failures = self._tries = self._refused = 0
        self._most = min(MAX_LETTERS, 2 * self._most)

    def _unavailable(self, load: _Load, answer: Unavailable) -> None:
        self._failures += 1
        if answer.overcome or self._failures > PATIENT_FAILURES:
            # Less the next time. Not at every failure: where most fail, requests would dwindle to nothing.
            self._most = max(1, len(load.letters) // 2)
        self._tries = self._tries + 1 if len(load.letters) == 1 else 0
        # Others that come meanwhile need not wait for one that it always fails at.
        self._waits_for_suspect = load.letters[0].number in self._suspects
        if self._tries >= SUSPECT_AFTER:
            self._suspect(load.letters[0].number)
        self._wait_longer("not taken, trying again", answer.cause, answer.retry_seconds)

    def _suspect(self, number: int) -> None:
        """Let others go before it; where there are many of them, it is not they that are wrong."""
        others = [other for other in self._suspects if other != number]
        self._suspects = [*others, number] if len(others) < MAX_SUSPECTS else []
        self._tries = 0

    def _wait_longer(self, what: str, cause: str, asked_seconds: float | None = None) -> None:
        """Do nothing for a while, jittered so that many exporters do not come back at once."""
        pause = random.uniform(self._pause / 2, self._pause)  # noqa: S311  # not a secret
        self._pause = min(2 * self._pause, self._patience.longest)
        self._resume_at = time.monotonic() + max(pause, min(asked_seconds or 0.0, MAX_RETRY_SECONDS))
        # Said once for each cause, not at every try: a collector may be away for a night.
        level = log.debug if cause in self._troubles else log.warning
        level(what, signal=self.signal.value, collector=self._collector.address, cause=cause)
        self._troubles.add(cause)

    # Records

    def _set_aside(self, letter: OutboxEntry, cause: str) -> None:
        """What will never be taken is kept, and out of the way until the next start."""
        job_id = letter.record.job.id if letter.record else "?"
        log.warning(
            "refused, set aside until the next start", signal=self.signal.value, job=job_id, cause=cause
        )
        settlement = OutboxUpdate(refused={letter.number: cause})
        self._record(settlement, OtlpJobCounts(rejected=int(not letter.was_refused)), 1)

    def _give_up(self) -> None:
        """Forget what has waited for too long, or is too much."""
        now = time.monotonic()
        self._looked_away = now < self._gave_up_at + _GIVE_UP_SECONDS
        if self._looked_away:
            return
        self._gave_up_at = now
        age, most = self._patience.age, self._patience.letters
        before_ns = time.time_ns() - int(age * 10**9) if age else 0
        while overdue := self._outbox.overdue(self.signal, before_ns, most, _GIVEN_UP_AT_ONCE):
            waiting = sum(letter.waits for letter in overdue)
            numbers = [letter.number for letter in overdue]
            self._record(OutboxUpdate(numbers), OtlpJobCounts(dropped=waiting), waiting)
            level = log.warning if waiting else log.debug
            level("given up: too old or too many", signal=self.signal.value, count=waiting)

    def _record(self, settlement: OutboxUpdate, counts: OtlpJobCounts, done: int) -> None:
        """What has become of letters, and its counters, together; so many that waited are ``done``."""
        self._owed = (settlement, counts, done)
        changes = MetricUpdate()
        exporter_metrics.count_otlp_jobs(changes, self.signal, counts)
        values = self._ledger.preview(changes)
        self._outbox.settle(replace(settlement, values=values))
        exporter_metrics.add_otlp_pending(changes, self.signal, -done)
        self._ledger.apply_committed(changes, values)
        self._owed = None
