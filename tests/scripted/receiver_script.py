"""Common part of the scripted receivers: the replies to give, and the requests received."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import Condition
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.scripted.received import Batch, ReceivedRecord, ReceivedRequest, ReceivedSpan

POLL_SECONDS = 0.02
"""Seconds until a held reply notices that its client has left."""

WAIT_SECONDS = 10.0
"""Seconds that a test waits for something that must come."""

ReplyT = TypeVar("ReplyT")


class Gate:
    """Gate at which held replies wait until they are released or their client leaves."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._releases = 0

    def release(self) -> None:
        """Release the waiting replies."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def passed(self, gave_up: Callable[[], bool]) -> bool:
        """Wait for a release and return True, or for `gave_up` and return False.

        A receiver that stops ends its connections, and so all of them give up.
        """
        with self._changed:
            before = self._releases
            while self._releases == before and not gave_up():
                self._changed.wait(POLL_SECONDS)
            return not gave_up()

    def stays_shut(self, seconds: float) -> bool:
        """Wait this long, or for a release; return whether none came."""
        with self._changed:
            before = self._releases
            return not self._changed.wait_for(lambda: self._releases > before, seconds)


class ScriptedReceiver(ABC, Generic[ReplyT]):
    """Script and log of a receiver. Methods may be called from any thread."""

    def __init__(self, default: ReplyT) -> None:
        self._changed = Condition()
        self._next: deque[ReplyT] = deque()
        self._otherwise: ReplyT | Callable[[list[ReceivedSpan]], ReplyT] = default
        self._spans: list[ReceivedSpan] = []
        self._records: list[ReceivedRecord] = []
        self._requests: list[ReceivedRequest] = []
        self.gate = Gate()

    def __enter__(self) -> Self:
        """Start the receiver."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the receiver."""
        self.close()

    @property
    @abstractmethod
    def url(self) -> str:
        """URL without a path; it stays the same after a restart."""

    @abstractmethod
    def start(self) -> None:
        """Listen."""

    @abstractmethod
    def stop(self) -> None:
        """Close all connections and refuse new ones; the log and the script stay."""

    @abstractmethod
    def close(self) -> None:
        """Stop, and free the port."""

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All accepted spans in order; a span that was sent twice is there twice."""
        with self._changed:
            return list(self._spans)

    @property
    def records(self) -> list[ReceivedRecord]:
        """All accepted log records in order."""
        with self._changed:
            return list(self._records)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All requests in order, whatever the replies were."""
        with self._changed:
            return list(self._requests)

    def replies(self, *replies: ReplyT) -> None:
        """Append replies to the script, one for each of the next requests."""
        with self._changed:
            self._next.extend(replies)

    def otherwise(self, reply: ReplyT | Callable[[list[ReceivedSpan]], ReplyT]) -> None:
        """Set the reply to all requests after the script.

        A callable is given the spans of the request, none for one with log records; it may be called from
        several threads at once.
        """
        with self._changed:
            self._otherwise = reply

    def release(self) -> None:
        """Send the held replies."""
        self.gate.release()

    def wait_for_spans(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedSpan]:
        """Wait for at least this many spans and return all. Raises TimeoutError."""
        self._wait_for(lambda: len(self._spans), count, "spans", seconds)
        return self.spans

    def wait_for_records(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRecord]:
        """Wait for at least this many log records and return all. Raises TimeoutError."""
        self._wait_for(lambda: len(self._records), count, "log records", seconds)
        return self.records

    def wait_for_requests(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRequest]:
        """Wait for at least this many requests, answered or not, and return all. Raises TimeoutError."""
        self._wait_for(lambda: len(self._requests), count, "requests", seconds)
        return self.requests

    def note(self, request: ReceivedRequest) -> None:
        """Record a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def next_reply(self, batch: Batch) -> ReplyT:
        """Return the next reply."""
        with self._changed:
            if self._next:
                return self._next.popleft()
            otherwise = self._otherwise
        if callable(otherwise):
            return otherwise(batch.spans)
        return otherwise

    def keep(self, batch: Batch, rejected: int) -> None:
        """Record the content of a request, without the first rejected items."""
        with self._changed:
            self._spans += batch.spans[rejected:]
            self._records += batch.records[rejected:]
            self._changed.notify_all()

    def _wait_for(self, number: Callable[[], int], count: int, what: str, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: number() >= count, seconds):
                raise TimeoutError(f"waited {seconds} s for {count} {what}, {number()} came")
