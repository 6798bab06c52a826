"""Where the server listens."""

import errno
import os
import socket
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from exporter.web import listening
from exporter.web.listening import ListenError, inherited_listeners, open_listener, open_listeners
from tests.web.served import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("address", "family", "host"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
        ("[::1]:0", socket.AF_INET6, "::1"),
        ("localhost:0", socket.AF_INET, "127.0.0.1"),
    ],
)
def test_it_listens_at_the_address(address: str, family: socket.AddressFamily, host: str) -> None:
    with closing(open_listener(address)) as opened:
        listener = opened.socket
        assert (listener.family, listener.getsockname()[0]) == (family, host)
        assert listener.getsockname()[1] != 0


def test_without_a_host_it_listens_on_ipv4_and_ipv6() -> None:
    with closing(open_listener(":0")) as listener:
        port = listener.socket.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), PATIENCE_SECONDS).close()


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        # 192.0.2.0/24 is reserved for documentation.
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("a..b:0", ""),
        ("x" * 64 + ".example:0", ""),
    ],
)
def test_an_address_that_cannot_be_used_is_reported(address: str, cause: str) -> None:
    with pytest.raises(ListenError) as refused:
        open_listener(address)
    assert str(refused.value).startswith(f"cannot listen on {address}: {cause}")


def test_an_address_in_use_is_reported() -> None:
    with closing(open_listener("127.0.0.1:0")) as listener:
        address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        with pytest.raises(ListenError) as refused:
            open_listener(address)
    assert str(refused.value) == f"cannot listen on {address}: Address already in use"


@pytest.mark.parametrize("cause", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_it_listens_on_ipv4_alone(cause: int, monkeypatch: pytest.MonkeyPatch) -> None:
    create = socket.create_server

    def without_ipv6(*words: Any, **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(cause, os.strerror(cause))
        return create(*words, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with closing(open_listener(":0")) as listener:
        assert (listener.socket.family, listener.name.split(":")[0]) == (socket.AF_INET, "0.0.0.0")  # noqa: S104


def test_if_one_of_several_addresses_cannot_be_used_none_stays_open(tmp_path: Path) -> None:
    first, second = tmp_path / "first.sock", tmp_path / "second.sock"
    second.touch()
    with pytest.raises(ListenError, match="Address already in use"):
        open_listeners([f"unix://{first}", f"unix://{second}"], 0o600)
    assert [file.exists() for file in (first, second)] == [False, True]


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_its_mode_and_goes_with_its_server(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "exits.sock"
    with closing(open_listener(f"unix://{path}", mode)) as listener:
        assert (stat.S_IMODE(path.stat().st_mode), listener.name) == (mode, f"unix://{path}")
        with pytest.raises(ListenError, match="Address already in use"):
            open_listener(f"unix://{path}", mode)
    assert not path.exists()


def test_the_unix_socket_of_a_process_that_has_ended_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "exits.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    open_listener(f"unix://{path}").close()


def test_the_unix_socket_of_a_process_that_accepts_nothing_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "exits.sock"
    with socket.socket(socket.AF_UNIX) as stuck, ExitStack() as clients:
        stuck.bind(str(path))
        stuck.listen(0)
        client = None
        while client is None or client.connect_ex(str(path)) == 0:
            client = clients.enter_context(closing(socket.socket(socket.AF_UNIX)))
            client.setblocking(False)  # noqa: FBT003  # as the standard library has it
        with pytest.raises(ListenError, match="Address already in use"):
            open_listener(f"unix://{path}")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_PID": str(os.getpid())},
        *({"LISTEN_FDS": each, "LISTEN_PID": str(os.getpid())} for each in ("0", "-1", "one", "9" * 5000)),
    ],
)
def test_without_a_socket_of_systemd_it_does_not_start(variables: dict[str, str]) -> None:
    with pytest.raises(ListenError, match="systemd has passed no socket on"):
        inherited_listeners(variables)
    assert variables == {}


@pytest.mark.parametrize("amount", ["1", "999999999"])
def test_a_descriptor_that_is_not_open_is_no_socket_of_systemd(
    monkeypatch: pytest.MonkeyPatch, amount: str
) -> None:
    # More than this process can have open.
    monkeypatch.setattr(listening, "_FIRST_DESCRIPTOR", 1 << 30)
    with pytest.raises(ListenError, match=r"^the descriptor 1073741824 of systemd is no socket$"):
        inherited_listeners({"LISTEN_FDS": amount, "LISTEN_PID": str(os.getpid())})
