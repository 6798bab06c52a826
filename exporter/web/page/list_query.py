"""The query of the list of jobs: that of the API, as a form sends it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from exporter.store import JobFilter
from exporter.verdict.catalog import ReasonCatalog
from exporter.web.job_query import MAX_LIMIT, JobsQuery

_PAGE = 50


class ListQuery(JobsQuery):
    """Conditions for jobs; the empty ones of a form are none."""

    limit: int = Field(_PAGE, ge=1, le=MAX_LIMIT, description="Maximum number of jobs.")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if value != ""}

    def is_plain(self, catalog: ReasonCatalog) -> bool:
        """Return whether this is the first page without any condition."""
        return self.cursor is None and self.job_filter(catalog) == JobFilter()
