"""Transport over ssh: one ``ssh`` process for each connection, attached to a socket pair.

The SDK attaches pipes instead. A socket has timeouts, can be closed by another thread, and carries one
request after another, where pipes need a login for each. The messages of ssh are kept for error texts.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from docker.api import client as sdk_client
from docker.transport.basehttpadapter import BaseHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

_CHUNK_BYTES = 1 << 12
_MAX_CHUNKS = 4
_STDERR_SECONDS = 5.0


def enable_sdk_ssh() -> None:
    """Give the SDK its adapter for ssh, as it has it from the start if paramiko is installed.

    Without paramiko it stays without, and says what to install.
    """
    with suppress(ImportError):
        from docker.transport.sshconn import SSHHTTPAdapter  # noqa: PLC0415  # it imports paramiko

        vars(sdk_client).setdefault(SSHHTTPAdapter.__name__, SSHHTTPAdapter)


def ssh_command(url: str) -> list[str]:
    """Return the command that connects to ``ssh://user@host:port``, as the ``docker`` command runs it."""
    parts = urlsplit(url)
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    return ["ssh", "-T", *user, *port, "--", parts.hostname or "", "docker system dial-stdio"]


def start_ssh(command: Sequence[str], stderr: int) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Run ssh attached to a socket pair; return our end and the process, which the caller has to reap.

    ``stderr`` is as in `subprocess`. Raises OSError if it cannot be run.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603  # a fixed command; the host comes from the user's settings
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=stderr,
                # No terminal: ssh must not prompt, and Ctrl-C must not end it before we do.
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
    return ours, process


class SshAdapter(BaseHTTPAdapter):
    """Adapter for a session of requests; all its requests share one connection pool."""

    def __init__(self, command: Sequence[str], connections: int) -> None:
        self._pool = _Pool(command, connections)
        super().__init__()

    def get_connection(self, _url: Any, _proxies: Any = None) -> HTTPConnectionPool:
        """Return the pool."""
        return self._pool

    def request_url(self, request: Any, _proxies: Any) -> Any:
        """Return the path alone: no proxy is used."""
        return request.path_url

    def close(self) -> None:
        """End the idle ssh processes."""
        super().close()
        self._pool.close()


class _Pool(HTTPConnectionPool):
    def __init__(self, command: Sequence[str], connections: int) -> None:
        super().__init__("localhost", maxsize=connections)
        self._command = command

    def _new_conn(self) -> SshConnection:
        return SshConnection(self._command)


class SshConnection(HTTPConnection):
    """Connection through a process of ssh."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__("localhost")
        self._command = command
        self._stderr: deque[bytes] = deque(maxlen=_MAX_CHUNKS)
        self._stderr_reader: threading.Thread | None = None

    def connect(self) -> None:
        """Run ssh."""
        ours, process = start_ssh(self._command, subprocess.PIPE)
        self._stderr_reader = threading.Thread(
            target=self._read_stderr, args=(process,), name="ssh", daemon=True
        )
        self._stderr_reader.start()
        ours.settimeout(self.timeout)
        self.sock = ours

    def last_message(self) -> str:
        """Return what ssh has said last, once it has ended."""
        if self._stderr_reader is not None:
            self._stderr_reader.join(_STDERR_SECONDS)
        lines = b"".join(self._stderr).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "ssh ended without a message")

    def _read_stderr(self, process: subprocess.Popen[bytes]) -> None:
        """Keep the last messages of ssh, and reap the process when it ends."""
        with process:
            for chunk in iter(partial(process.stderr.read1, _CHUNK_BYTES), b""):  # type: ignore[union-attr]
                self._stderr.append(chunk)
