"""One time limit for a whole HTTP request: what requests calls a timeout is for each wait for some bytes."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection


def limit_whole_requests(session: Session) -> None:
    """Let the timeout of each request of a session be for all of it, to the last byte of the answer.

    What takes longer raises requests.Timeout, or TimeoutError while the body is read. Only the resolver's own
    time limit holds for names.
    """
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())


class _TimedReader(io.RawIOBase):
    """Reads from a socket until what was its timeout at first is over."""

    def __init__(self, opened: socket.socket, raw: io.RawIOBase) -> None:
        self._socket = opened
        self._raw = raw
        timeout = opened.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer whose headers and body must come within the timeout of the socket."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        _use_timed(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        # Of SOCKS, the pools are others.
        if isinstance(manager, ProxyManager):
            _use_timed(manager)
        return manager

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        options["timeout"] = Timeout(total=options.get("timeout"))
        return super().send(request, *arguments, **options)


def _use_timed(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
