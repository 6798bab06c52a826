"""Client of the daemon's API, with clear errors if the daemon does not answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import click
from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager, Retry
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ResponseError,
    SSLError,
    TimeoutError,  # noqa: A004  # urllib3's own name
)
from urllib3.util import make_headers, parse_url

from exporter.cli.time_limit import TimeLimitError, within
from exporter.config.address import DEFAULT_ADDRESS
from exporter.errors import message_of, root_cause
from exporter.text import printable

DEFAULT_URL = f"http://{DEFAULT_ADDRESS}"
PROBLEM = "application/problem+json"
TIMEOUT_SECONDS = 30
# A page of jobs, each with the longest end of a log that can be configured, is half as long.
MAX_ANSWER_BYTES = 128 << 20
_PART_BYTES = 1 << 16
_MAX_REDIRECTS = 30
_RETRIES = Retry(total=None, connect=0, read=0, redirect=_MAX_REDIRECTS, status=0, other=0)
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerError(click.ClickException):
    """The daemon gave no usable answer; the command exits with 1.

    The text can have parts of an answer and of a URL: it is without secrets, and safe in a terminal.
    """

    def __init__(self, message: str) -> None:
        # Imported only here, since most requests succeed.
        from exporter.redaction import Redactor  # noqa: PLC0415

        super().__init__(printable(Redactor(os.environ)(message)))


class UnreachableError(ServerError):
    """The daemon cannot be reached; the command exits with 1."""


class UnavailableError(ServerError):
    """The daemon answers that it cannot for the moment; the command exits with 1."""


class NotFoundError(ServerError):
    """The server knows no such thing; the command exits with 1."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the daemon is reached: the file of its authority's certificate, and the header of who asks.

    Without a file, the authorities of the system are trusted.
    """

    authority: str | None = None
    authorization: str | None = field(default=None, repr=False)


class ApiClient:
    """The API at ``url``. Raises UnreachableError if that is no URL."""

    def __init__(self, url: str, access: Access = Access()) -> None:  # frozen
        self.timeout_seconds: float = TIMEOUT_SECONDS
        """How long the daemon may take for a whole answer."""
        self.has_answered = False
        """Whether an answer of a daemon was returned."""
        self._url = url.rstrip("/")
        parts = _split(url)
        self._headers = _headers(parts, access.authorization)
        # A proxy in the environment does not know this machine's own addresses.
        is_local = parts.hostname in _LOOPBACK_HOSTS
        self._pool = PoolManager(ca_certs=access.authority) if is_local else _pool(url, access.authority)

    def get(self, path: str, *parts: str, key: str, **query: Any) -> Any:
        """Return the JSON object at ``path`` followed by ``parts``, which are quoted; it has ``key``.

        Raises UnreachableError if no exit-exporter answers, UnavailableError if it cannot for the moment,
        NotFoundError if it has no such thing, and ServerError if it refuses the request.
        """
        full_path = "/".join([path, *(quote(part, safe="") for part in parts)])
        parameters = {name: value for name, value in query.items() if value is not None}
        response, content = self._request(full_path, parameters)
        body = self._json_object(content)
        if not _is_ok(response) and response.headers.get("Content-Type") == PROBLEM:
            raise _kind_of_error(response.status)(self._detail(response, body))
        if not _is_ok(response) or key not in body:
            raise self.not_our_server()
        self.has_answered = True
        return body

    def not_ready_reason(self) -> str | None:
        """Return why the daemon is not ready; None if it is, or does not say. Raises UnreachableError."""
        response, content = self._request("/-/ready", {})
        if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        return printable(str(self._json_object(content).get("detail")))

    def not_our_server(self) -> UnreachableError:
        """Return the error that an answer is not as this program's are."""
        return UnreachableError(f"{self._shown} answers, but not as exit-exporter; see --url")

    @property
    def _shown(self) -> str:
        return _shown(self._url)

    def _request(self, path: str, parameters: Mapping[str, str]) -> tuple[BaseHTTPResponse, bytes]:
        """Return an answer and its body."""
        seconds = self.timeout_seconds
        try:
            return within(seconds, lambda: self._exchange(path, parameters, seconds))
        except TimeLimitError as error:
            raise UnreachableError(self._no_answer_in_time()) from error
        except MaxRetryError as error:
            raise UnreachableError(self._why_unreachable(error.reason)) from error
        except (HTTPError, ValueError) as error:
            raise UnreachableError(f"{self._shown}: {error}; see --url") from error

    def _exchange(
        self, path: str, parameters: Mapping[str, str], seconds: float
    ) -> tuple[BaseHTTPResponse, bytes]:
        # What urllib3 calls a timeout is for each part that it waits for.
        deadline = time.monotonic() + seconds
        response = self._pool.request(
            "GET",
            f"{self._url}{path}",
            fields=parameters,
            headers=self._headers,
            timeout=seconds,
            retries=_RETRIES,
            preload_content=False,
        )
        try:
            return response, self._content(response, deadline)
        finally:
            response.close()

    def _content(self, response: BaseHTTPResponse, deadline: float) -> bytes:
        parts: list[bytes] = []
        length = 0
        while part := response.read1(_PART_BYTES, decode_content=True):
            parts.append(part)
            length += len(part)
            if length > MAX_ANSWER_BYTES:
                raise self.not_our_server()
            if time.monotonic() > deadline:
                raise TimeLimitError
        return b"".join(parts)

    def _no_answer_in_time(self) -> str:
        return f"{self._shown} does not answer within {self.timeout_seconds:.3g} s; see --url"

    def _why_unreachable(self, cause: Exception | None) -> str:
        match cause:
            case TimeoutError() if not isinstance(cause, NewConnectionError):
                return self._no_answer_in_time()
            case SSLError():
                return self._why_no_tls(root_cause(cause))
            case NameResolutionError():
                return f"the host name in {self._shown} cannot be resolved; see --url"
            case ProtocolError() if self._url.lower().startswith("http:"):
                # As a server with TLS does, and one that ends.
                return f"{self._shown} closed the connection without an answer; is it https://? See --url"
            case ResponseError():
                return f"{self._shown}: {cause}; see --url"
            case _:
                hint = "is 'exit-exporter serve' running there? See --url"
                return f"no exit-exporter answers at {self._shown}; {hint}"

    def _why_no_tls(self, cause: BaseException) -> str:
        if getattr(cause, "reason", None) == "WRONG_VERSION_NUMBER":
            return f"{self._shown} does not speak TLS; is it http://? See --url"
        return f"{self._shown}: TLS failed: {message_of(cause)}; see --tls-ca"

    def _json_object(self, content: bytes) -> dict[str, Any]:
        try:
            body = json.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise self.not_our_server() from error
        if not isinstance(body, dict):
            raise self.not_our_server()
        return body

    def _detail(self, response: BaseHTTPResponse, body: Mapping[str, Any]) -> str:
        if response.status == HTTPStatus.UNAUTHORIZED:
            return f"{self._shown}: {body.get('detail')}; see --user and --token-file"
        return str(body.get("detail"))


def _kind_of_error(status: int) -> type[ServerError]:
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError
    return UnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ServerError


def _is_ok(response: BaseHTTPResponse) -> bool:
    return response.status < HTTPStatus.BAD_REQUEST


def _headers(url: SplitResult, authorization: str | None) -> Mapping[str, str]:
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username else None
    headers = HTTPHeaderDict(make_headers(accept_encoding=True, basic_auth=credentials))
    if authorization is not None:
        headers["Authorization"] = authorization
    return headers


def _pool(url: str, authority: str | None) -> PoolManager:
    # Imported only here, since most ask their own machine.
    from exporter.cli.proxies import proxy_of, proxy_pool  # noqa: PLC0415

    try:
        proxy = proxy_of(url)
        return PoolManager(ca_certs=authority) if proxy is None else proxy_pool(proxy, authority)
    except ValueError as error:
        raise UnreachableError(f"{_shown(url)}: {error}; see --url") from error


def _split(url: str) -> SplitResult:
    """Return the parts of a URL. Raises UnreachableError if it has no host."""
    try:
        parts = urlsplit(url)
        # As the request will: the error of it would quote the URL.
        parse_url(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise UnreachableError(f"{_shown(url)} is not a URL such as {DEFAULT_URL}; see --url")
    return parts


def _shown(url: str) -> str:
    # Imported only here, since most requests succeed.
    from exporter.redaction import shown_url  # noqa: PLC0415

    return shown_url(url)
