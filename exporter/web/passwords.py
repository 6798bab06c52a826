"""Checks of passwords against bcrypt hashes, which are slow on purpose and must hold up nobody else."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

# bcrypt reads no more of a password.
MAX_PASSWORD_BYTES = 72
# Checks that wait or run at a time: for all clients, and for those at one address.
MAX_CHECKS = 32
MAX_CHECKS_BY_ADDRESS = 8
_MAX_VERIFIED = 1000
_LOWER_PRIORITY = 10


class BusyError(Exception):
    """Too many passwords are being checked."""


class PasswordChecker:
    """Users and passwords; ``users`` returns the current hashes. Use it from one event loop.

    A right pair is remembered, as a keyed hash of itself and the hash that it fits. So only pairs that are
    new cost the time of bcrypt, one after another, in a thread of low priority.
    """

    def __init__(self, users: Callable[[], Mapping[str, bytes]]) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._verified: set[bytes] = set()
        self._waiting: Counter[str] = Counter()
        self._executor = ThreadPoolExecutor(1, "password", _lower_priority)

    async def is_right(self, user: str, password: bytes, address: str) -> bool:
        """Return whether a user has this password. Raises BusyError. An unknown user takes as long."""
        users = self._users()
        known = users.get(user)
        # Any hash will do for an unknown user. Nothing is remembered of one, such as a name that was changed.
        expected = known or next(iter(users.values()))
        digest = self._digest(user if known else "", expected, password)
        if digest in self._verified:
            return True
        if len(password) > MAX_PASSWORD_BYTES or b"\0" in password:
            return False
        return await self._check(expected, password, address, digest, is_known=known is not None)

    async def _check(
        self, expected: bytes, password: bytes, address: str, digest: bytes, *, is_known: bool
    ) -> bool:
        if self._waiting.total() >= MAX_CHECKS or self._waiting[address] >= MAX_CHECKS_BY_ADDRESS:
            raise BusyError
        self._waiting[address] += 1
        try:
            loop = asyncio.get_running_loop()
            fits = await loop.run_in_executor(self._executor, self._fits, digest, password, expected)
        finally:
            self._waiting -= Counter([address])
        if fits and is_known:
            self._remember(digest)
        return fits and is_known

    def _fits(self, digest: bytes, password: bytes, expected: bytes) -> bool:
        # Only a daemon with passwords loads it.
        import bcrypt  # noqa: PLC0415

        # It can have been verified while this check waited.
        return digest in self._verified or bcrypt.checkpw(password, expected)

    def _remember(self, digest: bytes) -> None:
        if len(self._verified) >= _MAX_VERIFIED:
            self._verified.clear()
        self._verified.add(digest)

    def _digest(self, user: str, expected: bytes, password: bytes) -> bytes:
        # A password of 72 bytes at most; a longer one has a digest of its own, which is never remembered.
        parts = (user.encode(), expected, password)
        return hmac.digest(
            self._key, b"".join(len(part).to_bytes(8, "big") + part for part in parts), "sha256"
        )


def _lower_priority() -> None:
    """Let the calling thread run after others; on Linux, each thread has a priority of its own."""
    # A sandbox may forbid it.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
