"""``exit-exporter explain``: what an exit code, a signal or a reason can mean."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.cli.client import ApiClient
from exporter.cli.exit_code import CODE_RANGE, SIGNALS, NegativeNumberCommand, parse_code
from exporter.cli.markdown import markdown_code, markdown_table, markdown_text
from exporter.cli.params import format_option
from exporter.cli.reasons import ask_for_reasons, ask_or_builtin, code_ranges
from exporter.cli.server_options import server_options
from exporter.cli.tables import plain_text, print_markdown, print_output
from exporter.verdict import classify
from exporter.verdict.catalog import DEFAULT_REASON
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.reason_views import code_view

_PARAMETER = "'CODE'"


@click.command(cls=NegativeNumberCommand, short_help="Explain an exit CODE: its meanings and what to do.")
@click.argument("code")
@click.option("--workload", help="Explain for this workload, which can have reasons of its own.")
@format_option("text", "json", "markdown")
@server_options
def explain(code: str, workload: str | None, output_format: str, client: ApiClient) -> None:
    """Explain an exit CODE: all its readings, what they mean and what to do.

    CODE is a number (137, 0xC000013A), a signal (SIGKILL; -9, as wrappers report it) or a reason (OOMKilled).
    If no server answers, the built-in catalogue is used.

    \b
    Examples:
      exit-exporter explain 137
      exit-exporter explain -9
      exit-exporter explain OOMKilled --format markdown
    """
    parsed = parse_code(code)
    if parsed is None and not code[:1].isalpha():
        raise click.BadParameter(f"{code!r} is not an exit code ({CODE_RANGE})", param_hint=_PARAMETER)
    found = _find_reason(client, code) if parsed is None else _find_code(client, parsed.code, workload)
    if output_format == "json":
        click.echo(json.dumps(found, indent=2))
    elif output_format == "markdown":
        print_markdown(_markdown(found["readings"] if parsed else [found]))
    else:
        print_output(_render_reason(found) if parsed is None else _render_code(found, parsed.note))


def _find_code(client: ApiClient, code: int, workload: str | None) -> dict[str, Any]:
    return ask_or_builtin(
        lambda: client.get("/api/v1/reasons", str(code), key="readings", workload=workload),
        lambda: code_view(code, classify.explain(code, builtin_catalog())),
    )


def _find_reason(client: ApiClient, name: str) -> dict[str, Any]:
    answer = ask_for_reasons(client)
    reasons = {reason["reason"].lower(): reason for reason in answer["reasons"]}
    found: dict[str, Any] | None = reasons.get(name.lower())
    if found is None:
        raise click.BadParameter(_unknown_name(name, list(reasons.values())), param_hint=_PARAMETER)
    return found


def _render_code(found: dict[str, Any], note: str) -> RenderableType:
    first = [Text(f"{note}\n")] if note else []
    return Group(*first, *(_render_reading(reading) for reading in found["readings"]))


def _render_reason(found: dict[str, Any]) -> RenderableType:
    return _render(plain_text(found["reason"], "bold"), found, f"Codes: {_codes(found)}")


def _markdown(readings: list[dict[str, Any]]) -> str:
    """Return a row for each reading of a code; a reason alone is one, without a condition."""
    titles = ("Reason", "If", "Recovery", "Meaning", "Likely causes")
    return markdown_table(titles, (_markdown_cells(reading) for reading in readings))


def _markdown_cells(reading: dict[str, Any]) -> list[str]:
    return [
        markdown_code(reading["reason"]),
        markdown_text(reading.get("when", "")),
        markdown_text(reading["recovery"]),
        markdown_text(reading["meaning"]),
        "<br>".join(markdown_text(cause) for cause in reading["causes"]),
    ]


def _unknown_name(name: str, reasons: list[dict[str, Any]]) -> str:
    # Signals are mostly written without SIG.
    names = {signal.lower().removeprefix("sig"): signal for signal in SIGNALS}
    names |= {known.lower(): known for known in (*SIGNALS, *(reason["reason"] for reason in reasons))}
    closest = get_close_matches(name.lower(), names, 1)
    hint = f"did you mean {names[closest[0]]}?" if closest else f"codes are {CODE_RANGE}"
    return f"{name!r} is not an exit code, a signal or a reason; {hint}"


def _codes(reason: dict[str, Any]) -> str:
    codes = ", ".join(code_ranges(reason["codes"]))
    if reason["reason"] == DEFAULT_REASON:
        return f"{codes}, and all that have no reason of their own"
    return codes or "none; it needs evidence"


def _render_reading(reading: dict[str, Any]) -> RenderableType:
    title = Text.assemble(plain_text(reading["reason"], "bold"), plain_text(f"  if {reading['when']}"))
    return _render(title, reading, reading["error"], with_causes=reading["status"] == "failed")


def _render(
    title: Text, reason: dict[str, Any], fact: str | None, *, with_causes: bool = True
) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    rows.add_row(Text("   "), plain_text(reason["meaning"]))
    if fact:
        rows.add_row(Text("  "), plain_text(fact, "dim"))
    rows.add_row(Text("  "), plain_text(f"Recovery: {reason['recovery']}"))
    for cause in reason["causes"] if with_causes else ():
        rows.add_row(Text("  -"), plain_text(cause))
    return Group(title, rows, Text())
