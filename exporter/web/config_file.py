"""The web configuration file: TLS, passwords and headers, in the common format of Prometheus exporters.

What the format has and this server has not is refused, so that nobody relies on it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator

from exporter.config.yaml_document import Document, DocumentError, read_yaml, validate_document
from exporter.web.tls import TlsError, TlsServerConfig, server_context

# What the kernel says of a file that changes whenever the file does; None of one that is not there.
Stamp = tuple[int, int, int] | None

# Of each header that can be set, the valid values; any if there are none.
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_HEADER_TEXT = re.compile(r"[ -~]*")
_BCRYPT_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 19)


def _check_user(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError(f"{name!r} is not a user: it is empty, or has a colon or control characters")
    return name


def _check_hash(text: str) -> str:
    # The text is not shown: it may be a password that somebody forgot to hash.
    found = _BCRYPT_HASH.fullmatch(text)
    if found is None:
        raise ValueError("is not a bcrypt hash such as $2y$10$...; 'htpasswd -nBC 10 USER' makes one")
    if int(found[1]) not in _COSTS:
        raise ValueError(f"has the cost {int(found[1])}; a check would take minutes, give 4 to {_COSTS[-1]}")
    return text


User = Annotated[str, AfterValidator(_check_user)]
PasswordHash = Annotated[str, AfterValidator(_check_hash)]


class HttpServerConfig(BaseModel):
    """Part ``http_server_config``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    http2: bool = False
    headers: dict[str, str] = {}

    @field_validator("http2")
    @classmethod
    def _check_http2(cls, wanted: bool) -> bool:  # noqa: FBT001  # the value of a field
        if wanted:
            raise ValueError("HTTP/2 is not supported; leave it out, or set it to false")
        return wanted

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            _check_header(name, value)
        return {name: value for name, value in headers.items() if value}


def _check_header(name: str, value: str) -> None:
    if name not in _HEADERS:
        raise ValueError(f"{name!r} cannot be set; valid are: {', '.join(_HEADERS)}")
    valid = _HEADERS[name]
    if value and ((valid and value not in valid) or not _HEADER_TEXT.fullmatch(value)):
        raise ValueError(f"{name}: {value!r} is not valid; give {' or '.join(valid) or 'plain ASCII text'}")


class WebConfigFile(BaseModel):
    """Shape of a web configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig | None = None
    basic_auth_users: dict[User, PasswordHash] | None = None
    rate_limit: Any = None

    @field_validator("rate_limit")
    @classmethod
    def _refuse_rate_limit(cls, _value: object) -> None:
        raise ValueError("is not supported; leave it out")


PARTS = frozenset(WebConfigFile.model_fields)
"""Names of the parts of such a file."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A checked file: bcrypt hashes by user, headers of every response, TLS, and stamps of what was read."""

    users: Mapping[str, bytes] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    tls: ssl.SSLContext | None = None
    stamps: Mapping[Path, Stamp] = field(default_factory=dict)


def load_web_config(path: Path) -> WebConfig:
    """Return the file with the certificates that it names. Raises DocumentError with all problems."""
    stamps = {path: stamp(path)}
    document = read_yaml(path)
    file = validate_document(document, WebConfigFile)
    http = file.http_server_config or HttpServerConfig()
    tls = file.tls_server_config and file.tls_server_config.below(path.parent)
    if tls is not None:
        stamps |= {each: stamp(each) for each in tls.files}
    return WebConfig(
        {user: text.encode() for user, text in (file.basic_auth_users or {}).items()},
        tuple((name.lower().encode(), value.encode()) for name, value in http.headers.items()),
        None if tls is None else _context(tls, document),
        stamps,
    )


def stamp(path: Path) -> Stamp:
    """Return the stamp of a file as it is now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _context(tls: TlsServerConfig, document: Document) -> ssl.SSLContext:
    try:
        return server_context(tls)
    except TlsError as error:
        raise DocumentError([document.problem(("tls_server_config", error.field), str(error))]) from error
