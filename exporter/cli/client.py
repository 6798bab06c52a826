"""Asking the daemon's API, and saying clearly what is wrong where it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import click
import requests

DEFAULT_URL = "http://127.0.0.1:10137"
PROBLEM = "application/problem+json"
TIMEOUT_SECONDS = 30
_OURSELVES = frozenset({"localhost", "127.0.0.1", "::1"})

Command = TypeVar("Command", bound=Callable[..., Any])


class NoAnswerError(click.ClickException):
    """The daemon cannot be reached; ends the command with 1."""


class Client:
    """The API at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # A proxy in the environment knows nothing of this machine's own addresses.
        self._session.trust_env = _host(url) not in _OURSELVES

    def get(self, path: str, *parts: str, key: str, **query: Any) -> Any:
        """What the API answers at ``path`` with ``parts`` behind it, quoted: a table that has ``key``.

        Raises NoAnswerError where no exit-exporter answers, ClickException with its words where it refuses.
        """
        whole = "/".join([path, *(quote(part, safe="") for part in parts)])
        wanted = {name: value for name, value in query.items() if value is not None}
        response = self._ask(whole, wanted)
        body = self._table(response)
        if not response.ok and response.headers.get("Content-Type") == PROBLEM:
            raise click.ClickException(str(body.get("detail")))
        if not response.ok or key not in body:
            raise self._somebody_else()
        return body

    def trouble(self) -> str | None:
        """What the daemon says stands in its way; None where it is ready."""
        response = self._ask("/-/ready", {})
        return None if response.ok else str(self._table(response).get("detail"))

    def _ask(self, path: str, query: Mapping[str, Any]) -> requests.Response:
        try:
            return self._session.get(f"{self._url}{path}", params=query, timeout=TIMEOUT_SECONDS)
        except requests.exceptions.Timeout as error:
            raise NoAnswerError(
                f"{self._url} does not answer within {TIMEOUT_SECONDS:g} s; see --url"
            ) from error
        except requests.exceptions.ConnectionError as error:
            raise NoAnswerError(
                f"no exit-exporter answers at {self._url}; is 'exit-exporter serve' running there? See --url"
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise NoAnswerError(f"{self._url}: {error}; see --url") from error

    def _table(self, response: requests.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError as error:
            raise self._somebody_else() from error
        if not isinstance(body, dict):
            raise self._somebody_else()
        return body

    def _somebody_else(self) -> NoAnswerError:
        return NoAnswerError(f"{self._url} answers, but not as exit-exporter; see --url")


def _host(url: str) -> str:
    """The host that a URL names. Raises NoAnswerError where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NoAnswerError(f"{url}: {error}; see --url") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NoAnswerError(f"{url} is no address such as {DEFAULT_URL}; see --url")
    return parts.hostname


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
