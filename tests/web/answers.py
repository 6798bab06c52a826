"""Whole answers, as they are expected."""

from http import HTTPStatus
from typing import Any

import requests

JSON, PROBLEM = "application/json", "application/problem+json"
Said = tuple[int, str, Any]


def said(answer: requests.Response) -> Said:
    """Give the status, the media type and the whole document of an answer."""
    return answer.status_code, answer.headers["content-type"], answer.json()


def good(document: Any) -> Said:
    """Give what is said where all is well."""
    return HTTPStatus.OK, JSON, document


def problem(status: HTTPStatus, detail: str, *errors: str) -> Said:
    """Give what is said where something is wrong: a problem document of RFC 9457."""
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": detail,
        "errors": [*errors],
    }
    return status, PROBLEM, document
