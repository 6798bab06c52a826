"""Root cause and message of an error that libraries have wrapped."""

from __future__ import annotations

from collections.abc import Callable


def root_cause(
    error: BaseException, is_enough: Callable[[BaseException], bool] = lambda _: False
) -> BaseException:
    """Return the innermost cause of an error, or the outermost one that ``is_enough``."""
    seen = {id(error)}
    while not is_enough(error) and (cause := _cause(error)) is not None and id(cause) not in seen:
        seen.add(id(cause))
        error = cause
    return error


def _cause(error: BaseException) -> BaseException | None:
    # urllib3 passes some causes on as an argument only.
    argument = next((value for value in error.args if isinstance(value, BaseException)), None)
    context = None if error.__suppress_context__ else error.__context__
    return error.__cause__ or context or argument


def message_of(error: BaseException) -> str:
    """Return the message of an error, without number and path for an OSError; its class if it has none."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
