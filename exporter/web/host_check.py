"""Which names in the ``Host`` header are taken for this exporter's: others are refused (DNS rebinding).

A page on the web can point a name of its own at this machine's address. The browser then takes the exporter
for the page's own server, and lets the page read its answers. Only the name in the header tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.problems import problem_response

ANY = "*"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")
_LOOPBACK = "localhost"
_UNIX_PREFIX = "unix://"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Names that are this exporter's, in lower case; one that begins with a dot stands for all below it.

    Any IP address is allowed too, since no name leads to it, and ``localhost``. ``plain_names``: so is any
    name without a dot. Such names exist only in the network that the exporter is in, like those of services
    of Compose or Kubernetes.
    """

    names: frozenset[str] = frozenset()
    plain_names: bool = False

    def allows(self, host: str) -> bool:
        """Return whether this header ``Host`` names this exporter; the port does not matter."""
        if ANY in self.names:
            return True
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().rstrip(".")
        return _is_address(name) or self._has(name) or (self.plain_names and "." not in name)

    def _has(self, name: str) -> bool:
        labels = name.split(".")
        parents = {"." + ".".join(labels[first:]) for first in range(1, len(labels))}
        return labels[-1] == _LOOPBACK or not self.names.isdisjoint({name, *parents})


def allowed_hosts(
    listen_addresses: Iterable[str], external_url: str, further: Iterable[str], machine: str
) -> AllowedHosts:
    """Return the names of an exporter that listens at addresses, on a machine of this name.

    Only who is on this machine reaches a loopback address, so that plain names have no use there.
    """
    listens_at = {
        address.rpartition(":")[0].strip("[]").lower()
        for address in listen_addresses
        if not address.startswith(_UNIX_PREFIX)
    }
    external = urlsplit(external_url).hostname or ""
    names = {name.lower() for name in (*listens_at, external, machine, *further) if name}
    return AllowedHosts(frozenset(names), plain_names=not all(map(_is_loopback, listens_at)))


class HostCheck:
    """Middleware that answers requests for other names with 421, except at ``open_paths``."""

    def __init__(self, app: ASGIApp, allowed: AllowedHosts, open_paths: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        host = Headers(scope=scope).get("host", "")
        if scope["path"] in self._open_paths or self._allowed.allows(host):
            await self._app(scope, receive, send)
        else:
            await problem_response(HTTPStatus.MISDIRECTED_REQUEST, _detail(host))(scope, receive, send)


def _detail(host: str) -> str:
    found = _HOST.fullmatch(host)
    name = found[1] if found else "NAME"
    return (
        f"the host {host!r} is not known to be this exporter; "
        f"ask for its IP address, or start it with --web.allowed-hosts {name}"
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == _LOOPBACK or (_is_address(name) and ip_address(name).is_loopback)
