"""The cause of an error: its outer layers only wrap it in the names of their classes."""

from __future__ import annotations

from collections.abc import Callable


def root_cause(
    error: BaseException, says_enough: Callable[[BaseException], bool] = lambda _: False
) -> BaseException:
    """What an error comes from; no deeper than one that already ``says_enough``."""
    seen = {id(error)}
    while not says_enough(error) and (deeper := _within(error)) is not None and id(deeper) not in seen:
        seen.add(id(deeper))
        error = deeper
    return error


def _within(error: BaseException) -> BaseException | None:
    # urllib3 hands some causes on as a mere argument.
    argued = next((value for value in error.args if isinstance(value, BaseException)), None)
    context = None if error.__suppress_context__ else error.__context__
    return error.__cause__ or context or argued


def said(error: BaseException) -> str:
    """What an error says, in as few words as there are."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
