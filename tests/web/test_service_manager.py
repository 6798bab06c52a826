"""What the service manager is told."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.web.service_manager import STOPPING, ServiceManager


@pytest.fixture(params=["a file", "an abstract name"])
def manager_socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Return the address of a manager, as systemd names it, and its socket."""
    name = f"exit-exporter-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "a file" else f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        manager.settimeout(0)
        yield address, manager


def test_the_manager_hears_ready_alive_and_stopping(manager_socket: tuple[str, socket.socket]) -> None:
    address, socket_of_manager = manager_socket
    alive = [True]
    manager = ServiceManager({"NOTIFY_SOCKET": address}, lambda: alive[0])
    for _ in range(3):
        asyncio.run(manager.beat())
    alive[0] = False
    asyncio.run(manager.beat())
    manager.say(STOPPING)
    heard = [socket_of_manager.recv(100) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
    with pytest.raises(BlockingIOError):
        socket_of_manager.recv(100)


@pytest.mark.parametrize("address", ["", "/nowhere"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address}, lambda: True)
    asyncio.run(manager.beat())
    manager.say(STOPPING)


def test_a_manager_that_hears_nothing_holds_nothing_up(
    manager_socket: tuple[str, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    address, _ = manager_socket
    manager = ServiceManager({"NOTIFY_SOCKET": address}, lambda: True)
    # At some number, its queue is full.
    while "the service manager cannot be told" not in capsys.readouterr().out:
        manager.say(STOPPING)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 1800),
        *(({"WATCHDOG_USEC": wanted}, 1800) for wanted in ("soon", "0", "-1", "9" * 5000)),
        ({}, 1800),
    ],
)
def test_it_is_heard_twice_in_the_time_of_the_watchdog(variables: dict[str, str], seconds: float) -> None:
    assert ServiceManager(variables, lambda: True).interval_seconds == seconds
