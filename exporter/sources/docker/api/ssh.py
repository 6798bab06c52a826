"""Over ssh by ssh's own client: for each connection a process, at a socket of which one end is ours.

Beside the SDK's way, which gives the process pipes: a socket has timeouts, can be closed by another
thread, and carries one request after the other, where pipes need a login for each. And ssh's own
words are heard, so that they can be told.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from docker.transport.basehttpadapter import BaseHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

_CHUNK_BYTES = 1 << 12
_CHUNKS_KEPT = 4
_LAST_WORDS_SECONDS = 5.0


def command(url: str) -> list[str]:
    """What leads to the engine at ``ssh://user@host:port``: what the ``docker`` command runs too."""
    place = urlsplit(url)
    user = ["-l", place.username] if place.username else []
    port = ["-p", str(place.port)] if place.port else []
    return ["ssh", "-T", *user, *port, "--", place.hostname or "", "docker system dial-stdio"]


class SshAdapter(BaseHTTPAdapter):
    """What a session of requests mounts: all its requests share one pool."""

    def __init__(self, words: Sequence[str], connections: int) -> None:
        self._pool = _Pool(words, connections)
        super().__init__()

    def get_connection(self, _url: Any, _proxies: Any = None) -> HTTPConnectionPool:
        """The pool."""
        return self._pool

    def request_url(self, request: Any, _proxies: Any) -> Any:
        """The path alone: no proxy is asked."""
        return request.path_url

    def close(self) -> None:
        """End those processes that nobody uses."""
        super().close()
        self._pool.close()


class _Pool(HTTPConnectionPool):
    def __init__(self, words: Sequence[str], connections: int) -> None:
        super().__init__("localhost", maxsize=connections)
        self._words = words

    def _new_conn(self) -> _Connection:
        return _Connection(self._words)


class _Connection(HTTPConnection):
    def __init__(self, words: Sequence[str]) -> None:
        super().__init__("localhost")
        self._command = words
        self._said: deque[bytes] = deque(maxlen=_CHUNKS_KEPT)
        self._listener: threading.Thread | None = None

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # the words are ours, the host its user's
                self._command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                # Without a terminal, so that it asks nobody, and Ctrl-C leaves its end to us.
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(process,), name="ssh", daemon=True)
        self._listener.start()
        ours.settimeout(self.timeout)
        self.sock = ours

    def getresponse(self) -> Any:
        try:
            return super().getresponse()
        except ConnectionError:
            raise ConnectionError(self._last_words()) from None

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Keep the last of what ssh says, and take notice of its end."""
        with process:
            for chunk in iter(partial(process.stderr.read1, _CHUNK_BYTES), b""):  # type: ignore[union-attr]
                self._said.append(chunk)

    def _last_words(self) -> str:
        if self._listener is not None:
            self._listener.join(_LAST_WORDS_SECONDS)
        lines = b"".join(self._said).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "ssh ended without a word")
