"""``exit-exporter report``: codes and reasons of a time span, and which memory limits are too low."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.cli.client import ApiClient
from exporter.cli.markdown import markdown_table, markdown_text
from exporter.cli.params import MomentType, format_option
from exporter.cli.server_options import server_options
from exporter.cli.tables import plain_text, print_markdown, print_output, styled_status
from exporter.sizes import format_bytes

_SECONDS = len("2026-03-01T12:00:00")
_EXITS = ("WORKLOAD", "STATUS", "CODE", "REASON", "EXITS", "SHARE", "BEFORE", "TREND")
_MEMORY = ("WORKLOAD", "OOM-KILLED AT", "COMPLETED AT", "LIMIT NOW", "SUGGESTED")
_FILTERS = ("workload", "host")
_NUMBERS = ("EXITS", "SHARE", "BEFORE")

Summary = dict[str, Any]


@click.command(short_help="Say how jobs ended, and which memory limits are too low.")
@click.option(
    "--since",
    type=MomentType(),
    help="Only jobs that ended since then: a duration ago, such as 30d, or a time. Default: 7d before "
    "--until.",
)
@click.option("--until", type=MomentType(), help="Only jobs that ended before then. Default: now.")
@click.option("--workload", help="Only jobs of this workload.")
@click.option("--host", help="Only jobs on this host.")
@format_option("table", "json", "markdown")
@server_options
def report(*, output_format: str, client: ApiClient, **span: str | None) -> None:
    """Say which codes and reasons there were, where, and which memory limits are too low.

    Each count is compared with the time of equal length before. A memory limit is suggested only if enough
    runs have completed at it since the workload was OOM-killed at a lower one.

    \b
    Examples:
      exit-exporter report
      exit-exporter report --since 30d --workload night/train
      exit-exporter report --since 2026-03-01 --until 2026-04-01 --format markdown > march.md
    """
    summary = client.get("/api/v1/summary", key="workloads", **span)
    match output_format:
        case "json":
            click.echo(json.dumps(summary, indent=2))
        case "markdown":
            print_markdown("\n\n".join(_markdown(summary)))
        case _:
            print_output(_tables(summary))
    if output_format != "json" and not summary["total"]["exits"]:
        _say_if_filters_hide_all(client, span)


def _say_if_filters_hide_all(client: ApiClient, span: dict[str, str | None]) -> None:
    """Say on standard error if there are exits without the filters: one of them may be mistyped."""
    filters = [f"--{name}" for name in _FILTERS if span[name]]
    of_all = {name: value for name, value in span.items() if name not in _FILTERS}
    if filters and client.get("/api/v1/summary", key="workloads", **of_all)["total"]["exits"]:
        click.echo(f"no exits are like this; without {' and '.join(filters)} there are some", err=True)


def _tables(summary: Summary) -> RenderableType:
    parts: list[RenderableType] = [plain_text(line) for line in _heading(summary)]
    if summary["workloads"]:
        rows = [
            [plain_text(workload["workload"]), *_exit_cells(group)] for workload, group in _groups(summary)
        ]
        parts += [Text(""), _table(_EXITS, rows)]
        parts += [Text("\nMemory limits", "bold"), *_limits(summary)]
    return Group(*parts)


def _limits(summary: Summary) -> Iterator[RenderableType]:
    memory = _with_memory(summary)
    if memory:
        yield _table(_MEMORY, [[plain_text(cell) for cell in _limit_cells(each)] for each in memory])
    for workload in memory:
        yield plain_text(f"\n{workload['workload']}")
        yield _sentences(workload["memory"]["sentences"])
    for line in _of_others(summary):
        yield plain_text(f"\n{line}" if memory else line)


def _table(titles: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        table.add_column(title, justify="right" if title in _NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _sentences(sentences: Sequence[str]) -> Table:
    lines = Table.grid(padding=(0, 1))
    for sentence in sentences:
        lines.add_row(Text("  -"), plain_text(sentence))
    return lines


def _markdown(summary: Summary) -> Iterator[str]:
    """Yield the paragraphs and tables of a page."""
    yield "\n".join(_heading(summary))
    rows = (
        [markdown_text(workload["workload"]), *(markdown_text(cell.plain) for cell in _exit_cells(group))]
        for workload, group in _groups(summary)
    )
    if summary["workloads"]:
        yield markdown_table([title.capitalize() for title in _EXITS], rows)
        yield "## Memory limits"
    memory = _with_memory(summary)
    if memory:
        limits = ([markdown_text(cell) for cell in _limit_cells(workload)] for workload in memory)
        titles = [title.capitalize().replace("Oom", "OOM") for title in _MEMORY]
        yield markdown_table(titles, limits)
    for workload in memory:
        yield f"### {markdown_text(workload['workload'])}"
        yield "\n".join(f"- {sentence}" for sentence in workload["memory"]["sentences"])
    yield from _of_others(summary)


def _heading(summary: Summary) -> Iterator[str]:
    """Yield the span and its exits, and what is missing of them."""
    total = summary["total"]
    before = total["exits_before"]
    compared = "" if before is None else f"; in the same time before, {before:,}"
    yield (
        f"{total['exits']:,} exits from {_time(summary['since'])} to {_time(summary['until'])} UTC, of which "
        f"{total['failed']:,} failed{compared}."
    )
    if before is None:
        yield _why_not_compared(summary)
    if summary["workloads_omitted"]:
        yield f"Not listed: {summary['workloads_omitted']:,} more workloads; --workload names one."


def _why_not_compared(summary: Summary) -> str:
    recorded = summary["recorded_since"]
    if recorded is None:
        return "No engine has been watched yet."
    return (
        f"Not compared with the time from {_time(summary['before_since'])} on, since exits are on record "
        f"only from {_time(recorded)} UTC on."
    )


def _groups(summary: Summary) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for workload in summary["workloads"]:
        for group in workload["reasons"]:
            yield workload, group


def _exit_cells(group: dict[str, Any]) -> list[Text]:
    code, before = group["container_exit_code"], group["exits_before"]
    no_code = "unknown" if group["status"] == "unknown" else "none"
    return [
        styled_status(group["status"]),
        Text(no_code if code is None else str(code)),
        plain_text(group["reason"]),
        Text(f"{group['exits']:,}"),
        Text(f"{group['share']:.1%}"),
        Text("" if before is None else f"{before:,}"),
        plain_text(group["trend"] or ""),
    ]


def _with_memory(summary: Summary) -> list[dict[str, Any]]:
    """Return the workloads with OOM kills, and the one that was asked for."""
    return [each for each in summary["workloads"] if each["memory"] and each["memory"]["sentences"]]


def _of_others(summary: Summary) -> Iterator[str]:
    """Yield what is known of the memory limits of the other workloads."""
    others = len(summary["workloads"]) - len(_with_memory(summary))
    if others:
        these = "1 workload" if others == 1 else f"{others:,} workloads"
        yield f"{these} had no OOM kill; at which limits one has completed, --workload says."


def _limit_cells(workload: dict[str, Any]) -> list[str]:
    memory = workload["memory"]
    limits = (_limit(memory[name]) for name in ("killed_at", "completed_at"))
    current, suggested = memory["current_limit_bytes"], memory["suggested"]
    return [
        workload["workload"],
        *limits,
        format_bytes(current) if current else "",
        _limit(suggested),
    ]


def _limit(limit: dict[str, Any] | None) -> str:
    if limit is None:
        return ""
    return f"{format_bytes(limit['limit_bytes'])} ({limit['runs']:,} run{'' if limit['runs'] == 1 else 's'})"


def _time(timestamp: str) -> str:
    return timestamp[:_SECONDS].replace("T", " ")
