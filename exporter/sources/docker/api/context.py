"""Docker contexts, as the ``docker`` command keeps them.

Read here and not by the SDK, which finds no context where there is no config.json (``docker context
create`` makes none), forgets a ca.pem that comes without a client's certificate, and ends broken
files in a bare Exception.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.sources.docker.engine import EngineError

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Context:
    """Where an engine is, by the name that its user gave it; ``certificates`` is a directory, or None."""

    host: str
    certificates: Path | None
    verify: bool


def load(name: str | None, environment: Mapping[str, str]) -> Context | None:
    """The context ``name``, else the current one; None is the default. Raises EngineError."""
    directory = _directory(environment)
    chosen = name or _current(directory / "config.json")
    if chosen == DEFAULT:
        return None
    number = hashlib.sha256(chosen.encode()).hexdigest()
    meta = directory / "contexts" / "meta" / number / "meta.json"
    if not meta.exists():
        raise EngineError(f"there is no Docker context {chosen!r}; 'docker context ls' names those there are")
    try:
        endpoint = _json(meta)["Endpoints"]["docker"]
        host, skip = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"the Docker context {chosen!r} names no engine: {meta}") from error
    certificates = directory / "contexts" / "tls" / number / "docker"
    return Context(host, certificates if certificates.is_dir() else None, verify=not skip)


def certificates(environment: Mapping[str, str]) -> Path:
    """The directory with the certificates for DOCKER_HOST."""
    named = environment.get("DOCKER_CERT_PATH")
    return Path(named) if named else _directory(environment)


def _directory(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or Path("~/.docker").expanduser())


def _current(config: Path) -> str:
    if not config.exists():
        return DEFAULT
    settings = _json(config)
    return str((settings.get("currentContext") if isinstance(settings, dict) else None) or DEFAULT)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EngineError(f"{path} is not readable: {error}") from error
