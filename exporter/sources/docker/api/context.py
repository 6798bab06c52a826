"""Docker contexts, in the files of the ``docker`` command.

The SDK's own reader has three faults: without a config.json, which ``docker context create`` does not write,
it finds no context; it ignores a ca.pem without a client certificate; and broken files raise a bare
Exception.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.config.file_start import read_file_start
from exporter.errors import message_of
from exporter.sources.docker.engine import EngineError

DEFAULT = "default"
# Logins in a config.json are a few hundred bytes each.
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Context:
    """Address of an engine, and the directory of its certificates; ``verify`` is false to skip TLS checks."""

    name: str
    host: str
    certificates: Path | None
    verify: bool


def load(name: str | None, environment: Mapping[str, str]) -> Context | None:
    """Return the context ``name``, else the current one; None for the default. Raises EngineError."""
    directory = _directory(environment)
    chosen = name or _current(directory / "config.json")
    if chosen == DEFAULT:
        return None
    digest = hashlib.sha256(os.fsencode(chosen)).hexdigest()
    meta = directory / "contexts" / "meta" / digest / "meta.json"
    content = _json(meta)
    if content is None:
        raise EngineError(f"there is no Docker context {chosen!r}; 'docker context ls' lists all contexts")
    try:
        endpoint = content["Endpoints"]["docker"]
        host, skip = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"the Docker context {chosen!r} has no engine address: {meta}") from error
    certificates = directory / "contexts" / "tls" / digest / "docker"
    return Context(chosen, host, certificates if certificates.is_dir() else None, verify=not skip)


def certificates(environment: Mapping[str, str]) -> Path:
    """Return the directory with the certificates for DOCKER_HOST."""
    named = environment.get("DOCKER_CERT_PATH")
    return Path(named) if named else _directory(environment)


def _directory(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())


def _current(config: Path) -> str:
    settings = _json(config)
    return str((settings.get("currentContext") if isinstance(settings, dict) else None) or DEFAULT)


def _json(path: Path) -> Any:
    """Return the content of a file; None if it is not there."""
    try:
        return json.loads(read_file_start(path, _MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"cannot read {path}: {message_of(error)}") from error
