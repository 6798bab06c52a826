"""Routes of the page. Handlers run in threads, since they read the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from exporter.model import Status
from exporter.pipeline.readiness import Readiness
from exporter.store import AmbiguousKeyError, Store, StoreError
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.endpoints import parse_query
from exporter.web.page.job_page import facts_beside, job_page
from exporter.web.page.links import Links
from exporter.web.page.list_page import ListPages
from exporter.web.page.list_query import ListQuery
from exporter.web.page.options import PageOptions
from exporter.web.page.static_files import FOLDER, SecuredFiles
from exporter.web.page.workload_page import workload_page
from exporter.web.problems import ProblemError, no_such_job

if TYPE_CHECKING:
    from exporter.web.page.rendering import Templates

_SPANS = ("1h", "6h", "24h", "7d", "30d")


class PageRoutes:
    """List, job and workload; what is wrong is said in HTML too."""

    def __init__(
        self, store: Store, catalog: ReloadableCatalog, readiness: Readiness, options: PageOptions
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._readiness = readiness
        self._options = options
        self._lists = ListPages(store)

    @cached_property
    def _templates(self) -> Templates:
        # Jinja takes 2 MB of memory: it is imported with the first page that somebody opens.
        from exporter.web.page.rendering import Templates  # noqa: PLC0415

        return Templates()

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/", self._answering(self.jobs), name="page"),
            Route("/jobs/{id}", self._answering(self.job), name="job page"),
            Route("/workloads/{name:path}", self._answering(self.workload), name="workload page"),
            Mount("/static", SecuredFiles(directory=FOLDER), name="static"),
        ]

    def jobs(self, request: Request) -> Response:
        """Return the list of jobs."""
        query, catalog = parse_query(request, ListQuery), self._catalog.current
        page = self._lists.page(query, dict(request.query_params), catalog, Links(request))
        context = {
            "page": page,
            "statuses": [*Status],
            "reasons": sorted(catalog.reasons),
            "spans": _SPANS,
            "problems": self._problems(),
            "limitations": self._readiness.limitations(),
        }
        return self._templates.response(request, "list.html", context)

    def job(self, request: Request) -> Response:
        """Return the page of one job."""
        key = request.path_params["id"]
        try:
            record = self._store.reader.find_job(key)
        except AmbiguousKeyError as error:
            context = {"key": key, "containers": error.containers}
            return self._templates.response(request, "candidates.html", context, HTTPStatus.CONFLICT)
        if record is None:
            raise no_such_job(key)
        page = job_page(record, self._store, self._catalog.current, Links(request), self._options)
        context = {"page": page, "options": self._options, "facts_beside": facts_beside}
        return self._templates.response(request, "job.html", context)

    def workload(self, request: Request) -> Response:
        """Return the page of one workload."""
        name = request.path_params["name"]
        page = workload_page(self._store, self._catalog.current, name, Links(request))
        if page is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"no job of a workload {name!r} is on record")
        return self._templates.response(request, "workload.html", {"page": page})

    def _problems(self) -> list[str]:
        return [f"{component}: {cause}" for component, cause in sorted(self._readiness.problems().items())]

    def _answering(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Return a handler that shows errors as a page."""

        def answer(request: Request) -> Response:
            try:
                return handler(request)
            except ProblemError as error:
                return self._error(request, error.status, error.errors or [error.detail])
            except StoreError as error:
                problem = f"the store cannot be read: {error}"
                return self._error(request, HTTPStatus.SERVICE_UNAVAILABLE, [problem])

        return answer

    def _error(self, request: Request, status: HTTPStatus, problems: list[str]) -> Response:
        context = {"title": status.phrase, "errors": problems}
        return self._templates.response(request, "error.html", context, status)
