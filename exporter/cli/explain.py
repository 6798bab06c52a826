"""``exit-exporter explain``: what an exit code, a signal or a reason can mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.cli.client import ApiClient, UnreachableError, url_option
from exporter.cli.codes import CODE_RANGE, SIGNALS, NegativeNumberCommand, ParsedCode, parse_code
from exporter.cli.tables import print_output
from exporter.verdict import classify
from exporter.verdict.catalog import DEFAULT_REASON
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.views import code_view, reason_list

_PARAMETER = "'CODE'"


@click.command(cls=NegativeNumberCommand)
@click.argument("code")
@click.option("--workload", help="Explain for this workload, which can have reasons of its own.")
@url_option
def explain(code: str, workload: str | None, url: str) -> None:
    """Explain an exit CODE: all its readings, what they mean and what to do.

    CODE is a number (137, 0xC000013A), a signal (SIGKILL; -9, as wrappers report it) or a reason (OOMKilled).
    If no server answers, the built-in catalogue is used.
    """
    parsed = parse_code(code)
    if parsed is None and not code[:1].isalpha():
        raise click.BadParameter(f"{code!r} is not an exit code ({CODE_RANGE})", param_hint=_PARAMETER)
    client = ApiClient(url)
    print_output(_explain_reason(client, code) if parsed is None else _explain_code(client, parsed, workload))


def _explain_code(client: ApiClient, parsed: ParsedCode, workload: str | None) -> RenderableType:
    answer = _ask_or_builtin(
        lambda: client.get("/api/v1/reasons", str(parsed.code), key="readings", workload=workload),
        lambda: code_view(parsed.code, classify.explain(parsed.code, builtin_catalog())),
    )
    note = [Text(f"{parsed.note}\n")] if parsed.note else []
    return Group(*note, *(_render_reading(reading) for reading in answer["readings"]))


def _explain_reason(client: ApiClient, name: str) -> RenderableType:
    answer = _ask_or_builtin(
        lambda: client.get("/api/v1/reasons", key="reasons"), lambda: reason_list(builtin_catalog())
    )
    reasons = {reason["reason"].lower(): reason for reason in answer["reasons"]}
    found = reasons.get(name.lower())
    if found is None:
        raise click.BadParameter(_unknown_name(name, list(reasons.values())), param_hint=_PARAMETER)
    return _render(Text(found["reason"], "bold"), found, f"Codes: {_codes(found)}")


def _ask_or_builtin(ask: Callable[[], Any], builtin: Callable[[], BaseModel]) -> Any:
    """Return the server's answer, or that of the built-in catalogue with a note on standard error."""
    try:
        return ask()
    except UnreachableError as error:
        click.echo(f"{error.message}\nFrom the built-in catalogue:\n", err=True)
        return builtin().model_dump(mode="json")


def _unknown_name(name: str, reasons: list[dict[str, Any]]) -> str:
    # Signals are mostly written without SIG.
    names = {signal.lower().removeprefix("sig"): signal for signal in SIGNALS}
    names |= {known.lower(): known for known in (*SIGNALS, *(reason["reason"] for reason in reasons))}
    closest = get_close_matches(name.lower(), names, 1)
    hint = f"did you mean {names[closest[0]]}?" if closest else f"codes are {CODE_RANGE}"
    return f"{name!r} is not an exit code, a signal or a reason; {hint}"


def _codes(reason: dict[str, Any]) -> str:
    codes = ", ".join(_ranges(reason["codes"]))
    if reason["reason"] == DEFAULT_REASON:
        return f"{codes}, and all that have no reason of their own"
    return codes or "none; it needs evidence"


def _ranges(codes: list[int]) -> Iterator[str]:
    """Yield the ranges of consecutive numbers as text."""
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    for first, last in zip(starts, ends, strict=True):
        yield str(first) if first == last else f"{first}-{last}"


def _render_reading(reading: dict[str, Any]) -> RenderableType:
    title = Text.assemble((reading["reason"], "bold"), f"  if {reading['when']}")
    return _render(title, reading, reading["error"], with_causes=reading["status"] == "failed")


def _render(
    title: Text, reason: dict[str, Any], fact: str | None, *, with_causes: bool = True
) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    rows.add_row(Text("   "), Text(reason["meaning"]))
    if fact:
        rows.add_row(Text("  "), Text(fact, "dim"))
    rows.add_row(Text("  "), Text(f"Recovery: {reason['recovery']}"))
    for cause in reason["causes"] if with_causes else ():
        rows.add_row(Text("  -"), Text(cause))
    return Group(title, rows, Text())
