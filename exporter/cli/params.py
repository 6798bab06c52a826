"""Types of arguments and options that several commands have."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from exporter.config.duration import parse_duration
from exporter.config.moment import parse_moment

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Return an option ``--format`` with these formats, of which the first is the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


class DurationType(click.ParamType[float]):
    """A duration such as 90s or 2h, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        try:
            return float(parse_duration(str(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MomentType(click.ParamType[str]):
    """A duration ago, such as 2h, or a time, as the API takes them."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it is a moment."""
        try:
            parse_moment(str(value), time.time_ns())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class ReasonType(click.ParamType[str]):
    """Name of a reason; the server knows which there are, and completion those of the built-in catalogue."""

    name = "reason"

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the reasons that begin so, in any case."""
        # Imported only here: no other use of an option needs them.
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        from exporter.verdict.catalog_file import builtin_catalog  # noqa: PLC0415

        start = incomplete.lower()
        return [CompletionItem(name) for name in builtin_catalog().reasons if name.lower().startswith(start)]


class JobKeyType(click.ParamType[str]):
    """A job's id, or a container's name or id."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it can be one segment of a URL's path."""
        if value in {"", ".", ".."} or "/" in value:
            self.fail(f"{value!r} is not a job id or a container name", param, ctx)
        return str(value)
