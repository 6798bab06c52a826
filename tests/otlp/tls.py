"""Certificates and keys for a collector and its clients."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.keys import Authority


@dataclass(frozen=True)
class Keys:
    """Directories with ca.pem, cert.pem and key.pem; the stranger has another authority."""

    server: Path
    client: Path
    stranger: Path

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Write new certificates and keys."""
        authority = Authority.create("the authority of a test")
        return cls(
            authority.equip_server(directory / "server"),
            authority.equip_client(directory / "client"),
            Authority.create("another authority").equip_client(directory / "stranger"),
        )


def pair(directory: Path) -> tuple[str, str]:
    """Return a certificate and its key."""
    return str(directory / "cert.pem"), str(directory / "key.pem")


def authority_of(directory: Path) -> str:
    """Return the certificate of the authority."""
    return str(directory / "ca.pem")
