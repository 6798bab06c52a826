"""The adapter for a Docker Engine (and what speaks its API), over the transports of the docker SDK.

Only GET requests are made: ``/_ping``, ``/version``, ``/info``, ``/events``, ``/containers/json``,
``/containers/{id}/json``, for a container that was started by an image's id ``/images/{id}/json``, and where
it is asked for ``/containers/{id}/logs``.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests
import structlog
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from docker.types import CancellableStream
from docker.utils import parse_host
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from exporter.errors import root_cause, said
from exporter.labels import KEPT
from exporter.model import Cursor
from exporter.sources.docker.api import context as contexts
from exporter.sources.docker.api import parse as messages
from exporter.sources.docker.api.client import Client
from exporter.sources.docker.api.images import Repositories
from exporter.sources.docker.engine import (
    EngineError,
    EngineInfo,
    Event,
    EventGap,
    EventStream,
    Inspection,
    RawLogTail,
)
from exporter.workload import UNNAMED, may_be_id, repository

try:
    from paramiko import SSHException  # type: ignore[import-untyped]
except ImportError:

    class SSHException(Exception):  # type: ignore[no-redef]  # noqa: N818  # paramiko's own name
        """Never raised: paramiko comes with the extra 'ssh'."""


log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

CONTEXT_PREFIX = "context:"
_SCHEMES = ("unix://", "tcp://", "ssh://", "http://", "https://", "npipe://")
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
SSH_PREFIX = "ssh://"
# sshd allows ten channels to a connection, and ten logins at the same time; the stream takes one.
SSH_REQUESTS = 8
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
CALL_SECONDS = 10
MAX_LINE_BYTES = 16 << 20
# Of a log of longer lines, fewer are read.
MAX_LOG_BYTES = 2 << 20
SPARE_PIECES = 64
_CHUNK_BYTES = 1 << 16
# An engine remembers 256 events, all types together. Those that happen while it is asked are not in the
# answer, since they are later than what was asked for: with so many in it, there may have been older ones.
EVENT_BUFFER_FULL = 200
_OURS = {"filters": json.dumps({"type": ["container", "network"], "event": list(messages.ACTIONS)})}
_FAILURES = (DockerException, requests.RequestException, HTTPError, SSHException, EOFError, OSError)
# An engine that refuses a client's certificate closes at once: whether its alert is still read, is luck.
_TLS_FAILED = (ssl.SSLError, ConnectionResetError, BrokenPipeError)
# What urllib3 raises where another thread closed the connection under it.
_CLOSED = (AttributeError, ValueError)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is and how to reach it."""

    url: str
    tls: TLSConfig | None = field(default=None, compare=False)


def resolve(host: str, cert_path: Path | None, environment: Mapping[str, str]) -> Address:
    """The engine meant by ``host``: a URL, ``context:NAME``, or nothing.

    Nothing means what the ``docker`` command would take: DOCKER_HOST, else the current context,
    else the default socket. ``cert_path`` is a directory with ca.pem, cert.pem and key.pem.
    Raises EngineError.
    """
    try:
        if host.startswith(CONTEXT_PREFIX):
            return _context(host.removeprefix(CONTEXT_PREFIX), environment)
        if host:
            return Address(_url(host), _tls(cert_path))
        if environment.get("DOCKER_HOST"):
            own = contexts.certificates(environment) if environment.get("DOCKER_TLS_VERIFY") else None
            return Address(_url(environment["DOCKER_HOST"]), _tls(own or cert_path))
        return _context(environment.get("DOCKER_CONTEXT"), environment)
    except DockerException as error:
        raise EngineError(f"{host or 'the default engine'}: {error}") from error


class DockerEngine:
    """One engine. Connects at the first call, so that it may be made while the engine is down.

    ``kept`` are the labels of containers that are wanted.
    """

    def __init__(self, address: Address, workers: int = 16, kept: Iterable[str] = KEPT) -> None:
        self._address = address
        self._kept = tuple(kept)
        self._repositories = Repositories(self._repository)
        self._workers = workers
        self._turns = threading.BoundedSemaphore(SSH_REQUESTS if self._is_over_ssh else workers)
        self._client: Client | None = None

    @property
    def address(self) -> str:
        """The URL, for people, logs and metrics."""
        return self._address.url

    @property
    def is_local(self) -> bool:
        """Whether the engine is reached over a socket of this machine."""
        return self._address.url.startswith(("unix://", "http+unix://"))

    def info(self) -> EngineInfo:
        """Who the engine is; also the proof that it answers."""
        try:
            return messages.info(self._json("/info"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError("/info: unusable answer; is this a Docker Engine?") from error

    def events(self, since_ns: int | None = None) -> EventStream:
        """An open stream of the events from now on, after those that it remembers since a time."""
        since = {} if since_ns is None else {"since": messages.seconds(since_ns)}
        return _DockerStream(self._stream("/events", _OURS | since), self._event)

    def event_gap(self, cursor: Cursor, now_ns: int) -> EventGap:
        """What it has forgotten that happened since."""
        event_ns = cursor.event_ns
        if event_ns and self.remembered(event_ns, event_ns):
            return EventGap.NONE
        times = self._times(now_ns)
        if len(times) < EVENT_BUFFER_FULL:
            # It remembers all since its own start; our event, if there was one, was before that.
            return EventGap.RESTARTED if event_ns else EventGap.NONE
        return EventGap.OVERRUN if min(times) > max(event_ns, cursor.read_until_ns) else EventGap.NONE

    def remembers_all(self, now_ns: int) -> bool:
        """Whether it has forgotten nothing since its own start."""
        return len(self._times(now_ns)) < EVENT_BUFFER_FULL

    def remembered(self, since_ns: int, now_ns: int) -> list[Event]:
        """What it remembers of that span, as the stream tells it."""
        events = (self._event(line) for line in self._lines(since_ns, now_ns, _OURS))
        return [event for event in events if event.container_id]

    def _event(self, line: bytes) -> Event:
        return messages.event(line, self._kept)

    def _times(self, now_ns: int) -> list[int]:
        return [messages.time_ns(line) for line in self._lines(1, now_ns, {})]

    def _lines(self, since_ns: int, until_ns: int, filters: dict[str, str]) -> list[bytes]:
        span = {"since": messages.seconds(since_ns), "until": messages.seconds(max(since_ns, until_ns))}
        path = f"/events?{urlencode(span | filters)}"
        return _checked(path, self._ask(path)).data.splitlines()

    def containers(self) -> list[str]:
        """The ids of all containers that the engine still has, whatever their state."""
        try:
            return [str(container["Id"]) for container in self._json("/containers/json?all=1")]
        except (KeyError, TypeError) as error:
            raise EngineError("/containers/json: unusable answer; is this a Docker Engine?") from error

    def inspect(self, container_id: str) -> Inspection | None:
        """How a container stands; None where the engine no longer has it."""
        path = f"/containers/{container_id}/json"
        answer = self._ask(path)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        try:
            message = _checked(path, answer).json()
            inspection, image_id = messages.inspection(message, self._kept), messages.image_asked(message)
            called = messages.image_called(message)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EngineError(f"unusable answer about {container_id[:12]}: {error!r}") from error
        if image_id:
            return replace(inspection, repository=self._known_as(image_id))
        return replace(inspection, repository=called) if may_be_id(called) else inspection

    def _known_as(self, image_id: str) -> str:
        """The image's repository; where there is no answer, the container's own is worth no less."""
        try:
            return self._repositories.of(image_id)
        except EngineError as error:
            log.warning("image not asked about", image=image_id, cause=str(error))
            return UNNAMED

    def _repository(self, image_id: str) -> str:
        path = f"/images/{image_id}/json"
        answer = self._ask(path)
        if answer.status == HTTPStatus.NOT_FOUND:
            # Removed by force, while its container stays.
            return UNNAMED
        try:
            return repository(messages.image_name(_checked(path, answer).json()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EngineError(f"unusable answer about {image_id}: {error!r}") from error

    def log_end(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> RawLogTail | None:
        """At least the last lines that it wrote in a span of time; None where the engine has none."""
        # An engine keeps long lines in pieces, and counts those.
        pieces = lines + SPARE_PIECES
        while pieces:
            span = {"since": messages.seconds(since_ns), "until": messages.seconds(until_ns)}
            asked = {"stdout": 1, "stderr": 1, "tail": pieces}
            path = f"/containers/{container_id}/logs?{urlencode(asked | span)}"
            status, body = self._read(path)
            if status != HTTPStatus.OK:
                # It is gone, or its log goes where the engine cannot read it.
                return None
            if body is not None:
                return messages.log_end(body, pieces)
            pieces //= 2
        return None

    def close(self) -> None:
        """Let go of the connections; the next call makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _json(self, path: str) -> Any:
        try:
            return _checked(path, self._ask(path)).json()
        except ValueError as error:
            raise EngineError(f"{path}: not JSON; is this a Docker Engine?") from error

    def _ask(self, path: str) -> BaseHTTPResponse:
        return self._in_turn(lambda client: client.ask(path))

    def _read(self, path: str) -> tuple[int, bytes | None]:
        return self._in_turn(lambda client: client.read(path, MAX_LOG_BYTES))

    def _in_turn(self, ask: Callable[[Client], Answer]) -> Answer:
        try:
            client = self._connected()
            with self._turns:
                return ask(client)
        except _FAILURES as error:
            raise EngineError(self._cause(error)) from error

    def _stream(self, path: str, params: Mapping[str, str]) -> requests.Response:
        """A GET through the SDK's session, with the status checked: the SDK's own events() does not."""
        try:
            client = self._connected()
            url = f"{client.base_url}/v{client.api_version}{path}"
            response = client.get(url, params=params, stream=True, timeout=(CALL_SECONDS, None))
        except _FAILURES as error:
            raise EngineError(self._cause(error)) from error
        if not response.ok:
            with response:
                raise EngineError(_refusal(path, response.status_code, response.content))
        return response

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(
                base_url=self._address.url,
                version="auto",
                timeout=CALL_SECONDS,
                tls=self._address.tls or False,
                # ssh's own client knows the user's configuration and agent; a slim image has none.
                use_ssh_client=shutil.which("ssh") is not None,
                # One connection for the stream beside one for each that inspects.
                max_pool_size=self._workers + 1,
            )
        return self._client

    @property
    def _is_over_ssh(self) -> bool:
        return self._address.url.startswith(SSH_PREFIX)

    def _cause(self, error: BaseException) -> str:
        cause = _innermost(error)
        if self._is_over_ssh and isinstance(cause, RemoteDisconnected):
            return "ssh leads to no engine; does 'docker version' work over it?"
        if self._address.tls and isinstance(cause, _TLS_FAILED):
            return (
                f"TLS failed: {_explained(cause)}; "
                "are ca.pem, cert.pem and key.pem those that this engine accepts?"
            )
        return _explained(cause)


class _DockerStream:
    """The SDK's cancellable stream, which can be closed by another thread, read line by line."""

    def __init__(self, response: requests.Response, parse: Callable[[bytes], Event]) -> None:
        self._response = response
        self._parse = parse
        chunks = response.raw.stream(_CHUNK_BYTES, decode_content=True)
        self._chunks = CancellableStream(chunks, response)

    def __iter__(self) -> Iterator[Event]:
        try:
            for line in _lines(self._chunks):
                yield self._parse(line)
        except (*_FAILURES, *_CLOSED) as error:
            raise EngineError(f"the event stream broke: {_explained(_innermost(error))}") from error

    def close(self) -> None:
        # A stream that has just ended has no socket any more: the reader finds out by itself.
        with suppress(*_FAILURES, AttributeError):
            try:
                self._chunks.close()
            except DockerException:
                # The SDK cannot cancel a channel of paramiko's; closing it is enough.
                channel: Any = self._response.raw.connection
                channel.sock.close()


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines out of chunks, however the engine or a proxy cut them; none longer than memory bears."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > MAX_LINE_BYTES:
            raise EngineError(f"a line of more than {MAX_LINE_BYTES} bytes; is this a Docker Engine?")


def _url(host: str) -> str:
    if not host.startswith(_SCHEMES):
        raise EngineError(f"{host!r} is no engine; for instance unix:///var/run/docker.sock, tcp://host:2376")
    # Tells a host or a port that is none; the SDK makes its own form of it when it connects.
    try:
        parse_host(host)
    except ValueError as error:
        raise EngineError(f"{host!r} is no engine: {error}") from error
    return host


def _context(name: str | None, environment: Mapping[str, str]) -> Address:
    context = contexts.load(name, environment)
    if context is None:
        return Address(DEFAULT_SOCKET)
    return Address(context.host, _tls(context.certificates, verify=context.verify))


def _tls(directory: Path | None, *, verify: bool = True) -> TLSConfig | None:
    if directory is None:
        return None
    ca, *pair = (directory / name for name in _CERTIFICATES)
    unreadable = [str(path) for path in ([ca, *pair] if verify else pair) if not os.access(path, os.R_OK)]
    if unreadable:
        raise EngineError(f"cannot read {', '.join(unreadable)}; TLS needs ca.pem, cert.pem and key.pem")
    return TLSConfig(client_cert=(str(pair[0]), str(pair[1])), ca_cert=str(ca), verify=verify)


def _innermost(error: BaseException) -> BaseException:
    # Of what the engine says in its own words, the layers beneath only have the status.
    return root_cause(error, lambda error: isinstance(error, APIError) and bool(error.explanation))


def _explained(cause: BaseException) -> str:
    match cause:
        case PermissionError():
            return "permission denied; may this user use the engine (group docker)?"
        case FileNotFoundError():
            return "no such socket; is the engine running?"
        case ssl.SSLCertVerificationError():
            return f"the engine's certificate is not trusted: {cause.verify_message}"
        case APIError():
            return str(cause.explanation)
        case _:
            return said(cause)


def _checked(path: str, answer: BaseHTTPResponse) -> BaseHTTPResponse:
    if answer.status != HTTPStatus.OK:
        raise EngineError(_refusal(path.partition("?")[0], answer.status, answer.data))
    return answer


def _refusal(path: str, status: int, body: bytes) -> str:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode(errors="replace").strip()
    return f"{path}: HTTP {status}: {message}"
