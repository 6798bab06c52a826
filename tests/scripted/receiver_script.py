"""What scripted receivers have in common: what they are to reply next, and what they have received."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import Condition
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.scripted.received import Batch, ReceivedRecord, ReceivedRequest, ReceivedSpan

POLL_SECONDS = 0.02
"""How soon a reply that is held back notices that nobody waits for it any more."""

WAIT_SECONDS = 10.0
"""How long a test waits for something that must come; no test is slower for it, only a failing one."""

ReplyT = TypeVar("ReplyT")


class Gate:
    """Where replies wait that are held back, until they are released or nobody waits for them any more."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._releases = 0

    def release(self) -> None:
        """Let those through that wait now."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def passed(self, gave_up: Callable[[], bool]) -> bool:
        """Block until a release and return True, or until `gave_up` and return False.

        A receiver that stops ends its connections, and so all of them give up.
        """
        with self._changed:
            before = self._releases
            while self._releases == before and not gave_up():
                self._changed.wait(POLL_SECONDS)
            return not gave_up()

    def stays_shut(self, seconds: float) -> bool:
        """Block so long, or until a release; return whether none came."""
        with self._changed:
            before = self._releases
            return not self._changed.wait_for(lambda: self._releases > before, seconds)


class ScriptedReceiver(ABC, Generic[ReplyT]):
    """The script of a receiver and what it received; every method may be called from any thread."""

    def __init__(self, default: ReplyT) -> None:
        self._changed = Condition()
        self._next: deque[ReplyT] = deque()
        self._otherwise: ReplyT | Callable[[list[ReceivedSpan]], ReplyT] = default
        self._spans: list[ReceivedSpan] = []
        self._records: list[ReceivedRecord] = []
        self._requests: list[ReceivedRequest] = []
        self.gate = Gate()

    def __enter__(self) -> Self:
        """Start, and give the receiver."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it for good."""
        self.close()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is asked, without a path; the same from start to start."""

    @abstractmethod
    def start(self) -> None:
        """Listen."""

    @abstractmethod
    def stop(self) -> None:
        """End every connection and refuse new ones; what was received and the script stay."""

    @abstractmethod
    def close(self) -> None:
        """Stop, and give the port away."""

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans that were kept, in order; one that was sent twice is there twice."""
        with self._changed:
            return list(self._spans)

    @property
    def records(self) -> list[ReceivedRecord]:
        """All log records that were kept, in order."""
        with self._changed:
            return list(self._records)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All that was asked, in order, whatever was replied."""
        with self._changed:
            return list(self._requests)

    def replies(self, *replies: ReplyT) -> None:
        """Reply these to the next requests, one each, behind those that are already waiting."""
        with self._changed:
            self._next.extend(replies)

    def otherwise(self, reply: ReplyT | Callable[[list[ReceivedSpan]], ReplyT]) -> None:
        """Reply this to every request for which no other is waiting.

        A callable is given the spans of the request, none for one with log records; it may be called from
        several threads at once.
        """
        with self._changed:
            self._otherwise = reply

    def release(self) -> None:
        """Let the replies be given that hang now."""
        self.gate.release()

    def wait_for_spans(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedSpan]:
        """Block until at least so many spans are kept and give all; TimeoutError if that does not come."""
        self._wait_for(lambda: len(self._spans), count, "spans", seconds)
        return self.spans

    def wait_for_records(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRecord]:
        """Block until at least so many log records are kept and give all; TimeoutError as above."""
        self._wait_for(lambda: len(self._records), count, "log records", seconds)
        return self.records

    def wait_for_requests(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRequest]:
        """Block until at least so many requests have come, replied to or not, and give all."""
        self._wait_for(lambda: len(self._requests), count, "requests", seconds)
        return self.requests

    def note(self, request: ReceivedRequest) -> None:
        """Keep in mind that this was asked."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def next_reply(self, batch: Batch) -> ReplyT:
        """Take the reply that is due."""
        with self._changed:
            if self._next:
                return self._next.popleft()
            otherwise = self._otherwise
        if callable(otherwise):
            return otherwise(batch.spans)
        return otherwise

    def keep(self, batch: Batch, rejected: int) -> None:
        """Keep what a request carried, without the first so many."""
        with self._changed:
            self._spans += batch.spans[rejected:]
            self._records += batch.records[rejected:]
            self._changed.notify_all()

    def _wait_for(self, number: Callable[[], int], count: int, what: str, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: number() >= count, seconds):
                raise TimeoutError(f"waited {seconds} s for {count} {what}, {number()} came")
