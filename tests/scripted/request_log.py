"""Requests to the scripted engine, in order."""

from threading import Condition

from tests.scripted.wire import Request


class RequestLog:
    """All requests so far. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._requests: list[Request] = []
        self._answer_bytes = 0

    def add(self, request: Request) -> None:
        """Record a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def add_answer(self, size: int) -> None:
        """Count the bytes of an answer, or of a part of a stream."""
        with self._changed:
            self._answer_bytes += size

    def bytes_carried(self) -> int:
        """Return the bytes of all requests and answers."""
        with self._changed:
            return self._answer_bytes + sum(request.size for request in self._requests)

    def seen(self) -> list[tuple[str, str]]:
        """Return method and target of each, in order."""
        with self._changed:
            return [(request.method, request.target) for request in self._requests]

    def wait_for(self, path_prefix: str, count: int, seconds: float) -> None:
        """Return once at least `count` requests for such a path have come. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count(path_prefix) >= count, seconds):
                came = self._count(path_prefix)
                message = f"waited {seconds} s for {count} requests for {path_prefix}, {came} came"
                raise TimeoutError(message)

    def _count(self, path_prefix: str) -> int:
        return sum(request.path.startswith(path_prefix) for request in self._requests)
