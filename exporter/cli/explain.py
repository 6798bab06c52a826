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

from exporter.cli.client import Client, NoAnswerError, url_option
from exporter.cli.codes import RANGE, SIGNALS, Asked, TakesNegativeNumbers, asked
from exporter.cli.tables import show
from exporter.exit_codes import MAX_CODE
from exporter.verdict import classify
from exporter.verdict.catalog import DEFAULT_REASON
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.views import code_view, reason_list

_HINT = "'CODE'"


@click.command(cls=TakesNegativeNumbers)
@click.argument("code")
@click.option("--workload", help="As read for this workload: it may have words of its own.")
@url_option
def explain(code: str, workload: str | None, url: str) -> None:
    """Explain an exit CODE: every way to read it, what that means, and what to do.

    CODE is a number (137, 0xC000013A), a signal (SIGKILL; -9, as wrappers report it) or a reason (OOMKilled).
    Where no server answers, the built-in catalogue does.
    """
    wanted = asked(code)
    if wanted is None and not code[:1].isalpha():
        raise click.BadParameter(f"{code!r} is not an exit code ({RANGE})", param_hint=_HINT)
    client = Client(url)
    show(_reason(client, code) if wanted is None else _code(client, wanted, workload))


def _code(client: Client, wanted: Asked, workload: str | None) -> RenderableType:
    """Every way to read a code."""
    answer = _answer(
        lambda: client.get("/api/v1/reasons", str(wanted.code), key="readings", workload=workload),
        lambda: code_view(wanted.code, classify.explain(wanted.code, builtin_catalog())),
    )
    note = [Text(f"{wanted.note}\n")] if wanted.note else []
    return Group(*note, *(_reading(reading) for reading in answer["readings"]))


def _reason(client: Client, word: str) -> RenderableType:
    """What a reason's word means, and which codes bear it."""
    answer = _answer(
        lambda: client.get("/api/v1/reasons", key="reasons"), lambda: reason_list(builtin_catalog())
    )
    known = {reason["reason"].lower(): reason for reason in answer["reasons"]}
    found = known.get(word.lower())
    if found is None:
        raise click.BadParameter(_unknown(word, list(known.values())), param_hint=_HINT)
    return _sheet(Text(found["reason"], "bold"), found, f"Codes: {_codes(found)}")


def _answer(ask: Callable[[], Any], built_in: Callable[[], BaseModel]) -> Any:
    """What the server says, or else the built-in catalogue, and that it does."""
    try:
        return ask()
    except NoAnswerError as error:
        click.echo(f"{error.message}\nFrom the built-in catalogue:\n", err=True)
        return built_in().model_dump(mode="json")


def _unknown(word: str, known: list[dict[str, Any]]) -> str:
    # Signals are mostly written without their first letters.
    words = {name.lower().removeprefix("sig"): name for name in SIGNALS}
    words |= {name.lower(): name for name in (*SIGNALS, *(reason["reason"] for reason in known))}
    near = get_close_matches(word.lower(), words, 1)
    hint = f"did you mean {words[near[0]]}?" if near else f"codes are 0 to {MAX_CODE}"
    return f"{word!r} is not an exit code, a signal or a reason; {hint}"


def _codes(reason: dict[str, Any]) -> str:
    shown = ", ".join(_ranges(reason["codes"]))
    if reason["reason"] == DEFAULT_REASON:
        return f"{shown}, and all that have no word of their own"
    return shown or "none of its own; it is told by evidence"


def _ranges(codes: list[int]) -> Iterator[str]:
    """The numbers in words: those in a row by the first and the last."""
    begins = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    for first, last in zip(begins, ends, strict=True):
        yield str(first) if first == last else f"{first}-{last}"


def _reading(reading: dict[str, Any]) -> RenderableType:
    title = Text.assemble((reading["reason"], "bold"), f"  if {reading['when']}")
    return _sheet(title, reading, reading["error"], with_causes=reading["status"] == "failed")


def _sheet(
    title: Text, words: dict[str, Any], fact: str | None, *, with_causes: bool = True
) -> RenderableType:
    facts = Table.grid(padding=(0, 1))
    facts.add_row(Text("   "), Text(words["meaning"]))
    if fact:
        facts.add_row(Text("  "), Text(fact, "dim"))
    facts.add_row(Text("  "), Text(f"Recovery: {words['recovery']}"))
    for cause in words["causes"] if with_causes else ():
        facts.add_row(Text("  -"), Text(cause))
    return Group(title, facts, Text())
