"""Client of the docker SDK that reuses connections and does little work for each response."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from typing import Any

import docker
import requests
from urllib3.connectionpool import HTTPConnectionPool

from exporter.sources.docker.api.answer import HEADERS, MAX_ANSWER_BYTES, check_encoding, read_body
from exporter.sources.docker.api.ssh import SshAdapter, ssh_command
from exporter.sources.docker.api.status import status_error
from exporter.sources.docker.engine import EngineError

_API_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


class Client(docker.APIClient):
    """The SDK's client, with shared ssh connections, and trusting only the certificates that it was given.

    Without this, requests would prefer the certificates of REQUESTS_CA_BUNDLE.
    """

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Register an adapter for URLs that begin with ``prefix``."""
        over_ssh = hasattr(adapter, "ssh_client")
        super().mount(prefix, _share_connections(adapter, str(self.base_url)) if over_ssh else adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings of one request."""
        own = verify if verify is not None or self.verify is True else (self.verify or False)
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def version(self, api_version: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002  # the SDK's
        """Return the answer to ``/version``, with which the SDK begins. Raises EngineError."""
        response = self.open("/version", self.timeout)
        body = read_body(response.raw)
        if response.status_code != HTTPStatus.OK:
            raise status_error("/version", response.status_code, body)
        return _version(body)

    def open(self, path: str, seconds: float, **params: str) -> requests.Response:
        """Return the open answer to a GET, once its headers are there.

        ``seconds`` is the longest wait for them, and between parts of the body.
        """
        url = f"{self.base_url}{path}"
        response = self.get(
            url, params=params, headers=HEADERS, stream=True, timeout=seconds, allow_redirects=False
        )
        check_encoding(response.raw)
        return response

    def fetch(self, path: str, max_bytes: int = MAX_ANSWER_BYTES) -> tuple[int, bytes]:
        """Return status and body of the answer to a GET. Raises EngineError, and the errors of urllib3.

        It bypasses the session of requests, which costs five times as much as the request itself, and the
        SDK's adapter, which opens a new connection for each path.
        """
        pool, base, seconds = self._pool
        response = pool.urlopen(
            "GET", base + path, headers=HEADERS, retries=False, timeout=seconds, preload_content=False
        )
        return response.status, read_body(response, max_bytes)

    @cached_property
    def _pool(self) -> tuple[HTTPConnectionPool, str, float]:
        """Connection pool that the session would use, prefix of its paths, and timeout in seconds."""
        request = requests.Request("GET", f"{self.base_url}/v{self.api_version}").prepare()
        url = str(request.url)
        chosen = self.merge_environment_settings(url, {}, stream=False, verify=None, cert=None)
        adapter: Any = self.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(
            request, chosen["verify"], proxies=chosen["proxies"], cert=chosen["cert"]
        )
        adapter.cert_verify(pool, url, chosen["verify"], chosen["cert"])
        return pool, adapter.request_url(request, chosen["proxies"]), self.timeout


def _version(body: bytes) -> dict[str, Any]:
    """Return an answer to ``/version``, of which the SDK takes the version of the API as it is."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        answer: dict[str, Any] = json.loads(body)
        if _API_VERSION.fullmatch(answer["ApiVersion"]):
            return answer
    raise EngineError("/version: unusable answer; is this a Docker Engine?")


def _share_connections(adapter: Any, url: str) -> Any:
    """Return an adapter whose requests share connections, instead of the SDK's own for ssh.

    With the program ssh, the SDK logs in for each request. With paramiko, it opens a channel for each URL, of
    which sshd allows ten.
    """
    if adapter.ssh_client is None:
        return SshAdapter(ssh_command(url), adapter.max_pool_size)
    pool_of = adapter.get_connection
    adapter.get_connection = lambda _url, proxies=None: pool_of(url, proxies)
    return adapter
