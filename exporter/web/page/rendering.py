"""Rendering of the templates: text from outside is always escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from exporter import __version__
from exporter.sizes import format_bytes
from exporter.web.page.colours import reason_class
from exporter.web.page.links import Links
from exporter.web.page.run_squares import SIGNS
from exporter.web.page.security import SECURITY_HEADERS
from exporter.wording.cells import JobJson, format_age, format_code, format_error, format_run_time
from exporter.wording.facts import job_facts

_WORD_END = re.compile("(?<=[a-z])(?=[A-Z])")
_TEMPLATES = Path(__file__).parents[1] / "templates"


class Templates:
    """The templates, compiled once each."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(version=__version__, signs=SIGNS)
        self._environment.filters.update(
            age=format_age,
            bytes=format_bytes,
            code=format_code,
            error_parts=error_parts,
            facts=job_facts,
            moment=moment,
            reason_class=reason_class,
            run_time=format_run_time,
            words=words,
        )

    def response(
        self, request: Request, name: str, context: Mapping[str, Any], status: int = HTTPStatus.OK
    ) -> Response:
        """Return a template as a response."""
        links = Links(request)
        body = self._environment.get_template(name).render(links=links, root=links.root, **context)
        # It is never older than what the store has.
        return HTMLResponse(body, status, {**SECURITY_HEADERS, "Cache-Control": "no-store"})


def moment(timestamp: str) -> str:
    """Return a time of the API for people: ``2026-03-01 12:00:00 UTC``."""
    return f"{timestamp[:10]} {timestamp[11:19]} UTC"


def words(reason: str) -> list[str]:
    """Return the words of a reason, between which a line may break: ``Command``, ``Not``, ``Found``."""
    return _WORD_END.split(reason)


def error_parts(job: JobJson) -> tuple[str, str, str]:
    """Return the error of a job in three parts, of which the middle one is the reason."""
    error, reason = format_error(job), str(job["reason"] or "")
    before, found, after = error.rpartition(reason) if reason else ("", "", error)
    return before, found, after
