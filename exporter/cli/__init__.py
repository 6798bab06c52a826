"""The command line: parse, call, return an exit code. It knows the API, not the store."""

from __future__ import annotations

import click

from exporter import __version__
from exporter.cli.check import check
from exporter.cli.explain import explain
from exporter.cli.ps import ps
from exporter.cli.serve import serve
from exporter.cli.show import show


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="exit-exporter")
def main() -> None:
    """Why did my container exit?

    The daemon (serve) watches container engines; the other commands ask it.
    """


for command in (serve, ps, show, explain, check):
    main.add_command(command)
