"""Passwords in front of every endpoint."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest

from exporter.web import passwords
from exporter.web.live_config import LiveWebConfig
from exporter.web.passwords import BusyError, PasswordChecker
from tests.web.served import Served

USER, PASSWORD = "alice", "corréct"
LONG = "x" * 72
USERS = {
    USER: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)),
    "long": bcrypt.hashpw(LONG.encode(), bcrypt.gensalt(4)),
}
PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/jobs", "/openapi.json", "/nothing")


def basic(pair: str) -> dict[str, bytes]:
    """Return the header of a pair of user and password."""
    return {"Authorization": b"Basic " + b64encode(pair.encode())}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    """Return a running server with passwords and headers."""
    file = tmp_path / "web.yaml"
    users = "".join(f"  {user}: {text.decode()}\n" for user, text in USERS.items())
    file.write_text(
        f"basic_auth_users:\n{users}http_server_config:\n  headers: {{X-Content-Type-Options: nosniff}}\n"
    )
    served = Served(tmp_path)
    served.web_config = LiveWebConfig(file)
    with served.running():
        yield served


@pytest.mark.parametrize("path", PATHS)
def test_everything_is_behind_a_password(guarded: Served, path: str) -> None:
    refused, known = guarded.ask(path), guarded.ask(path, headers=basic(f"{USER}:{PASSWORD}"))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (
        HTTPStatus.UNAUTHORIZED,
        'Basic realm="exit-exporter", charset="UTF-8"',
    )
    assert known.status_code == (HTTPStatus.NOT_FOUND if path == "/nothing" else HTTPStatus.OK)
    assert [each.headers["x-content-type-options"] for each in (refused, known)] == ["nosniff", "nosniff"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (basic(f"{USER}:{PASSWORD}"), 200),
        ({"Authorization": b"bAsIc  " + b64encode(f"{USER}:{PASSWORD}".encode())}, 200),
        (basic(f"long:{LONG}"), 200),
        (basic(f"long:{LONG}y"), 401),
        (basic(f"long:{LONG}\0"), 401),
        (basic(f"{USER}:{PASSWORD}\0"), 401),
        (basic(f"{USER}:wrong"), 401),
        (basic(f"nobody:{PASSWORD}"), 401),
        (basic(f"{USER}"), 401),
        (basic(":"), 401),
        ({"Authorization": b"Basic !!!"}, 401),
        ({"Authorization": b"Basic /////w=="}, 401),
        ({"Authorization": b"Basic"}, 401),
        ({"Authorization": b"Bearer " + b64encode(f"{USER}:{PASSWORD}".encode())}, 401),
    ],
)
def test_only_a_right_pair_is_let_in(guarded: Served, header: dict[str, bytes], status: int) -> None:
    # Twice: the second time can be answered from what is remembered.
    assert [guarded.ask("/metrics", headers=header).status_code for _ in range(2)] == [status, status]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the hashes against which bcrypt checks from now on."""
    seen: list[bytes] = []
    check = bcrypt.checkpw

    def counting(password: bytes, expected: bytes) -> bool:
        seen.append(expected)
        return check(password, expected)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return seen


def test_an_unknown_user_costs_as_much_as_a_wrong_password(checks: list[bytes]) -> None:
    async def ask() -> list[bool]:
        checker = PasswordChecker(lambda: USERS)
        pairs = (("nobody", b"x"), (USER, b"x"), ("nobody", b"x" * 73), (USER, b"x" * 73))
        return [await checker.is_right(user, password, "") for user, password in pairs]

    assert (asyncio.run(ask()), checks) == ([False] * 4, [USERS[USER]] * 2)


def test_a_right_pair_is_checked_once_and_again_after_a_change(checks: list[bytes]) -> None:
    users = dict(USERS)

    async def ask() -> list[bool]:
        checker = PasswordChecker(lambda: users)
        right = [await checker.is_right(USER, PASSWORD.encode(), "") for _ in range(3)]
        users[USER] = bcrypt.hashpw(b"another", bcrypt.gensalt(4))
        return [*right, await checker.is_right(USER, PASSWORD.encode(), "")]

    assert asyncio.run(ask()) == [True, True, True, False]
    assert checks == [USERS[USER], users[USER]]


def test_a_user_with_a_new_name_has_no_longer_the_old_one() -> None:
    users = {USER: USERS[USER]}

    async def ask() -> list[bool]:
        checker = PasswordChecker(lambda: users)
        before = await checker.is_right(USER, PASSWORD.encode(), "")
        users["renamed"] = users.pop(USER)
        return [before, *[await checker.is_right(user, PASSWORD.encode(), "") for user in (USER, "renamed")]]

    assert asyncio.run(ask()) == [True, False, True]


def test_checks_are_limited_and_a_remembered_pair_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> list[bool | BaseException]:
        checker = PasswordChecker(lambda: USERS)
        await checker.is_right(USER, PASSWORD.encode(), "a")
        held = asyncio.Event()

        async def never(*_arguments: object) -> bool:
            await held.wait()
            return False

        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", never)
        addresses = [str(number // (passwords.MAX_CHECKS_BY_ADDRESS + 1)) for number in range(100)]
        waiting = [asyncio.ensure_future(checker.is_right(USER, b"x", each)) for each in addresses]
        done, pending = await asyncio.wait(waiting, timeout=0)
        assert len(pending) == passwords.MAX_CHECKS
        right = await checker.is_right(USER, PASSWORD.encode(), "0")
        held.set()
        await asyncio.wait(pending)
        return [right, *(each.exception() or each.result() for each in done)]

    right, *refused = asyncio.run(ask())
    assert right is True
    assert {type(each) for each in refused} == {BusyError}
