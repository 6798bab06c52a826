"""Write the pages that are generated from the code; ``--check`` only lists those that are out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from exporter import cli
from exporter.config.options import settings_options
from exporter.metrics.definitions import METRICS, STANDARD_METRICS, MetricType
from exporter.otlp.attributes import JOB_ATTRIBUTES
from exporter.verdict.catalog_file import builtin_catalog

_HELP = ["-h", "--help"]
HERE = Path(__file__).parent


METRICS_INTRO = """\
Counters and histograms survive a restart of the exporter; gauges only where this page says so.
`host` is the host that a job ran on; the API calls it `instance`, which is the scrape target in Prometheus.
`image` has no tag and no digest. Container ids and names are never labels.

The series of a workload end only when it gives up its slot under `--workload.limit`
([which workload does](decisions/workload-slots.md)). `increase()` still returns what it saw of them
while its window covers that time. If the workload comes back, its series start at 0, which `increase()`
takes as a counter reset. So nothing is counted twice, and what was counted as `Other` stays there.

## What a scrape shows

`increase()` does not see the first value of a series: a counter that appears with 1 has not grown. So a
scrape (a request with the header `X-Prometheus-Scrape-Timeout-Seconds`, which Prometheus sends) shows a new
counter or histogram as 0 first. It shows the value when everybody who scrapes has been given the 0. After a
start of the exporter it shows the totals of before first, then what was found of the time in between.
What an engine still knows when it is first listed is history: it is shown with its value at once.
So a plain `sum(increase(container_exits_total[…]))` is the number of exits, also for several Prometheus
with different intervals, and history is never an increase.

- A new series has its value one scrape later. If a Prometheus goes away or connects anew, new series wait
  for it, so that it can be restarted, but for at most `--metrics.max-scrape-interval`. Through a proxy or a
  Unix socket they always wait so long, and so do the alerts about them. Set it to at least the longest
  interval of all, twice that to let one scrape fail: who scrapes less often may see new series with their
  first value.
- What nobody scrapes for an hour is history to whoever comes then.
- A Prometheus that federates another one sees what that one has at the moment. With a longer interval it can
  miss the 0: let it scrape the exporter itself, or send it the samples (remote write).
- If the database is lost, the counters begin again with what the engine still knows. `increase()` takes that
  as a counter reset and counts this history once more.
- Counters about the exporter itself are shown when they are on record, up to ten seconds later. Errors of the
  store are shown at once.
- Without that header, `/metrics` shows the truth at once, as do the API, the page and the commands:
  `curl` can be ahead of Prometheus.
- The metrics to which this applies are marked "New series begin at 0".

[Why it is so](decisions/zero-before-one.md).\
"""
STANDARD_METRICS_INTRO = "About the exporter's own process, as in every exporter:"
STANDARD_METRICS_NOTE = """\
The `process_` metrics are read from `/proc` during the scrape, which needs neither disk nor network.
If that fails, or there is no `/proc`, they are missing, and the scrape succeeds with all other metrics.\
"""
SETTINGS_INTRO = """\
Flags override variables, and variables override the file of `--config.file`. The file is YAML:
`--storage.url` is `url` under `storage`. Unknown settings are refused; `exit-exporter check FILE`
checks a file.\
"""
ATTRIBUTES_INTRO = """\
An attribute without a value is left out. No attribute contains environment variables or command lines.\
"""


def metrics_page() -> str:
    """Return the page of metrics, with type, labels and meaning."""
    return _page("Metrics", "exporter/metrics/definitions.py", _metrics())


def settings_page() -> str:
    """Return the page of settings, with flag, variable and default."""
    return _page("Settings", "exporter/config/settings.py", _settings())


def commands_page() -> str:
    """Return the page of commands, with their help texts."""
    return _page("Commands", "exporter/cli/", _commands())


def reasons_page() -> str:
    """Return the page of codes and reasons."""
    return _page("Codes and reasons", "exporter/verdict/reasons.yaml", _reasons())


def attributes_page() -> str:
    """Return the page of span attributes."""
    return _page("Span attributes", "exporter/otlp/attributes.py", _attributes())


PAGES: dict[str, Callable[[], str]] = {
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "reasons.md": reasons_page,
    "span-attributes.md": attributes_page,
}


def stale() -> list[str]:
    """Return the names of the pages that differ from what the code generates."""
    return [
        name
        for name, page in PAGES.items()
        if not (HERE / name).is_file() or (HERE / name).read_text(encoding="utf-8") != page()
    ]


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    old = stale()
    if "--check" in sys.argv[1:]:
        for name in old:
            print(f"docs/{name} is out of date; run 'make docs'", file=sys.stderr)
        return 1 if old else 0
    for name in old:
        (HERE / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/{name} written")
    return 0


def _page(title: str, source: str, lines: Iterable[str]) -> str:
    made_from = f"Generated from `{source}` by `make docs`; do not edit."
    return "\n".join([f"# {title}", "", made_from, "", *lines]).rstrip("\n") + "\n"


def _metrics() -> Iterator[str]:
    yield METRICS_INTRO
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        yield ""
        yield f"## `{metric.name}`"
        yield ""
        yield f"{metric.help}"
        yield ""
        survives = " Survives a restart." if metric.persistent and metric.type is MetricType.GAUGE else ""
        zero_first = " New series begin at 0." if metric.zero_first else ""
        yield f"Type: {metric.type}. Labels: {labels}.{survives}{zero_first}"
        if metric.buckets:
            yield f"Upper bounds of its buckets, in seconds: {', '.join(f'{b:g}' for b in metric.buckets)}."
    yield ""
    yield "## Standard metrics"
    yield ""
    yield STANDARD_METRICS_INTRO
    yield ""
    yield from (f"- `{name}`" for name in STANDARD_METRICS)
    yield ""
    yield STANDARD_METRICS_NOTE


def _settings() -> Iterator[str]:
    yield SETTINGS_INTRO
    yield ""
    yield "| Flag | Variable | Default | Meaning |"
    yield "|---|---|---|---|"
    for option in settings_options():
        default = f"`{option.default}`" if option.default else ""
        repeat = " In the variable, separate them with commas." if option.multiple else ""
        yield f"| `{option.flag}` | `{option.variable}` | {default} | {option.help}{repeat} |"


def _attributes() -> Iterator[str]:
    yield ATTRIBUTES_INTRO
    yield ""
    yield "| Attribute | Meaning |"
    yield "|---|---|"
    for attribute in JOB_ATTRIBUTES:
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
    catalogue = builtin_catalog()
    codes: dict[str, list[str]] = {}
    for code, words in sorted(catalogue.codes.items()):
        codes.setdefault(words.reason, []).append(str(code))
        if words.requested:
            codes.setdefault(words.requested, []).append(f"{code} after a stop request")
    yield "| Reason | Codes | Meaning | Recovery |"
    yield "|---|---|---|---|"
    for word, meaning in catalogue.reasons.items():
        yield f"| `{word}` | {', '.join(codes.get(word, []))} | {meaning.meaning} | {meaning.recovery} |"


if __name__ == "__main__":
    sys.exit(main())
