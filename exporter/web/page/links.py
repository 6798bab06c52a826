"""Addresses of the page, relative to the page that they are on: it may be served below any path."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.requests import Request

# Browsers take these for folders, however they are written.
_FOLDERS = (".", "..")


class Links:
    """Links from one page. ``root`` is the way from it to the list, such as ``../``.

    ``base_url`` is where the browser reaches this server.
    """

    def __init__(self, request: Request) -> None:
        raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        self.root = "../" * (raw_path.count(b"/") - 1) or "./"
        self.base_url = str(request.base_url)

    def jobs(self, **parameters: str | None) -> str:
        """Return the address of the list with these parameters; those that are empty are left out."""
        given = {name: value for name, value in parameters.items() if value}
        return f"{self.root}?{urlencode(given)}" if given else self.root

    def job(self, job_id: str) -> str:
        """Return the address of a job."""
        return f"{self.root}jobs/{quote(job_id, safe='')}"

    def workload(self, name: str) -> str:
        """Return the address of a workload, or of its jobs if it has a name that no address can have."""
        if name in _FOLDERS:
            return self.jobs(workload=name)
        return f"{self.root}workloads/{quote(name, safe='')}"

    def static(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self.root}static/{name}"


def filled(template: str, values: Mapping[str, str | None]) -> str | None:
    """Return the address of another program, None without a template or if a value is not known."""
    for name, value in values.items():
        if f"{{{name}}}" in template:
            if not value:
                return None
            template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template or None
