"""The token of the server's API: from a variable, or from a file that is read again each time.

A token is never a flag, which every process on the host could read, and never shown or logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.config.file_start import read_file_start
from exporter.config.variables import DSTACK_TOKEN
from exporter.errors import message_of
from exporter.sources.dstack.problems import Problem, ServerError
from exporter.sources.source import SourceError

_FLAG = "--dstack.token-file"
_TOKEN = re.compile(r"[!-~]+")
# A token is 36 characters long; another file, given by mistake, must not be read whole.
_MAX_BYTES = 4096

ReadToken = Callable[[], str]


def token_reader(file: Path | None, environment: Mapping[str, str]) -> ReadToken:
    """Return a function that returns the token, and raises ServerError if it is not there any more.

    Raises SourceError if there is no usable token now, or two.
    """
    given = environment.get(DSTACK_TOKEN, "")
    if file is not None and given:
        raise SourceError(f"{_FLAG} and {DSTACK_TOKEN} are both given; give one of them")
    if file is None and not given:
        raise SourceError(f"--dstack.url needs a token: give {_FLAG}, or the variable {DSTACK_TOKEN}")

    def read() -> str:
        return _checked(given, DSTACK_TOKEN) if file is None else _checked(_read(file), f"{_FLAG}: {file}")

    try:
        read()
    except ServerError as error:
        raise SourceError(str(error)) from error
    return read


def _read(file: Path) -> str:
    try:
        return read_file_start(file, _MAX_BYTES).decode(errors="replace")
    except OSError as error:
        raise ServerError(Problem.TOKEN, f"{_FLAG}: {file}: {message_of(error)}") from error


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ServerError(Problem.TOKEN, f"{place}: holds no token, which is one word of ASCII characters")
    return token
