"""The catalogue in use, as the server gives it; without a server, the built-in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
from pydantic import BaseModel

from exporter.cli.client import ApiClient, UnreachableError
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.reason_views import reason_list


def ask_for_reasons(client: ApiClient) -> dict[str, Any]:
    """Return the catalogue as the API shows it."""
    return ask_or_builtin(
        lambda: client.get("/api/v1/reasons", key="reasons"), lambda: reason_list(builtin_catalog())
    )


def ask_or_builtin(ask: Callable[[], Any], builtin: Callable[[], BaseModel]) -> dict[str, Any]:
    """Return the server's answer, or that of the built-in catalogue with a note on standard error."""
    try:
        answer: dict[str, Any] = ask()
    except UnreachableError as error:
        click.echo(f"{error.message}\nFrom the built-in catalogue:\n", err=True)
        return builtin().model_dump(mode="json")
    return answer


def code_ranges(codes: list[int]) -> Iterator[str]:
    """Yield the ranges of consecutive numbers as text."""
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    for first, last in zip(starts, ends, strict=True):
        yield str(first) if first == last else f"{first}-{last}"
