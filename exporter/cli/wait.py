"""``exit-exporter wait``: wait until jobs have ended, and end as they did."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

import click

from exporter.cli.client import ApiClient
from exporter.cli.exit_status import CASUALTIES, FAILED, TIMED_OUT, UNKNOWN, StatusRules
from exporter.cli.job_waiter import JobWaiter, Limits, WaitTimeoutError
from exporter.cli.output import print_if_possible, show_if_possible
from exporter.cli.params import DurationType, JobKeyType, format_option
from exporter.cli.server_options import server_options
from exporter.exit_codes import MAX_LINUX_CODE
from exporter.outcomes import Recovery
from exporter.text import printable
from exporter.wording.cells import JobJson, format_code

_STATUS = click.IntRange(1, MAX_LINUX_CODE)
_JSON_FIELDS = (
    "id",
    "name",
    "status",
    "container_exit_code",
    "reason",
    "termination",
    "error",
    "recovery",
    "oom_kills",
    "evidence",
    "not_known",
)


class _WaitCommand(click.Command):
    """A command none of whose errors ends with a status that a job's code could be taken for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a wrong use has the status of an error."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            show_if_possible(error)
            ctx.exit(FAILED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and give every error its status."""
        status = ctx.params["error_as"]
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            show_if_possible(error)
            ctx.exit(status)
        except click.exceptions.Exit:
            raise
        except Exception:  # noqa: BLE001  # Python would end with 1
            print_if_possible(traceback.format_exc(), err=True)
            ctx.exit(status)


class _Mapping(click.ParamType[tuple[str, int]]):
    """NAME=STATUS."""

    name = "mapping"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return the name and the status."""
        name, equals, number = str(value).partition("=")
        if not name or not equals or not number.isascii() or not number.isdigit():
            self.fail(f"{value!r} is not NAME=STATUS, such as OOMKilled=240", param, ctx)
        return name, int(_STATUS.convert(int(number), param, ctx))


@click.command(cls=_WaitCommand, short_help="Wait until jobs have ended, and end with their exit code.")
@click.argument("jobs", nargs=-1, type=JobKeyType(), required=True, metavar="JOB...")
@click.option(
    "--all/--any",
    "wait_for_all",
    default=True,
    help="Wait for all jobs (default), or for the first that ends.",
)
@click.option("--timeout", type=DurationType(), help="Give up after this time, such as 2h.")
@click.option(
    "--timeout-as", type=_STATUS, default=TIMED_OUT, show_default=True, help="Status after --timeout."
)
@click.option(
    "--for-start",
    type=DurationType(),
    # Some starts fail without an event, and are found half a minute later.
    default="1m",
    show_default=True,
    help="Wait this long for a job that is not on record yet.",
)
@click.option(
    "--retry-for",
    type=DurationType(),
    default="1m",
    show_default=True,
    help="Keep asking a server that does not answer for this long.",
)
@click.option(
    "--unknown-as",
    type=_STATUS,
    default=UNKNOWN,
    show_default=True,
    help="Status if the exit code is not known.",
)
@click.option(
    "--error-as",
    type=_STATUS,
    default=FAILED,
    show_default=True,
    help="Status if there is no such job or server.",
)
@click.option(
    "--on",
    "mappings",
    type=_Mapping(),
    multiple=True,
    metavar="NAME=STATUS",
    help="Status for a reason or a recovery, such as OOMKilled=240. Repeatable; the first that fits counts.",
)
@click.option("--strict", is_flag=True, help="Fail on a success that lost a process to an OOM kill.")
@click.option("--strict-as", type=_STATUS, default=CASUALTIES, show_default=True, help="Status for --strict.")
@format_option("text", "json")
@server_options
def wait(
    *,
    jobs: tuple[str, ...],
    wait_for_all: bool,
    mappings: tuple[tuple[str, int], ...],
    output_format: str,
    client: ApiClient,
    **options: Any,
) -> NoReturn:
    """Wait until each JOB has ended, and end with its own exit code.

    JOB is a job's id, or a container's name, id, or at least 6 digits of its id: its newest run is waited
    for. It may have ended long ago, have been removed since, or never have started. Prefer the id that docker
    run prints: right after a start, a name can still mean the run before. With several jobs the status is 0
    if all ended with 0, else that of the first one, in the order given, that did not.

    For each job that ends there is a line on standard error; with --format json, an object on standard output
    instead.

    \b
    Exit status, unless an option sets another one:
      the exit code of the job; 0 only if 0 is on record; 255 for a code above 255
      124  --timeout has passed
      130  Ctrl-C
      250  the job ended, and its exit code is not known
      251  no such job, no answer from the server, or wrong options
      252  --strict: the job ended with 0 and lost a process to an OOM kill
    \b
    Examples:
      exit-exporter wait "$(docker run -d job:1)"
      exit-exporter wait --for-start 5m --timeout 2h train-1
      exit-exporter wait --on more-memory=240 --on retry=241 train-1
    """
    limits = Limits(options["timeout"], options["for_start"], options["retry_for"])
    waiter = JobWaiter(client, limits, _warn)
    statuses: dict[str, int] = {}
    try:
        rules = StatusRules(
            _known(mappings, waiter) if mappings else {},
            options["unknown_as"],
            options["strict_as"] if options["strict"] else None,
        )
        for key, job in waiter.ends(jobs):
            statuses[key] = rules.status_of(job)
            _print(job, output_format)
            if not wait_for_all:
                sys.exit(statuses[key])
    except WaitTimeoutError as error:
        _warn(str(error))
        sys.exit(options["timeout_as"])
    sys.exit(next((statuses[key] for key in jobs if statuses[key]), 0))


def _known(mappings: tuple[tuple[str, int], ...], waiter: JobWaiter) -> Mapping[str, int]:
    """Return the mappings, with the names as the catalogue writes them. Raises BadParameter for others."""
    names = (*waiter.reasons(), *Recovery)
    in_any_case = {name.lower(): name for name in names}
    found: dict[str, int] = {}
    for name, status in mappings:
        # A reason and a recovery can differ in case alone: a catalogue may have a reason Retry.
        known = name if name in names else in_any_case.get(name.lower())
        if known is None:
            raise click.BadParameter(_unknown_name(name, in_any_case), param_hint="--on")
        found.setdefault(known, status)
    return found


def _unknown_name(name: str, known: Mapping[str, str]) -> str:
    closest = get_close_matches(name.lower(), known, 1)
    hint = f"did you mean {known[closest[0]]}?" if closest else "see 'exit-exporter codes'"
    return f"{name!r} is neither a reason nor a recovery; {hint}"


def _print(job: JobJson, output_format: str) -> None:
    if output_format == "json":
        print_if_possible(json.dumps({name: job[name] for name in _JSON_FIELDS}))
        return
    words = [job["name"], job["status"], format_code(job), job["reason"], job["recovery"]]
    _warn("  ".join(printable(str(word)) for word in (*words, _lost(job["oom_kills"])) if word))


def _lost(oom_kills: int) -> str:
    verb = "was" if oom_kills == 1 else "were"
    return f"{oom_kills} of its processes {verb} killed for memory" if oom_kills else ""


def _warn(text: str) -> None:
    print_if_possible(text, err=True)
