"""Client of the docker SDK that reuses connections and does little work for each request."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import docker
import requests
from urllib3.connectionpool import HTTPConnectionPool

from exporter.sources.docker.api.answer import MAX_ANSWER_BYTES
from exporter.sources.docker.api.connection import EngineConnection, IdleConnections, StaleConnectionError
from exporter.sources.docker.api.ssh import SshAdapter, ssh_command
from exporter.sources.docker.api.status import status_error
from exporter.sources.docker.engine import EngineError

HEADERS = {"User-Agent": "exit-exporter", "Accept": "application/json", "Accept-Encoding": "identity"}
_API_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


class Client(docker.APIClient):
    """The SDK's client for its ways to connect, trusting only the certificates that it was given.

    Without this, requests would prefer the certificates of REQUESTS_CA_BUNDLE. Over ssh, connections are
    shared.
    """

    def __init__(self, **settings: Any) -> None:
        self._idle = IdleConnections(self._open)
        super().__init__(**settings)

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Register an adapter for URLs that begin with ``prefix``."""
        over_ssh = hasattr(adapter, "ssh_client")
        super().mount(prefix, _share_connections(adapter, str(self.base_url)) if over_ssh else adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings of one request."""
        own = verify if verify is not None or self.verify is True else (self.verify or False)
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def version(self, api_version: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002  # the SDK's
        """Return the answer to ``/version``, with which the SDK begins. Raises EngineError."""
        status, body = self._fetch("/version", MAX_ANSWER_BYTES)
        if status != HTTPStatus.OK:
            raise status_error("/version", status, body)
        return _version(body)

    def fetch(self, path: str, max_bytes: int = MAX_ANSWER_BYTES) -> tuple[int, bytes]:
        """Return status and body of the answer to a GET. Raises EngineError and ``failures()``."""
        return self._fetch(f"/v{self.api_version}{path}", max_bytes)

    def open(self, path: str, params: dict[str, str]) -> tuple[int, EngineConnection]:
        """Return the status of the answer to a GET, and a connection with its body, which the caller closes.

        Raises EngineError and ``failures()``.
        """
        return self._ask(f"/v{self.api_version}{path}?{urlencode(params)}", MAX_ANSWER_BYTES)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._idle.close()
        super().close()

    def _fetch(self, path: str, max_bytes: int) -> tuple[int, bytes]:
        status, connection = self._ask(path, max_bytes)
        try:
            body = connection.read()
        except BaseException:
            connection.close()
            raise
        self._idle.put_back(connection)
        return status, body

    def _ask(self, path: str, max_bytes: int) -> tuple[int, EngineConnection]:
        """Send a GET; once more over a new connection, if an idle one was closed as it was used again."""
        try:
            return self._ask_over(self._idle.take(), path, max_bytes)
        except StaleConnectionError:
            return self._ask_over(self._open(), path, max_bytes)

    def _ask_over(
        self, connection: EngineConnection, path: str, max_bytes: int
    ) -> tuple[int, EngineConnection]:
        try:
            return connection.ask(self._target(path), max_bytes), connection
        except BaseException:
            connection.close()
            raise

    def _target(self, path: str) -> str:
        return self._route[1] + path

    def _open(self) -> EngineConnection:
        pool, _ = self._route
        opened: Any = pool._new_conn()  # noqa: SLF001  # each of the SDK's transports has its own
        opened.timeout = self.timeout
        if pool.proxy is not None:
            pool._prepare_proxy(opened)  # noqa: SLF001  # as urllib3 does it for https
        if opened.sock is None:
            opened.connect()
        return EngineConnection(opened, self._headers)

    @cached_property
    def _headers(self) -> bytes:
        pool, _ = self._route
        host = urlsplit(str(self._root.url)).netloc.rpartition("@")[2]
        # A tunnel through a proxy has had them when it was made.
        own = pool.proxy_headers if pool.proxy is not None and pool.scheme == "http" else {}
        lines = [f"{name}: {value}\r\n" for name, value in {"Host": host, **HEADERS, **own}.items()]
        return "".join(lines).encode("latin-1")

    @cached_property
    def _root(self) -> requests.PreparedRequest:
        """Request as requests would send it: the name of a host may have to be encoded."""
        return requests.Request("GET", f"{self.base_url}/").prepare()

    @cached_property
    def _route(self) -> tuple[HTTPConnectionPool, str]:
        """Pool that the session of requests would use, and what it would write before a path."""
        request, url = self._root, str(self._root.url)
        chosen = self.merge_environment_settings(url, {}, stream=False, verify=None, cert=None)
        adapter: Any = self.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(
            request, chosen["verify"], proxies=chosen["proxies"], cert=chosen["cert"]
        )
        adapter.cert_verify(pool, url, chosen["verify"], chosen["cert"])
        return pool, adapter.request_url(request, chosen["proxies"]).removesuffix("/")


def _version(body: bytes) -> dict[str, Any]:
    """Return an answer to ``/version``, of which the SDK takes the version of the API as it is."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        answer: dict[str, Any] = json.loads(body)
        if _API_VERSION.fullmatch(answer["ApiVersion"]):
            return answer
    raise EngineError("/version: unusable answer; is this a Docker Engine?")


def _share_connections(adapter: Any, url: str) -> Any:
    """Return an adapter whose requests share connections, instead of the SDK's own for ssh.

    With the program ssh, the SDK logs in for each request. With paramiko, it opens a channel for each URL, of
    which sshd allows ten.
    """
    if adapter.ssh_client is None:
        return SshAdapter(ssh_command(url), adapter.max_pool_size)
    pool_of = adapter.get_connection
    adapter.get_connection = lambda _url, proxies=None: pool_of(url, proxies)
    return adapter
