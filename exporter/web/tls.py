"""TLS of the server: the part of the web configuration, and the context that it means."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from exporter.config.file_start import read_file_start
from exporter.config.yaml_document import MAX_FILE_BYTES
from exporter.errors import message_of

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# Go's names, which the format has, and OpenSSL's. Those of TLS 1.3 cannot be chosen, neither in Go.
_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_INSTEAD = {
    "cert": "name a file in cert_file",
    "key": "name a file in key_file",
    "client_ca": "name a file in client_ca_file",
    "curve_preferences": "leave it out: OpenSSL's order is used",
}


class TlsError(Exception):
    """A file of a ``field`` cannot be used; the text says why."""

    def __init__(self, field: str, cause: str) -> None:
        super().__init__(cause)
        self.field = field


class ClientAuth(StrEnum):
    """Whether clients must have a certificate; it is always checked if they send one that was asked for."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


_VERIFY_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


class TlsServerConfig(BaseModel):
    """Part ``tls_server_config``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth = ClientAuth.NONE
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    cert: Any = None
    key: Any = None
    client_ca: Any = None
    curve_preferences: Any = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it names."""
        return (self.cert_file, self.key_file, *([self.client_ca_file] if self.client_ca_file else []))

    def below(self, directory: Path) -> Self:
        """Return it with paths that are relative to a directory made absolute."""
        paths = {"cert_file": directory / self.cert_file, "key_file": directory / self.key_file}
        if self.client_ca_file is not None:
            paths["client_ca_file"] = directory / self.client_ca_file
        return self.model_copy(update=paths)

    @field_validator(*_INSTEAD)
    @classmethod
    def _refuse_unsupported(cls, _value: object, info: ValidationInfo) -> None:
        raise ValueError(f"is not supported; {_INSTEAD[info.field_name or '']}")

    @field_validator("min_version", "max_version")
    @classmethod
    def _check_version(cls, version: str) -> str:
        if version not in _VERSIONS:
            raise ValueError(f"{version!r} is not supported; valid are: {', '.join(_VERSIONS)}")
        return version

    @field_validator("cipher_suites")
    @classmethod
    def _check_ciphers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in _CIPHERS and name not in _TLS13_CIPHERS:
                raise ValueError(f"{name!r} is not supported; valid are: {', '.join(_CIPHERS)}")
        return names

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.min_version > self.max_version:
            raise ValueError("min_version is greater than max_version")
        if (self.client_auth_type is ClientAuth.NONE) != (self.client_ca_file is None):
            raise ValueError("client_ca_file and a client_auth_type other than NoClientCert need each other")
        if self.client_allowed_sans and self.client_auth_type is not ClientAuth.REQUIRED:
            raise ValueError(f"client_allowed_sans needs the client_auth_type {ClientAuth.REQUIRED}")
        return self


def server_context(tls: TlsServerConfig) -> ssl.SSLContext:
    """Return a context for a server, from absolute paths. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    chosen = [_CIPHERS[name] for name in tls.cipher_suites if name in _CIPHERS]
    if chosen:
        context.set_ciphers(":".join(chosen))
    context.set_alpn_protocols(["http/1.1"])
    _load_files(context, tls)
    if tls.client_allowed_sans:
        context.sslobject_class = _checked_object(frozenset(tls.client_allowed_sans))
    return context


def _load_files(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    for field, path in zip(("cert_file", "key_file", "client_ca_file"), tls.files, strict=False):
        _check_file(field, path)
    try:
        # Without a password, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except (OSError, ValueError) as error:
        cause = f"{tls.cert_file} and {tls.key_file} are not a certificate and its unencrypted key"
        raise TlsError("cert_file", f"{cause}: {error}") from error
    context.verify_mode = _VERIFY_MODES[tls.client_auth_type]
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            raise TlsError("client_ca_file", f"{tls.client_ca_file} has no certificate: {error}") from error


def _check_file(field: str, path: Path) -> None:
    try:
        start = read_file_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TlsError(field, f"{path}: {message_of(error)}") from error
    # OpenSSL would search it for a certificate to its end, and a device has none.
    if len(start) > MAX_FILE_BYTES:
        raise TlsError(field, f"{path}: larger than {MAX_FILE_BYTES} bytes; is this the right file?")


def _checked_object(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    """Return a class of connections whose handshake fails for clients that have no ``allowed`` name."""

    class CheckedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if allowed.isdisjoint(alternative_names(self.getpeercert() or {})):
                raise ssl.SSLCertVerificationError("the client's certificate has no allowed name")

    return CheckedObject


def alternative_names(certificate: Any) -> set[str]:
    """Return the names of a certificate as Go writes them: DNS names, addresses, e-mails and URIs."""
    return {
        str(ip_address(value)) if kind == "IP Address" else value
        for kind, value in certificate.get("subjectAltName", ())
    }


class CurrentContext(ssl.SSLContext):
    """A context that begins each connection with the one that is current by then."""

    _current: Callable[[], ssl.SSLContext]

    @classmethod
    def of(cls, current: Callable[[], ssl.SSLContext]) -> CurrentContext:
        """Return one that asks for the current context."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._current = current
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection."""
        return self._current().wrap_bio(*arguments, **options)
