"""Exit codes as they are typed."""

from __future__ import annotations

from typing import Any

import click

MAX_CODE = 2**32 - 1


class ExitCode(click.ParamType[int]):
    """A number from 0 to MAX_CODE."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        text = str(value)
        if not (text.isascii() and text.isdigit()) or int(text) > MAX_CODE:
            hint = "; 'ps --reason' lists the jobs of a reason" if text.isalpha() else ""
            self.fail(f"{text!r} is no exit code; they go from 0 to {MAX_CODE}{hint}", param, ctx)
        return int(text)
