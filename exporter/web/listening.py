"""Where the server listens: TCP addresses, unix sockets, and sockets that systemd has opened."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from collections.abc import Iterable, MutableMapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.web.connections import STUCK_SECONDS

UNIX_PREFIX = "unix://"
# Of connections that wait to be accepted, so that those of a flood do not keep out others.
_BACKLOG = 1024
# Of the descriptors that systemd passes on.
_FIRST_DESCRIPTOR = 3
_AMOUNT = re.compile(r"[1-9][0-9]{0,8}")
# How long the process that has a unix socket may take to accept.
_CONNECT_SECONDS = 1.0
# What a kernel without IPv6, or with it turned off, says.
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class ListenError(Exception):
    """The address cannot be listened on; the text is for users."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens; ``path`` is that of a unix socket of our own."""

    socket: socket.socket
    path: Path | None = None

    @property
    def name(self) -> str:
        """Where it listens, for people."""
        name = self.socket.getsockname()
        if not isinstance(name, tuple):
            return f"{UNIX_PREFIX}{os.fsdecode(name)}"
        host, port, *_ = name
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Close it, and remove its file."""
        self.socket.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def open_listeners(addresses: Iterable[str], mode: int) -> list[Listener]:
    """Return a listener for each address; ``mode`` is that of unix sockets. Raises ListenError."""
    with ExitStack() as opened:
        listeners = [opened.enter_context(closing(open_listener(each, mode))) for each in addresses]
        # From here on they stay open.
        opened.pop_all()
    return listeners


def open_listener(address: str, mode: int = 0o660) -> Listener:
    """Return a listener for ``HOST:PORT`` or ``unix:///path``; without a host, for all addresses.

    Raises ListenError.
    """
    try:
        if address.startswith(UNIX_PREFIX):
            path = Path(address.removeprefix(UNIX_PREFIX))
            return Listener(_open_unix(path, mode), path)
        return Listener(_with_tcp_options(_open_tcp(address)))
    except OSError as error:
        # str(error) repeats the address; errors of name resolution have no positive errno.
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenError(f"cannot listen on {address}: {cause}") from error


def inherited_listeners(environment: MutableMapping[str, str]) -> list[Listener]:
    """Return the sockets that systemd has opened for this process. Raises ListenError.

    Their variables are removed, so that no child takes them for its own.
    """
    amount, owner = environment.pop("LISTEN_FDS", "0"), environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if owner != str(os.getpid()) or not _AMOUNT.fullmatch(amount):
        raise ListenError("systemd has passed no socket on; start it through its socket unit")
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(amount))
    return [Listener(_inherited(descriptor)) for descriptor in descriptors]


def _inherited(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # as the standard library has it
        listener = socket.socket(fileno=descriptor)
        is_listening = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        raise ListenError(f"the descriptor {descriptor} of systemd is no socket") from error
    if not is_listening or listener.type != socket.SOCK_STREAM:
        raise ListenError(f"the socket {descriptor} of systemd does not listen; it needs ListenStream=")
    return listener if listener.family == socket.AF_UNIX else _with_tcp_options(listener)


def _open_tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    try:
        everywhere, dualstack = ("", int(port)), socket.has_dualstack_ipv6()
        return socket.create_server(
            everywhere, family=socket.AF_INET6, dualstack_ipv6=dualstack, backlog=_BACKLOG
        )
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        return socket.create_server(everywhere, backlog=_BACKLOG)


def _open_unix(path: Path, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        # Nobody else may connect before it has its mode.
        before = os.umask(0o777 & ~stat.S_IRUSR & ~stat.S_IWUSR)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that has ended; another file, or one in use, makes ``bind`` fail."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CONNECT_SECONDS)
            if client.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


def _with_tcp_options(listener: socket.socket) -> socket.socket:
    # Otherwise each response on a kept connection waits 40 ms for the client's kernel.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client that is gone, or stands still, would keep its stream and what is sent to it for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(STUCK_SECONDS * 1000))
    return listener
