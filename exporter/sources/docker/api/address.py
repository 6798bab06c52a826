"""Address of a Docker Engine: from a setting, the environment or a Docker context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import parse_host

from exporter.config.urls import CONTEXT_PREFIX, ENGINE_EXAMPLES, check_engine_url
from exporter.redaction import quoted_url
from exporter.sources.docker.api import context as contexts
from exporter.sources.docker.engine import EngineError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_LOCAL_SCHEMES = ("unix://", "http+unix://")
_SSH_SCHEME = "ssh://"
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """URL of an engine, and the TLS settings to connect with."""

    url: str
    tls: TLSConfig | None = field(default=None, compare=False)

    @property
    def is_local(self) -> bool:
        """True for a socket of this machine."""
        return self.url.startswith(_LOCAL_SCHEMES)

    @property
    def is_ssh(self) -> bool:
        """True if the engine is reached over ssh."""
        return self.url.startswith(_SSH_SCHEME)


def resolve_address(host: str, cert_path: Path | None, environment: Mapping[str, str]) -> EngineAddress:
    """Return the address that ``host`` means: a URL, ``context:NAME``, or empty.

    Empty means the engine that the ``docker`` command would use: DOCKER_HOST, else the current context, else
    the default socket. ``cert_path`` is a directory with ca.pem, cert.pem and key.pem. Raises EngineError.
    """
    if host.startswith(CONTEXT_PREFIX):
        return _from_context(host.removeprefix(CONTEXT_PREFIX), environment)
    if host:
        return EngineAddress(_checked_url(host, "the engine's address"), _tls(cert_path))
    if environment.get("DOCKER_HOST"):
        own = contexts.certificates(environment) if environment.get("DOCKER_TLS_VERIFY") else None
        return EngineAddress(_checked_url(environment["DOCKER_HOST"], "DOCKER_HOST"), _tls(own or cert_path))
    return _from_context(environment.get("DOCKER_CONTEXT"), environment)


def _checked_url(url: str, place: str) -> str:
    try:
        check_engine_url(url)
        # Only to reject what the SDK does: it parses the URL again when it connects.
        parse_host(url)
    except ValueError as error:
        raise EngineError(f"{place}: {error}") from error
    except DockerException as error:
        # Its text quotes the URL.
        shown = quoted_url(url)
        raise EngineError(f"{place}: {shown} is not the address of an engine; {ENGINE_EXAMPLES}") from error
    return url


def _from_context(name: str | None, environment: Mapping[str, str]) -> EngineAddress:
    context = contexts.load(name, environment)
    if context is None:
        return EngineAddress(DEFAULT_SOCKET)
    url = _checked_url(context.host, f"the Docker context {context.name!r}")
    return EngineAddress(url, _tls(context.certificates, verify=context.verify))


def _tls(directory: Path | None, *, verify: bool = True) -> TLSConfig | None:
    if directory is None:
        return None
    ca, *pair = (directory / name for name in _CERTIFICATES)
    unreadable = [str(path) for path in ([ca, *pair] if verify else pair) if not os.access(path, os.R_OK)]
    if unreadable:
        raise EngineError(f"cannot read {', '.join(unreadable)}; TLS needs ca.pem, cert.pem and key.pem")
    try:
        return TLSConfig(client_cert=(str(pair[0]), str(pair[1])), ca_cert=str(ca), verify=verify)
    except DockerException as error:
        raise EngineError(f"{directory}: ca.pem, cert.pem and key.pem must be files") from error
