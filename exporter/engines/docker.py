"""The adapter for a Docker Engine (and what speaks its API), over the transports of the docker SDK.

Only GET requests are made: ``/_ping``, ``/version``, ``/info``, ``/events``, ``/containers/json``
and ``/containers/{id}/json``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import requests
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.types import CancellableStream
from docker.utils import parse_host
from urllib3.exceptions import HTTPError

from exporter.engines import docker_messages as messages
from exporter.engines.port import EngineError, EngineInfo, Event, EventStream, Snapshot

CONTEXT_PREFIX = "context:"
_SCHEMES = ("unix://", "tcp://", "ssh://", "http://", "https://", "npipe://")
CALL_SECONDS = 10
MAX_LINE_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_FAILURES = (DockerException, requests.RequestException, HTTPError, OSError)
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
            return _context(host.removeprefix(CONTEXT_PREFIX))
        if host:
            return Address(_url(host), _tls(cert_path))
        if environment.get("DOCKER_HOST"):
            own = environment.get("DOCKER_CERT_PATH") if environment.get("DOCKER_TLS_VERIFY") else None
            return Address(_url(environment["DOCKER_HOST"]), _tls(Path(own) if own else cert_path))
        return _context(environment.get("DOCKER_CONTEXT"))
    except DockerException as error:
        raise EngineError(f"{host or 'the default engine'}: {error}") from error


class DockerEngine:
    """One engine. Connects at the first call, so that it may be made while the engine is down."""

    def __init__(self, address: Address, workers: int = 16) -> None:
        self._address = address
        self._workers = workers
        self._client: docker.APIClient | None = None

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
            raise EngineError(f"{self.address}: /info: unusable answer; is this a Docker Engine?") from error

    def events(self) -> EventStream:
        """An open stream of the events from now on."""
        filters = json.dumps({"type": ["container", "network"], "event": list(messages.ACTIONS)})
        return _DockerStream(self._get("/events", params={"filters": filters}, stream=True))

    def containers(self) -> list[str]:
        """The ids of all containers that the engine still has, whatever their state."""
        return [str(container["Id"]) for container in self._json("/containers/json", {"all": "1"})]

    def inspect(self, container_id: str) -> Snapshot | None:
        """How a container stands; None where the engine no longer has it."""
        response = self._get(f"/containers/{container_id}/json", tolerate=HTTPStatus.NOT_FOUND)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        try:
            return messages.snapshot(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"{self.address}: unusable answer about {container_id[:12]}: {error!r}"
            ) from error

    def close(self) -> None:
        """Let go of the connections; the next call makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        try:
            return self._get(path, params=params).json()
        except ValueError as error:
            raise EngineError(f"{self.address}: {path}: not JSON; is this a Docker Engine?") from error

    def _get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        stream: bool = False,
        tolerate: int | None = None,
    ) -> requests.Response:
        """A GET through the SDK's session, with the status checked: the SDK's own events() does not."""
        try:
            client = self._connected()
            url = f"{client.base_url}/v{client.api_version}{path}"
            timeout = (CALL_SECONDS, None if stream else CALL_SECONDS)
            response = client.get(url, params=params, stream=stream, timeout=timeout)
        except _FAILURES as error:
            raise EngineError(f"{self.address}: {_cause(error)}") from error
        if response.ok or response.status_code == tolerate:
            return response
        with response:
            raise EngineError(f"{self.address}: {path}: HTTP {response.status_code}: {_refusal(response)}")

    def _connected(self) -> docker.APIClient:
        if self._client is None:
            self._client = docker.APIClient(
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


class _DockerStream:
    """The SDK's cancellable stream, which can be closed by another thread, read line by line."""

    def __init__(self, response: requests.Response) -> None:
        chunks = response.raw.stream(_CHUNK_BYTES, decode_content=True)
        self._chunks = CancellableStream(chunks, response)

    def __iter__(self) -> Iterator[Event]:
        try:
            for line in _lines(self._chunks):
                yield messages.event(line)
        except (*_FAILURES, *_CLOSED) as error:
            raise EngineError(f"the event stream broke: {_cause(error)}") from error

    def close(self) -> None:
        # Over ssh the SDK cannot cancel, and a stream that has just ended has no socket any more:
        # either way the reader finds out by itself.
        with suppress(DockerException, OSError, AttributeError):
            self._chunks.close()


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


def _context(name: str | None) -> Address:
    context = ContextAPI.get_context(name)
    if context is None:
        raise EngineError(f"there is no Docker context {name!r}; 'docker context ls' names those there are")
    return Address(context.Host or DEFAULT_UNIX_SOCKET, context.TLSConfig)


def _tls(cert_path: Path | None) -> TLSConfig | None:
    if cert_path is None:
        return None
    pair = (str(cert_path / "cert.pem"), str(cert_path / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(cert_path / "ca.pem"), verify=True)


def _cause(error: BaseException) -> str:
    """The innermost cause: the outer layers only wrap it in the names of their classes."""
    innermost = error
    seen = {id(error)}
    while (deeper := innermost.__cause__ or innermost.__context__) is not None and id(deeper) not in seen:
        seen.add(id(deeper))
        innermost = deeper
    if isinstance(innermost, PermissionError):
        return "permission denied; may this user use the engine (group docker)?"
    if isinstance(innermost, FileNotFoundError):
        return "no such socket; is the engine running?"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror
    return str(innermost) or type(innermost).__name__


def _refusal(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200].strip()
