"""Client of the docker SDK that reuses connections and does little work for each response."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import docker
import requests
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool

from exporter.sources.docker.api.ssh import SshAdapter, ssh_command

_HEADERS = {"Accept": "application/json"}


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

    def fetch(self, path: str) -> BaseHTTPResponse:
        """Return the response to a GET, read completely. Raises the exceptions of urllib3.

        It bypasses the session of requests, which costs five times as much as the request itself, and the
        SDK's adapter, which opens a new connection for each path.
        """
        pool, base, seconds = self._pool
        return pool.urlopen("GET", base + path, headers=_HEADERS, retries=False, timeout=seconds)

    def fetch_limited(self, path: str, max_bytes: int) -> tuple[int, bytes | None]:
        """Return status and body of the response to a GET, or None instead of a body over ``max_bytes``."""
        pool, base, seconds = self._pool
        response = pool.urlopen(
            "GET", base + path, headers=_HEADERS, retries=False, timeout=seconds, preload_content=False
        )
        body = response.read(max_bytes + 1)
        if len(body) > max_bytes:
            response.close()
            return response.status, None
        response.release_conn()
        return response.status, body

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
