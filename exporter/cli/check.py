"""``exit-exporter check``: are these files good?"""

from __future__ import annotations

import os
from pathlib import Path

import click

from exporter.config.loading import SettingsError, load_settings_file
from exporter.config.settings import Settings
from exporter.config.yaml_document import DocumentError, read_yaml
from exporter.verdict.catalog_file import builtin_catalog, load_catalog


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Check settings and catalogue FILES; ends with 1 if any would be refused."""
    good = [_check(file) for file in files]
    if not all(good):
        raise SystemExit(1)


def _check(file: Path) -> bool:
    try:
        click.echo(f"{file}: good {_judge(file)}")
    except (DocumentError, SettingsError) as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        return False
    return True


def _judge_settings(chosen: Settings) -> None:
    """What only shows when the daemon starts; raises SettingsError."""
    # Only here: nothing else of the command needs what speaks to engines and databases.
    from exporter.sources.docker.api.address import resolve_address  # noqa: PLC0415
    from exporter.sources.docker.engine import EngineError  # noqa: PLC0415

    try:
        for host in chosen.docker.host:
            resolve_address(host, chosen.docker.cert_path, os.environ)
    except EngineError as error:
        raise SettingsError([f"docker.host: {error}"]) from error
    load_catalog(chosen.catalogue.file)


def _judge(file: Path) -> str:
    """What kind of file it is, by its names; raises where it is a bad one."""
    data = read_yaml(file).data
    if isinstance(data, dict) and set(data) & set(Settings.model_fields):
        _judge_settings(load_settings_file(file))
        return "settings"
    own = load_catalog(file)
    named = len(own.reasons) - len(builtin_catalog().reasons)
    return f"catalogue ({named} new reason{'' if named == 1 else 's'})"
