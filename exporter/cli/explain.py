"""``exit-exporter explain``: what an exit code can mean."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter import classify, reasons
from exporter.cli.client import Client, NoAnswerError, url_option
from exporter.cli.codes import ExitCode
from exporter.cli.tables import show
from exporter.web.views import code_view


@click.command()
@click.argument("code", type=ExitCode())
@click.option("--workload", help="As read for this workload: it may have words of its own.")
@url_option
def explain(code: int, workload: str | None, url: str) -> None:
    """Explain an exit CODE: every way to read it, what that means, and what to do.

    Where no server answers, the built-in catalogue does.
    """
    try:
        answer = Client(url).get("/api/v1/reasons", str(code), key="readings", workload=workload)
    except NoAnswerError as error:
        click.echo(f"{error.message}\nFrom the built-in catalogue:\n", err=True)
        answer = code_view(code, classify.explain(code, reasons.builtin())).model_dump(mode="json")
    show(Group(*(_reading(reading) for reading in answer["readings"])))


def _reading(reading: dict[str, Any]) -> RenderableType:
    title = Text.assemble((reading["reason"], "bold"), f"  if {reading['when']}")
    facts = Table.grid(padding=(0, 1))
    facts.add_row(Text("   "), Text(reading["meaning"]))
    if reading["error"]:
        facts.add_row(Text("  "), Text(reading["error"], "dim"))
    facts.add_row(Text("  "), Text(f"Recovery: {reading['recovery']}"))
    for cause in reading["causes"] if reading["status"] == "failed" else ():
        facts.add_row(Text("  -"), Text(cause))
    return Group(title, facts, Text())
