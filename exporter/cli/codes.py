"""``exit-exporter codes``: the catalogue in use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from rich.console import RenderableType
from rich.table import Table

from exporter.cli.client import ApiClient
from exporter.cli.markdown import markdown_code, markdown_table, markdown_text
from exporter.cli.params import format_option
from exporter.cli.reasons import ask_for_reasons, code_ranges
from exporter.cli.server_options import server_options
from exporter.cli.tables import plain_text, print_markdown, print_output

_BY_EVIDENCE = "by evidence"


@dataclass(frozen=True, slots=True)
class _Row:
    """A reason with its codes, and the pattern of what they are read so for; empty for all."""

    codes: list[int]
    scope: str
    reason: dict[str, Any]

    @property
    def codes_text(self) -> str:
        return ", ".join(code_ranges(self.codes)) or _BY_EVIDENCE


@click.command(short_help="List the reasons in use with their codes and meanings.")
@format_option("table", "json", "markdown")
@server_options
def codes(output_format: str, client: ApiClient) -> None:
    """List the reasons in use with their codes, what they mean and what to do.

    With --format markdown, it is a page for the docs of a team that has added its own codes. If no server
    answers, the built-in catalogue is listed.

    \b
    Examples:
      exit-exporter codes
      exit-exporter codes --format markdown > exit-codes.md
    """
    catalog = ask_for_reasons(client)
    match output_format:
        case "json":
            click.echo(json.dumps(catalog, indent=2))
        case "markdown":
            print_markdown(_markdown(list(_rows(catalog))))
        case _:
            print_output(_table(list(_rows(catalog))))


def _rows(catalog: dict[str, Any]) -> Iterator[_Row]:
    """Yield the codes for all, in their order, then those for some, then what has no code."""
    reasons = {reason["reason"]: reason for reason in catalog["reasons"]}
    with_code = [reason for reason in reasons.values() if reason["codes"]]
    for reason in sorted(with_code, key=lambda reason: int(reason["codes"][0])):
        yield _Row(reason["codes"], "", reason)
    own: dict[tuple[str, str], list[int]] = {}
    for each in catalog["own_codes"]:
        kind = "image" if each["workload"] is None else "workload"
        own.setdefault((f"{kind} {each[kind]}", each["reason"]), []).append(each["code"])
    for (scope, name), codes in own.items():
        yield _Row(codes, scope, reasons[name])
    named = {name for _, name in own}
    for name, reason in reasons.items():
        if not reason["codes"] and name not in named:
            yield _Row([], "", reason)


def _table(rows: list[_Row]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    has_scopes = any(row.scope for row in rows)
    table.add_column("CODE", max_width=24)
    if has_scopes:
        table.add_column("FOR", overflow="fold")
    for title in ("REASON", "RECOVERY"):
        table.add_column(title, no_wrap=True)
    table.add_column("MEANING")
    for row in rows:
        scope = [row.scope] if has_scopes else []
        words = (row.reason["reason"], row.reason["recovery"], row.reason["meaning"])
        table.add_row(*map(plain_text, (row.codes_text, *scope, *words)))
    return table


def _markdown(rows: list[_Row]) -> str:
    titles = ("Code", "For", "Reason", "Recovery", "Meaning", "Likely causes")
    return markdown_table(titles, (_markdown_cells(row) for row in rows))


def _markdown_cells(row: _Row) -> list[str]:
    reason = row.reason
    return [
        row.codes_text,
        markdown_code(row.scope) if row.scope else "all",
        markdown_code(reason["reason"]),
        markdown_text(reason["recovery"]),
        markdown_text(reason["meaning"]),
        "<br>".join(markdown_text(cause) for cause in reason["causes"]),
    ]
