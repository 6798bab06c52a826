"""What the service manager is told: ready, alive, stopping (the protocol of ``sd_notify``)."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping

import structlog

from exporter.errors import message_of

log = structlog.get_logger(__name__)

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
# Ten minutes until the next state.
MORE_TIME = "EXTEND_TIMEOUT_USEC=600000000"
_NO_WATCHDOG_SECONDS = 3600.0
# How long its queue may be full; the server waits meanwhile.
_SEND_SECONDS = 1.0
# More than the 64 bits of systemd has no number, and Python refuses very long ones.
_MICROSECONDS = re.compile(r"[1-9][0-9]{0,18}")


class ServiceManager:
    """The manager that started this process, if it wants to be told; else nobody is.

    ``is_alive``: whether the process does its work; if not, it is silent, and the manager's watchdog ends it.
    """

    def __init__(self, environment: Mapping[str, str], is_alive: Callable[[], bool]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._is_alive = is_alive
        self._is_ready = False
        self.interval_seconds = _watchdog_seconds(environment) / 2
        """How often to call ``beat``."""

    async def beat(self) -> None:
        """Say that the server is ready, at the first time, and that the process is alive."""
        if not self._is_ready:
            self._is_ready = True
            self.say(READY)
        elif self._is_alive():
            self.say(ALIVE)

    def say(self, state: str) -> None:
        """Send a state."""
        if not self._address:
            return
        # An address that begins with @ is in the abstract namespace, which the kernel marks with a zero byte.
        address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.settimeout(_SEND_SECONDS)
                client.sendto(state.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told", state=state, cause=message_of(error))


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Return within how many seconds the manager wants to hear that the process is alive."""
    wanted, owner = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    is_ours = owner in {"", str(os.getpid())} and _MICROSECONDS.fullmatch(wanted)
    return int(wanted) / 1e6 if is_ours else _NO_WATCHDOG_SECONDS
