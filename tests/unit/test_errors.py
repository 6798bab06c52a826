"""Root cause and message of an error."""

import errno
import os
import socket
import ssl

import pytest

from exporter.errors import message_of, root_cause


def raised(error: Exception, *, context: Exception | None = None, from_none: bool = False) -> Exception:
    """Return an error as if it was raised while ``context`` was handled."""
    error.__context__ = context
    error.__suppress_context__ = from_none
    return error


def caused(error: Exception, cause: Exception, *, context: Exception | None = None) -> Exception:
    """Return an error as if it was raised from a cause."""
    error.__context__ = context
    error.__cause__ = cause
    return error


ROOT, OTHER = ValueError("root"), TypeError("other")
CHAINS = {
    "alone": ROOT,
    "cause": caused(KeyError("outer"), ROOT),
    "context": raised(KeyError("outer"), context=ROOT),
    "argument": KeyError("outer", ROOT),
    "cause before context and argument": caused(KeyError("outer", OTHER), ROOT, context=OTHER),
    "context before argument": raised(KeyError("outer", OTHER), context=ROOT),
    "argument, raised from None": raised(KeyError("outer", ROOT), context=OTHER, from_none=True),
    "first of several arguments": KeyError("text", 1, ROOT, OTHER),
    "deep": caused(RuntimeError(KeyError("beside")), OSError("layer", caused(KeyError("outer"), ROOT))),
}


@pytest.mark.parametrize("error", CHAINS.values(), ids=CHAINS)
def test_the_root_cause_is_the_innermost_error(error: Exception) -> None:
    assert root_cause(error) is ROOT


def test_a_context_that_is_suppressed_is_no_cause() -> None:
    error = raised(KeyError("outer"), context=ROOT, from_none=True)
    assert root_cause(error) is error


def test_the_search_stops_at_an_error_that_is_enough() -> None:
    error = caused(KeyError("outer"), ROOT)
    assert root_cause(error, lambda one: isinstance(one, KeyError)) is error
    assert root_cause(error, lambda one: isinstance(one, ValueError)) is ROOT
    assert root_cause(error, lambda _: False) is ROOT


def test_the_search_ends_in_a_cycle() -> None:
    first, second, itself = ValueError("first"), ValueError("second"), ValueError("itself")
    first.__cause__, second.__cause__, itself.__cause__ = second, first, itself
    assert (root_cause(first), root_cause(itself)) == (second, itself)


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
def test_a_message_has_neither_number_nor_path(error: Exception, text: str) -> None:
    assert message_of(error) == text
