"""``exit-exporter check``: validate settings, catalogue and web configuration files."""

from __future__ import annotations

import os
from pathlib import Path

import click

from exporter.cli.output import print_if_possible
from exporter.config.loading import SettingsError, load_settings_file
from exporter.config.settings import Settings
from exporter.config.yaml_document import DocumentError, read_yaml
from exporter.redaction import Redactor
from exporter.verdict.catalog_file import builtin_catalog, load_catalog

_WEB_CONFIG_PARTS = frozenset({"tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"})


@click.command(short_help="Validate settings, catalogue and web configuration FILES.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Validate settings, catalogue and web configuration FILES; exits with 1 if one of them is bad.

    \b
    Examples:
      exit-exporter check /etc/exit-exporter/settings.yaml
      exit-exporter check settings.yaml our-codes.yaml web.yaml
    """
    results = [_check(file) for file in files]
    if not all(results):
        raise SystemExit(1)


def _check(file: Path) -> bool:
    try:
        click.echo(f"{file}: good {_validate_kind(file)}")
    except (DocumentError, SettingsError) as error:
        for problem in map(Redactor(os.environ), error.problems):
            print_if_possible(problem, err=True)
        return False
    return True


def _validate_kind(file: Path) -> str:
    """Return the kind of a good file, by the names in it. Raises DocumentError or SettingsError."""
    data = read_yaml(file).data
    # "docker.host", as in the flag, is meant as a setting too.
    if isinstance(data, dict) and {str(name).partition(".")[0] for name in data} & set(Settings.model_fields):
        _validate_values(load_settings_file(file))
        return "settings"
    if isinstance(data, dict) and set(data) & _WEB_CONFIG_PARTS:
        _load_web_config(file)
        return "web configuration"
    new = len(load_catalog(file).reasons) - len(builtin_catalog().reasons)
    return f"catalogue ({new} new reason{'' if new == 1 else 's'})"


def _validate_values(settings: Settings) -> None:
    """Check what otherwise fails only at the daemon's start. Raises DocumentError or SettingsError."""
    # Imported only here: it loads the Docker SDK.
    from exporter.sources.docker.api.address import resolve_address  # noqa: PLC0415
    from exporter.sources.source import SourceError  # noqa: PLC0415

    try:
        for host in settings.docker.host:
            resolve_address(host, settings.docker.cert_path, os.environ)
    except SourceError as error:
        raise SettingsError([f"docker.host: {error}"]) from error
    load_catalog(settings.catalogue.file)
    if settings.web.config_file is not None:
        _load_web_config(settings.web.config_file)


def _load_web_config(file: Path) -> None:
    # Imported only here: it loads the server.
    from exporter.web.config_file import load_web_config  # noqa: PLC0415

    load_web_config(file)
