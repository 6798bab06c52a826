"""Write the pages that are made from the code; ``--check`` only says which are out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from exporter import cli
from exporter.config import settings
from exporter.metrics.definitions import CATALOGUE, STANDARD, MetricType
from exporter.otlp.attributes import ATTRIBUTES
from exporter.verdict import catalog

_HELP = ["-h", "--help"]
HERE = Path(__file__).parent


def metrics_page() -> str:
    """Every metric with its type, labels and meaning."""
    return "\n".join(["# Metrics", "", *_made_from("exporter/metrics/definitions.py"), *_metrics(), ""])


def settings_page() -> str:
    """Every setting with its flag, its variable, its default."""
    return "\n".join(["# Settings", "", *_made_from("exporter/config/settings.py"), *_settings(), ""])


def commands_page() -> str:
    """The help of every command."""
    return "\n".join(["# Commands", "", *_made_from("exporter/cli/"), *_commands()])


def reasons_page() -> str:
    """Every code and every reason."""
    return "\n".join(["# Codes and reasons", "", *_made_from("exporter/reasons.yaml"), *_reasons(), ""])


def attributes_page() -> str:
    """Every attribute of a job's span."""
    return "\n".join(
        ["# Attributes of a span", "", *_made_from("exporter/otlp/attributes.py"), *_attributes(), ""]
    )


PAGES: dict[str, Callable[[], str]] = {
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "reasons.md": reasons_page,
    "span-attributes.md": attributes_page,
}


def stale() -> list[str]:
    """The pages that are not what the code makes."""
    return [
        name
        for name, page in PAGES.items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != page()
    ]


def main() -> int:
    """Write, or check; the exit code."""
    old = stale()
    if "--check" in sys.argv[1:]:
        for name in old:
            print(f"docs/{name} is out of date; run 'make docs'", file=sys.stderr)
        return 1 if old else 0
    for name in old:
        (HERE / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/{name} written")
    return 0


def _made_from(source: str) -> list[str]:
    return [f"Made from `{source}` by `make docs`; do not edit.", ""]


def _metrics() -> Iterator[str]:
    yield "Counters and histograms survive a restart of the exporter, and so do gauges where it is said."
    yield "`host` is the name of the instance that a job ran on (Prometheus keeps `instance` for itself);"
    yield "`image` is without tag or digest. No container's id or name is ever a label."
    yield ""
    yield "A workload's series end when it gives up its place under `--workload.limit` to another, and at"
    yield "no other time ([who gives way](decisions/workload-slots.md)). What `increase()` saw of them it"
    yield "tells for as long as its window reaches back. If the workload comes back, they begin at 0, which"
    yield "is to `increase()` a counter that was set back: nothing is told twice, and what was counted as"
    yield "`Other` stays there."
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        yield ""
        yield f"## `{metric.name}`"
        yield ""
        yield f"{metric.help}"
        yield ""
        survives = " Survives a restart." if metric.kept and metric.kind is MetricType.GAUGE else ""
        yield f"Type: {metric.kind}. Labels: {labels}.{survives}"
        if metric.buckets:
            yield f"Upper bounds of its buckets, in seconds: {', '.join(f'{b:g}' for b in metric.buckets)}."
    yield ""
    yield "## Standard metrics"
    yield ""
    yield "Of the exporter's own process, as in every exporter:"
    yield ""
    yield from (f"- `{name}`" for name in STANDARD)
    yield ""
    yield "The `process_` ones are read from `/proc` during the scrape: memory of the kernel, no disk and no"
    yield "network. Where that fails, or there is no `/proc`, they are missing; the scrape succeeds with all"
    yield "other metrics."


def _settings() -> Iterator[str]:
    yield "Flags win over variables, variables over the file that `--config.file` names. The file is YAML:"
    yield "`--storage.url` is `url` under `storage`. Unknown settings are refused; `exit-exporter check FILE`"
    yield "says whether a file is good."
    yield ""
    yield "| Flag | Variable | Default | Meaning |"
    yield "|---|---|---|---|"
    for option in settings.options():
        default = f"`{option.default}`" if option.default else ""
        repeat = " With commas in the variable." if option.repeatable else ""
        yield f"| `{option.flag}` | `{option.variable}` | {default} | {option.help}{repeat} |"


def _attributes() -> Iterator[str]:
    yield "One that has no value for a job is left out. None ever holds an environment or a command line."
    yield ""
    yield "| Attribute | Meaning |"
    yield "|---|---|"
    for attribute in ATTRIBUTES:
        yield f"| `{attribute.name}` | {attribute.meaning} |"


def _commands() -> Iterator[str]:
    context = click.Context(cli.main, info_name="exit-exporter", terminal_width=100, help_option_names=_HELP)
    yield from _help(cli.main, context)
    for name in cli.COMMANDS:
        command = cli.command(name)
        yield from _help(command, click.Context(command, parent=context, info_name=name))


def _help(command: click.Command, context: click.Context) -> list[str]:
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return [f"## `{context.command_path}`", "", "```text", *lines, "```", ""]


def _reasons() -> Iterator[str]:
    catalogue = catalog.builtin()
    codes: dict[str, list[str]] = {}
    for code, words in sorted(catalogue.codes.items()):
        codes.setdefault(words.reason, []).append(str(code))
        if words.requested:
            codes.setdefault(words.requested, []).append(f"{code} where a stop was requested")
    yield "| Reason | Codes | Meaning | Recovery |"
    yield "|---|---|---|---|"
    for word, meaning in catalogue.meanings.items():
        yield f"| `{word}` | {', '.join(codes.get(word, []))} | {meaning.meaning} | {meaning.recovery} |"


if __name__ == "__main__":
    sys.exit(main())
