"""A Docker engine that says what a test tells it to say, on a unix socket of its own."""

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
"""The kernel takes 107 bytes for a unix socket's path; some systems fewer."""

DRAIN_SECONDS = 1.0
"""How long a stop waits for readers to take what was sent before it."""

WAIT_SECONDS = 10.0
"""How long a test waits for something that must come; no test is slower for it, only a failing one."""

HANG_UP = 0
"""In place of a status: close the connection without an answer."""


class ScriptedEngine:
    """A scripted engine that runs between `with` and its end; every method may be called from any thread.

    `api` is a version of `identity.RELEASES`: it is that engine then, and tells events in its form.
    `info` and `version` are what `/info` and `/version` answer; tests may alter them at any time.
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
        # Every engine calls itself something else, whatever it was recorded from.
        self.info["ID"] = str(uuid5(NAMESPACE_URL, self.url))

    def __enter__(self) -> Self:
        """Start, and give the engine."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and leave nothing behind."""
        try:
            self.stop()
        finally:
            if self._own is not None:
                self._own.cleanup()

    @property
    def url(self) -> str:
        """What a client connects to: `unix://…`."""
        return f"unix://{self.socket}"

    @property
    def info(self) -> dict[str, Any]:
        """The answer to `/info`; `SystemTime` is the time of asking as long as it is not set."""
        return self._api.info

    @property
    def version(self) -> dict[str, Any]:
        """The answer to `/version`; `ApiVersion` and `MinAPIVersion` are also enforced."""
        return self._api.version

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and target (path with version and query) of every request so far, in order."""
        return self._requests.seen()

    def start(self) -> None:
        """Listen on the socket, with an empty ring; containers, faults and settings are as before."""
        self._log.forget()
        self._faults.lift(lifted=False)
        self.socket.unlink(missing_ok=True)
        self._server = UnixServer(self.socket, self._conversation.hold)

    def stop(self) -> None:
        """End every stream without its closing chunk once it is sent, close all else, remove the socket."""
        server, self._server = self._server, None
        if server is None:
            return
        self._faults.lift(lifted=True)
        self._log.cut(Ending.TORN)
        self._log.wait_until_served(DRAIN_SECONDS)
        self.socket.unlink(missing_ok=True)
        server.stop()

    def emit(self, event: Mapping[str, Any] | bytes) -> None:
        """Send to every open stream, and keep it in the ring; bytes are sent as they are, in a line."""
        self._log.add(self._told(event))

    def lose(self, event: Mapping[str, Any] | bytes) -> None:
        """Keep an event in the ring and send it to no open stream: what an engine does to a slow reader."""
        self._log.remember(self._told(event))

    def set_container(self, inspect: Mapping[str, Any]) -> None:
        """Have this container, and answer so when it is inspected."""
        self._api.containers.set(inspect)

    def set_image(self, image_id: str, *tags: str, digests: tuple[str, ...] = ()) -> None:
        """Have this image, with these names."""
        self._api.images[image_id] = {"Id": image_id, "RepoTags": [*tags], "RepoDigests": [*digests]}

    def remove_container(self, container_id: str) -> None:
        """Have this container no more."""
        self._api.containers.remove(container_id)

    def cut(self, *, abruptly: bool = False, last_words: bytes = b"") -> None:
        """End every open stream once what was emitted is sent; abruptly without the closing chunk.

        The last words are sent before the end as they are, without a line feed: half an event, say.
        """
        self._log.cut(Ending.TORN if abruptly else Ending.CLOSED, last_words)

    def pause(self) -> None:
        """Let every open stream hang: it stays, and nothing more comes. A new stream is not touched."""
        self._log.hold()

    def resume(self) -> None:
        """Send the hanging streams what they have missed, and let them go on."""
        self._log.release()

    def fail_next(
        self,
        path_prefix: str,
        status: int,
        times: int = 1,
        *,
        body: Mapping[str, Any] | bytes = b'{"message":"scripted failure"}\n',
    ) -> None:
        """Answer the next requests for such a path (without its version) with this; HANG_UP for no answer."""
        content = body if isinstance(body, bytes) else encoded(body)
        answer = None if status == HANG_UP else Answer(status, content, content_type(content))
        self._faults.fail_next(Failure(path_prefix, answer, times))

    def delay(self, path_prefix: str, seconds: float) -> None:
        """Answer requests for such a path (without its version) later; 0 lifts it, also for those waiting.

        With `math.inf` they wait until it is lifted: so a test holds an answer back without a clock.
        """
        self._faults.delay(path_prefix, seconds)

    def wait_for_streams(self, count: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Return once this many event streams are open. Raises TimeoutError."""
        self._log.wait_for_streams(count, seconds)

    def wait_for_requests(self, path_prefix: str, count: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Block until so many requests for such a path (without its version) have come, answered or not."""
        self._requests.wait_for(path_prefix, count, seconds)

    def _told(self, event: Mapping[str, Any] | bytes) -> Mapping[str, Any] | bytes:
        return event if isinstance(event, bytes) else self._dialect.told(event)

    def _short(self, path: Path) -> Path:
        """Give the path, or one elsewhere where it is too long for a socket."""
        if len(bytes(path)) <= LONGEST_PATH:
            return path
        self._own = tempfile.TemporaryDirectory(prefix="scripted-")
        return Path(self._own.name) / path.name


def content_type(body: bytes) -> str:
    """Name the type of a body: an engine's JSON, or a proxy's page."""
    return JSON if body.lstrip().startswith((b"{", b"[")) else "text/html"
