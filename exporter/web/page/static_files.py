"""The style sheet, the script and the icon of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from exporter.web.page.security import SECURITY_HEADERS

FOLDER = Path(__file__).parents[1] / "static"


class SecuredFiles(StaticFiles):
    """Files with the headers of the page; a browser asks each time whether it still has the newest."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file, or that it has not changed."""
        response = super().file_response(*arguments, **options)
        response.headers.update({**SECURITY_HEADERS, "Cache-Control": "no-cache"})
        return response
