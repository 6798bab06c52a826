"""Types of arguments and options that several commands have."""

from __future__ import annotations

from typing import Any

import click

from exporter.config.duration import parse_duration


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


class JobKeyType(click.ParamType[str]):
    """A job's id, or a container's name or id."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it can be one segment of a URL's path."""
        if value in {"", ".", ".."} or "/" in value:
            self.fail(f"{value!r} is not a job id or a container name", param, ctx)
        return str(value)
