"""Asking the daemon's API, and saying clearly what is wrong where it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import click
import requests

DEFAULT_URL = "http://127.0.0.1:10137"
TIMEOUT_SECONDS = 30

Command = TypeVar("Command", bound=Callable[..., Any])


class NoAnswerError(click.ClickException):
    """The daemon cannot be reached; ends the command with 1."""


class Client:
    """The API at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()

    def get(self, path: str, *parts: str, **query: Any) -> Any:
        """What the API answers at ``path`` with ``parts`` behind it, quoted; a ClickException otherwise."""
        whole = "/".join([path, *(quote(part, safe="") for part in parts)])
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._answer(self._ask(whole, wanted))

    def _ask(self, path: str, query: Mapping[str, Any]) -> requests.Response:
        try:
            return self._session.get(f"{self._url}{path}", params=query, timeout=TIMEOUT_SECONDS)
        except requests.exceptions.ConnectionError as error:
            raise NoAnswerError(
                f"no exit-exporter answers at {self._url}; is 'exit-exporter serve' running there? See --url"
            ) from error
        except requests.RequestException as error:
            raise NoAnswerError(f"{self._url}: {error}; see --url") from error

    def _answer(self, response: requests.Response) -> Any:
        try:
            body = response.json()
        except ValueError as error:
            raise NoAnswerError(f"{self._url} answers, but not as exit-exporter; see --url") from error
        if not response.ok:
            raise click.ClickException(body.get("detail", f"HTTP {response.status_code}"))
        return body


def url_option(command: Command) -> Command:
    """``--url``, which names the server."""
    return click.option(
        "--url",
        envvar="EXIT_EXPORTER_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="The server to ask.",
    )(command)
