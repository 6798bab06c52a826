"""Scripted Docker engine: it listens on a unix socket, and sends what a test sets."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import NAMESPACE_URL, uuid5

from tests.scripted.api import Api, numbers
from tests.scripted.conversation import Conversation
from tests.scripted.dialect import Dialect
from tests.scripted.event_log import Ending, EventLog
from tests.scripted.faults import Failure, Faults
from tests.scripted.request_log import RequestLog
from tests.scripted.server import UnixServer
from tests.scripted.wire import JSON, Answer, encoded

LONGEST_PATH = 99
"""Longest path of a socket in bytes; the kernel takes 107, some systems fewer."""

DRAIN_SECONDS = 1.0
"""Seconds that a stop waits for readers to read what was sent before."""

WAIT_SECONDS = 10.0
"""Seconds that a test waits for something that must come."""

HANG_UP = 0
"""Instead of a status: close the connection without an answer."""


class ScriptedEngine:
    """Scripted engine, running between `__enter__` and `__exit__`. Methods may be called from any thread.

    `api` is a version in `identity.RELEASES`, which sets the identity and the form of events.
    `info` and `version` are the answers to `/info` and `/version`; tests may change them at any time.
    """

    def __init__(
        self, directory: Path, *, name: str = "engine.sock", log: EventLog | None = None, api: str = "1.41"
    ) -> None:
        self._log = log or EventLog()
        self._api = Api(self._log, api)
        self._dialect = Dialect(numbers(api))
        self._faults = Faults()
        self._requests = RequestLog()
        self._conversation = Conversation(self._api, self._faults, self._requests)
        self._server: UnixServer | None = None
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self.socket = self._short(directory / name)
        # Each engine has its own id.
        self.info["ID"] = str(uuid5(NAMESPACE_URL, self.url))

    def __enter__(self) -> Self:
        """Start the engine."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the engine and remove its socket."""
        try:
            self.stop()
        finally:
            if self._own is not None:
                self._own.cleanup()

    @property
    def url(self) -> str:
        """Address for clients: `unix://…`."""
        return f"unix://{self.socket}"

    @property
    def info(self) -> dict[str, Any]:
        """Answer to `/info`; `SystemTime` is the current time unless it is set."""
        return self._api.info

    @property
    def version(self) -> dict[str, Any]:
        """Answer to `/version`; `ApiVersion` and `MinAPIVersion` are also enforced."""
        return self._api.version

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and target (path with version and query) of every request so far, in order."""
        return self._requests.seen()

    @property
    def bytes_carried(self) -> int:
        """Bytes of all requests and answers so far, with those of the streams."""
        return self._requests.bytes_carried()

    def start(self) -> None:
        """Listen on the socket, with an empty buffer; containers, faults and settings stay."""
        self._log.forget()
        self._faults.lift(lifted=False)
        self.socket.unlink(missing_ok=True)
        self._server = UnixServer(self.socket, self._conversation.hold)

    def stop(self) -> None:
        """End every stream without its closing chunk, close all connections, and remove the socket."""
        server, self._server = self._server, None
        if server is None:
            return
        self._faults.lift(lifted=True)
        self._log.cut(Ending.TORN)
        self._log.wait_until_served(DRAIN_SECONDS)
        self.socket.unlink(missing_ok=True)
        server.stop()

    def emit(self, event: Mapping[str, Any] | bytes) -> None:
        """Send an event to every open stream and keep it in the buffer; bytes are sent as they are."""
        self._log.add(self._converted(event))

    def lose(self, event: Mapping[str, Any] | bytes) -> None:
        """Keep an event in the buffer and send it to no open stream, as an engine does to a slow reader."""
        self._log.remember(self._converted(event))

    def set_container(self, inspect: Mapping[str, Any]) -> None:
        """Add or replace a container by its inspect answer."""
        self._api.containers.set(inspect)

    def set_image(self, image_id: str, *tags: str, digests: tuple[str, ...] = ()) -> None:
        """Add an image with these names."""
        self._api.images[image_id] = {"Id": image_id, "RepoTags": [*tags], "RepoDigests": [*digests]}

    def remove_container(self, container_id: str) -> None:
        """Remove a container."""
        self._api.containers.remove(container_id)

    def cut(self, *, abruptly: bool = False, tail: bytes = b"") -> None:
        """End every open stream once all emitted events are sent; if `abruptly`, without the closing chunk.

        The `tail` is sent before the end, unchanged and without a line feed: for example half an event.
        """
        self._log.cut(Ending.TORN if abruptly else Ending.CLOSED, tail)

    def pause(self) -> None:
        """Hold back all events from the streams that are open, but not from new streams."""
        self._log.hold()

    def resume(self) -> None:
        """Send the paused streams what was held back, and new events."""
        self._log.release()

    def fail_next(
        self,
        path_prefix: str,
        status: int,
        times: int = 1,
        *,
        body: Mapping[str, Any] | bytes = b'{"message":"scripted failure"}\n',
    ) -> None:
        """Answer the next requests for such a path (without version) with this; HANG_UP for no answer."""
        content = body if isinstance(body, bytes) else encoded(body)
        answer = None if status == HANG_UP else Answer(status, content, content_type(content))
        self._faults.fail_next(Failure(path_prefix, answer, times))

    def delay(self, path_prefix: str, seconds: float) -> None:
        """Delay answers for such a path (without version); 0 ends the delay, also of waiting answers.

        With `math.inf` they wait until the delay is ended: a test needs no clock.
        """
        self._faults.delay(path_prefix, seconds)

    def wait_for_streams(self, count: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Return once this many event streams are open. Raises TimeoutError."""
        self._log.wait_for_streams(count, seconds)

    def wait_for_requests(self, path_prefix: str, count: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Return once `count` requests for such a path (without version) have come. Raises TimeoutError."""
        self._requests.wait_for(path_prefix, count, seconds)

    def _converted(self, event: Mapping[str, Any] | bytes) -> Mapping[str, Any] | bytes:
        return event if isinstance(event, bytes) else self._dialect.convert(event)

    def _short(self, path: Path) -> Path:
        """Return the path, or another one if it is too long for a socket."""
        if len(bytes(path)) <= LONGEST_PATH:
            return path
        self._own = tempfile.TemporaryDirectory(prefix="scripted-")
        return Path(self._own.name) / path.name


def content_type(body: bytes) -> str:
    """Return the content type of a body: an engine's JSON, or a proxy's page."""
    return JSON if body.lstrip().startswith((b"{", b"[")) else "text/html"
