"""Problems with the server: their kinds, which are label values, and what a user can do about each."""

from __future__ import annotations

from enum import StrEnum


class Problem(StrEnum):
    """Kind of a problem."""

    TOKEN = "token"  # noqa: S105  # a label value
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    BUG = "bug"


class ServerError(Exception):
    """The server gave no usable answer; the text is for people."""

    def __init__(self, problem: Problem, cause: str) -> None:
        super().__init__(cause)
        self.problem = problem
