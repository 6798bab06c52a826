"""The SDK's client, thriftier: connections that are shared, and little work for one answer."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import docker
import requests
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool

from exporter.sources.docker.api.ssh import SshAdapter, command


class Client(docker.APIClient):
    """The SDK's client, thriftier over ssh, and with its own certificates alone.

    requests would let REQUESTS_CA_BUNDLE win over those.
    """

    def mount(self, prefix: Any, adapter: Any) -> None:
        """Take an adapter for what begins with ``prefix``."""
        over_ssh = hasattr(adapter, "ssh_client")
        super().mount(prefix, _over_one_pool(adapter, str(self.base_url)) if over_ssh else adapter)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """What one request uses."""
        own = verify if verify is not None or self.verify is True else (self.verify or False)
        return super().merge_environment_settings(url, proxies, stream, own, cert)

    def ask(self, path: str) -> BaseHTTPResponse:
        """The answer to a GET, read whole. Raises what urllib3 raises.

        Past the session of requests, whose preparations cost five times what the request does, and past
        the SDK's adapter, which makes a new connection for each path.
        """
        pool, base, seconds = self._line
        return pool.urlopen("GET", base + path, headers=_HEADERS, retries=False, timeout=seconds)

    def read(self, path: str, most: int) -> tuple[int, bytes | None]:
        """Status and body of the answer to a GET; None in place of a body of more than ``most`` bytes."""
        pool, base, seconds = self._line
        response = pool.urlopen(
            "GET", base + path, headers=_HEADERS, retries=False, timeout=seconds, preload_content=False
        )
        body = response.read(most + 1)
        if len(body) > most:
            response.close()
            return response.status, None
        response.release_conn()
        return response.status, body

    @cached_property
    def _line(self) -> tuple[HTTPConnectionPool, str, float]:
        """The pool that a request through the session would take, how its paths begin, and its patience."""
        request = requests.Request("GET", f"{self.base_url}/v{self.api_version}").prepare()
        url = str(request.url)
        chosen = self.merge_environment_settings(url, {}, stream=False, verify=None, cert=None)
        adapter: Any = self.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(
            request, chosen["verify"], proxies=chosen["proxies"], cert=chosen["cert"]
        )
        adapter.cert_verify(pool, url, chosen["verify"], chosen["cert"])
        return pool, adapter.request_url(request, chosen["proxies"]), self.timeout


_HEADERS = {"Accept": "application/json"}


def _over_one_pool(adapter: Any, url: str) -> Any:
    """An adapter whose requests share their connections, in place of the SDK's for ssh.

    That one logs in anew for each request to ssh's client, and opens a channel of paramiko's for
    each URL, of which sshd allows ten.
    """
    if adapter.ssh_client is None:
        return SshAdapter(command(url), adapter.max_pool_size)
    pool_of = adapter.get_connection
    adapter.get_connection = lambda _url, proxies=None: pool_of(url, proxies)
    return adapter
