"""Address of a Docker Engine: from a setting, the environment or a Docker context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import parse_host

from exporter.sources.docker.api import context as contexts
from exporter.sources.docker.engine import EngineError

CONTEXT_PREFIX = "context:"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_SCHEMES = ("unix://", "tcp://", "ssh://", "http://", "https://", "npipe://")
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
    try:
        if host.startswith(CONTEXT_PREFIX):
            return _from_context(host.removeprefix(CONTEXT_PREFIX), environment)
        if host:
            return EngineAddress(_checked_url(host), _tls(cert_path))
        if environment.get("DOCKER_HOST"):
            own = contexts.certificates(environment) if environment.get("DOCKER_TLS_VERIFY") else None
            return EngineAddress(_checked_url(environment["DOCKER_HOST"]), _tls(own or cert_path))
        return _from_context(environment.get("DOCKER_CONTEXT"), environment)
    except DockerException as error:
        raise EngineError(f"{host or 'the default engine'}: {error}") from error


def _checked_url(host: str) -> str:
    if not host.isprintable():
        # It is a label of the metrics, which are UTF-8.
        raise EngineError(f"the engine's address {host!r} has control characters, or is not UTF-8")
    if not host.startswith(_SCHEMES):
        raise EngineError(
            f"{host!r} is not the address of an engine; "
            "examples: unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host"
        )
    # Only to reject a bad host or port: the SDK parses the URL again when it connects.
    try:
        parse_host(host)
    except ValueError as error:
        raise EngineError(f"{host!r} is not the address of an engine: {error}") from error
    return host


def _from_context(name: str | None, environment: Mapping[str, str]) -> EngineAddress:
    context = contexts.load(name, environment)
    if context is None:
        return EngineAddress(DEFAULT_SOCKET)
    return EngineAddress(_checked_url(context.host), _tls(context.certificates, verify=context.verify))


def _tls(directory: Path | None, *, verify: bool = True) -> TLSConfig | None:
    if directory is None:
        return None
    ca, *pair = (directory / name for name in _CERTIFICATES)
    unreadable = [str(path) for path in ([ca, *pair] if verify else pair) if not os.access(path, os.R_OK)]
    if unreadable:
        raise EngineError(f"cannot read {', '.join(unreadable)}; TLS needs ca.pem, cert.pem and key.pem")
    return TLSConfig(client_cert=(str(pair[0]), str(pair[1])), ca_cert=str(ca), verify=verify)
