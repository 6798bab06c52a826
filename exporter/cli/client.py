"""Client of the daemon's API, with clear errors if the daemon does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import click
import requests

from exporter.config.address import DEFAULT_ADDRESS
from exporter.errors import message_of

DEFAULT_URL = f"http://{DEFAULT_ADDRESS}"
PROBLEM = "application/problem+json"
TIMEOUT_SECONDS = 30
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class UnreachableError(click.ClickException):
    """The daemon cannot be reached; the command exits with 1."""


class UnavailableError(click.ClickException):
    """The daemon answers that it cannot for the moment; the command exits with 1."""


class NotFoundError(click.ClickException):
    """The server knows no such thing; the command exits with 1."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the daemon is reached: the file of its authority's certificate, and the header of who asks.

    Without a file, the authorities of the system are trusted.
    """

    authority: str | None = None
    authorization: str | None = field(default=None, repr=False)


class ApiClient:
    """The API at ``url``."""

    def __init__(self, url: str, access: Access = Access()) -> None:  # frozen
        self.timeout_seconds: float = TIMEOUT_SECONDS
        """How long the daemon may take to answer."""
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # A proxy in the environment does not know this machine's own addresses.
        self._session.trust_env = _host(url) not in _LOOPBACK_HOSTS
        self._authority = access.authority or True
        if access.authorization is not None:
            self._session.auth = _Authorization(access.authorization)

    def get(self, path: str, *parts: str, key: str, **query: Any) -> Any:
        """Return the JSON object at ``path`` followed by ``parts``, which are quoted; it has ``key``.

        Raises UnreachableError if no exit-exporter answers, UnavailableError if it cannot for the moment,
        NotFoundError if it has no such thing, and ClickException if it refuses the request.
        """
        full_path = "/".join([path, *(quote(part, safe="") for part in parts)])
        parameters = {name: value for name, value in query.items() if value is not None}
        response = self._request(full_path, parameters)
        body = self._json_object(response)
        if not response.ok and response.headers.get("Content-Type") == PROBLEM:
            raise _kind_of_error(response.status_code)(self._detail(response, body))
        if not response.ok or key not in body:
            raise self._not_our_server()
        return body

    def not_ready_reason(self) -> str | None:
        """Return why the daemon is not ready; None if it is. Raises UnreachableError."""
        response = self._request("/-/ready", {})
        return None if response.ok else str(self._json_object(response).get("detail"))

    def _request(self, path: str, parameters: Mapping[str, str]) -> requests.Response:
        try:
            # Given here, since a variable of requests would win over the session's.
            return self._session.get(
                f"{self._url}{path}",
                params=parameters,
                timeout=self.timeout_seconds,
                verify=self._authority,
            )
        except requests.exceptions.Timeout as error:
            raise UnreachableError(
                f"{self._url} does not answer within {self.timeout_seconds:.3g} s; see --url"
            ) from error
        except requests.exceptions.SSLError as error:
            raise UnreachableError(f"{self._url}: TLS failed: {message_of(error)}; see --tls-ca") from error
        except requests.exceptions.ConnectionError as error:
            raise UnreachableError(
                f"no exit-exporter answers at {self._url}; is 'exit-exporter serve' running there? See --url"
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise UnreachableError(f"{self._url}: {error}; see --url") from error

    def _json_object(self, response: requests.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError as error:
            raise self._not_our_server() from error
        if not isinstance(body, dict):
            raise self._not_our_server()
        return body

    def _detail(self, response: requests.Response, body: Mapping[str, Any]) -> str:
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            return f"{self._url}: {body.get('detail')}; see --user and --token-file"
        return str(body.get("detail"))

    def _not_our_server(self) -> UnreachableError:
        return UnreachableError(f"{self._url} answers, but not as exit-exporter; see --url")


def _kind_of_error(status: int) -> type[click.ClickException]:
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError
    return UnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else click.ClickException


def _host(url: str) -> str:
    """Return the host of a URL. Raises UnreachableError if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UnreachableError(f"{url}: {error}; see --url") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UnreachableError(f"{url} is not a URL such as {DEFAULT_URL}; see --url")
    return parts.hostname


class _Authorization(requests.auth.AuthBase):
    """Sends a header as it is; requests would put a password of ~/.netrc in its place."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request
