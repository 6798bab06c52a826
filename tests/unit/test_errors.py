"""The cause of an error, below the layers that only wrap it."""

import errno
import os
import socket
import ssl
from collections.abc import Callable

import pytest

from exporter.errors import message_of, root_cause

Raising = Callable[[], object]


def caught(raising: Raising) -> Exception:
    """Raise, and give what was raised."""
    with pytest.raises(Exception) as info:  # noqa: PT011  # whatever it is
        raising()
    return info.value


def alone() -> None:
    raise ValueError("root")


def from_cause() -> None:
    try:
        alone()
    except ValueError as error:
        raise KeyError("outer") from error


def while_handling() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError("outer")  # noqa: B904  # that is the point


def from_none() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError("outer") from None


def as_argument() -> None:
    raise KeyError("outer", ValueError("root"))


def cause_before_context_and_argument() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError("outer", TypeError("argument")) from OSError("root")


def context_before_argument() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError("outer", TypeError("argument"))  # noqa: B904  # that is the point


def argument_behind_from_none() -> None:
    try:
        alone()
    except ValueError:
        raise KeyError("outer", OSError("root")) from None


def several_arguments() -> None:
    raise KeyError("text", 1, ValueError("root"), TypeError("second"))


def deep() -> None:
    try:
        from_cause()
    except KeyError as error:
        raise RuntimeError(KeyError("beside"), error) from OSError("layer", error)


@pytest.mark.parametrize(
    ("raising", "root"),
    [
        (alone, "ValueError('root')"),
        (from_cause, "ValueError('root')"),
        (while_handling, "ValueError('root')"),
        (from_none, "KeyError('outer')"),
        (as_argument, "ValueError('root')"),
        (cause_before_context_and_argument, "OSError('root')"),
        (context_before_argument, "ValueError('root')"),
        (argument_behind_from_none, "OSError('root')"),
        (several_arguments, "ValueError('root')"),
        (deep, "ValueError('root')"),
    ],
)
def test_the_innermost_error_is_what_it_comes_from(raising: Raising, root: str) -> None:
    assert repr(root_cause(caught(raising))) == root


def test_no_deeper_than_what_says_enough() -> None:
    error = caught(from_cause)
    assert root_cause(error, lambda one: isinstance(one, KeyError)) is error
    assert repr(root_cause(error, lambda one: isinstance(one, ValueError))) == "ValueError('root')"
    assert repr(root_cause(error, lambda _: False)) == "ValueError('root')"


def test_errors_that_come_from_each_other_have_an_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert root_cause(first) is second
    itself = ValueError("itself")
    itself.__cause__ = itself
    assert root_cause(itself) is itself


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("some text"), "some text"),
        (ValueError(), "ValueError"),
        (ValueError(""), "ValueError"),
        (TimeoutError(), "TimeoutError"),
        (OSError("only text"), "only text"),
        (OSError(), "OSError"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (
            FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/secret/path"),
            "No such file or directory",
        ),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL] wrong version"), "[SSL] wrong version"),
        (OSError(errno.EIO, ""), "[Errno 5] "),
        (KeyError("key"), "'key'"),
    ],
)
def test_an_error_says_what_it_has_to_in_as_few_words_as_there_are(error: Exception, text: str) -> None:
    assert message_of(error) == text
