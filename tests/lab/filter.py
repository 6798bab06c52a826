"""The filter of an engine's API that is shipped for HAProxy, in front of any engine."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.install import ensure_compose, program
from tests.lab.process import LoggedProcess
from tests.lab.server import LOOPBACK, PATIENCE_SECONDS, READY_SECONDS, free_port
from tests.lab.wait import wait_until
from tests.lab.wheels import SOURCE

SHIPPED = SOURCE / "compose" / "docker-proxy.cfg"
LOGS_OFF = re.compile(r"^  # (acl asked .*/logs\$)$", re.MULTILINE)
"""The line for container logs, as it is shipped: a comment."""

_DECISION = "  http-request deny"


@contextmanager
def filtered(engine: Path, directory: Path, *, refused: str = "") -> Iterator[str]:
    """Run it, with the line for logs, in front of the engine at a socket; give its host and port.

    ``directory`` is for its configuration and log; ``refused`` is a pattern of further paths to refuse.
    """
    ensure_compose()
    address = f"{LOOPBACK}:{free_port()}"
    configuration = directory / "filter.cfg"
    configuration.write_text(_configured(engine, address, refused))
    haproxy = LoggedProcess([program("haproxy"), "-db", "-f", configuration], directory / "filter.log")
    try:
        if not wait_until(lambda: _listens(address) or not haproxy.alive, READY_SECONDS) or not haproxy.alive:
            raise LabError(f"the filter does not listen; its log ends with:\n{haproxy.log_tail()}")
        yield address
    finally:
        haproxy.end(PATIENCE_SECONDS)


def _configured(engine: Path, address: str, refused: str) -> str:
    text = LOGS_OFF.sub(r"  \1", SHIPPED.read_text())
    text = text.replace("bind :2375", f"bind {address}").replace("/var/run/docker.sock", str(engine))
    further = f"{_DECISION} deny_status 403 if {{ path_reg {refused} }}\n" if refused else ""
    return text.replace(_DECISION, further + _DECISION)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
