"""Proxies of the environment: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import ProxyManager
from urllib3.util import make_headers, parse_url


def proxy_of(url: str) -> str | None:
    """Return the URL of the proxy to reach a URL by, None without one."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or _is_excepted(parts, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_pool(proxy: str, authority: str | None) -> ProxyManager:
    """Return connections by a proxy, with the user and password of its URL. Raises ValueError."""
    credentials = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(credentials)) if credentials else None
    return ProxyManager(proxy, proxy_headers=headers, ca_certs=authority)


def _is_excepted(parts: SplitResult, no_proxy: str) -> bool:
    return bool(proxy_bypass(parts.netloc.rpartition("@")[2])) or _is_in_a_network(parts.hostname, no_proxy)


def _is_in_a_network(host: str | None, no_proxy: str) -> bool:
    """Return whether a host is an address in a network of NO_PROXY, such as 10.0.0.0/8."""
    networks = [entry.strip() for entry in no_proxy.split(",") if "/" in entry]
    try:
        return any(ip_address(host or "") in ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False
