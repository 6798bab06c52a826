"""Whole responses: status, media type and JSON document."""

from http import HTTPStatus
from typing import Any

import requests

JSON, PROBLEM = "application/json", "application/problem+json"
Content = tuple[int, str, Any]


def content(response: requests.Response) -> Content:
    """Return status, media type and document of a response."""
    return response.status_code, response.headers["content-type"], response.json()


def ok(document: Any) -> Content:
    """Return the content of a successful response."""
    return HTTPStatus.OK, JSON, document


def problem(status: HTTPStatus, detail: str, *errors: str) -> Content:
    """Return the content of a problem document of RFC 9457."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "errors": [*errors],
    }
    return status, PROBLEM, document
