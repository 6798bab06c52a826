"""Keys of a test's own: an authority, those whom it vouches for, and a pair for ssh."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = "127.0.0.1"
_DAY = timedelta(days=1)
_SIGNS_OTHERS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who vouches for a server and its clients, each to the other."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, name: str) -> Self:
        """A new one, which vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _certificate(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_OTHERS, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def equip_server(self, directory: Path) -> Path:
        """Write ca.pem, cert.pem and key.pem for a server on the loopback; return ``directory``."""
        return self._equip(directory, "server", ExtendedKeyUsageOID.SERVER_AUTH)

    def equip_client(self, directory: Path) -> Path:
        """Write ca.pem, cert.pem and key.pem for a client; return ``directory``."""
        return self._equip(directory, "client", ExtendedKeyUsageOID.CLIENT_AUTH)

    def _equip(self, directory: Path, name: str, usage: x509.ObjectIdentifier) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
        certificate = (
            _certificate(name, _name_of(self.certificate), key.public_key())
            .add_extension(by, critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(where, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        directory.mkdir()
        (directory / "ca.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_secret(directory / "key.pem", key, serialization.PrivateFormat.PKCS8)
        return directory


def write_ssh_key(path: Path) -> str:
    """Write a new private key for ssh; return the public one, as authorized_keys has it."""
    key = ed25519.Ed25519PrivateKey.generate()
    _write_secret(path, key, serialization.PrivateFormat.OpenSSH)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()


def _certificate(name: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # Yesterday, because clocks need not agree to the second.
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _name_of(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _write_secret(
    path: Path,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    form: serialization.PrivateFormat,
) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()),
    )
