"""Options of the commands that ask the daemon: where it is, whom to trust, and who asks."""

from __future__ import annotations

import functools
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from exporter.cli.client import DEFAULT_URL, Access, ApiClient
from exporter.config.variables import PASSWORD
from exporter.errors import message_of

# A secret is short; another file, given by mistake, must not be read whole.
_MAX_SECRET_BYTES = 4096
# What an answer causes that lacks a field, as one of an older version can, or has another type in it.
_UNUSABLE = (LookupError, TypeError, ValueError, AttributeError)
_OPTIONS = (
    click.option(
        "--url",
        envvar="EXIT_EXPORTER_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="URL of the server to ask.",
    ),
    click.option(
        "--tls-ca",
        envvar="EXIT_EXPORTER_TLS_CA",
        show_envvar=True,
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Certificate of the authority to trust, for https. Default: those of the system.",
    ),
    click.option(
        "--user",
        envvar="EXIT_EXPORTER_USER",
        show_envvar=True,
        help="User to ask as; the password is in --password-file, or in the variable EXIT_EXPORTER_PASSWORD.",
    ),
    click.option(
        "--password-file",
        envvar="EXIT_EXPORTER_PASSWORD_FILE",
        show_envvar=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="File with the password of --user, in its first line.",
    ),
    click.option(
        "--token-file",
        envvar="EXIT_EXPORTER_TOKEN_FILE",
        show_envvar=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="File with a token, for a proxy that asks for one.",
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets a ``client`` in their place."""

    @functools.wraps(command)
    def ask(  # one for each option
        *,
        url: str,
        tls_ca: str | None,
        user: str | None,
        password_file: Path | None,
        token_file: Path | None,
        **others: Any,
    ) -> Any:
        client = ApiClient(url, Access(tls_ca, authorization(user, password_file, token_file)))
        try:
            return command(client=client, **others)
        except _UNUSABLE as error:
            if isinstance(error, UnicodeError) or not client.has_answered:
                raise
            raise client.not_our_server() from error

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), ask)


def authorization(user: str | None, password_file: Path | None, token_file: Path | None) -> str | None:
    """Return the header of who asks, None for nobody. Raises ClickException."""
    if user is not None and token_file is not None:
        raise click.UsageError("--user and --token-file are both given; give one of them")
    if token_file is not None:
        return f"Bearer {_secret(token_file, '--token-file')}"
    if user is None:
        return None
    password = (
        os.environ.get(PASSWORD) if password_file is None else _secret(password_file, "--password-file")
    )
    if password is None:
        raise click.UsageError(f"--user needs a password: give --password-file, or the variable {PASSWORD}")
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _secret(file: Path, option: str) -> str:
    try:
        with file.open("rb") as opened:
            lines = opened.read(_MAX_SECRET_BYTES).decode().splitlines()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{option}: {file}: {message_of(error)}") from error
    if not lines or not lines[0] or not lines[0].isprintable():
        raise click.ClickException(f"{option}: {file}: its first line is empty, or not plain text")
    return lines[0]
