"""The whole web side put together: endpoints, their documentation, and how errors are answered."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exporter.web import openapi, problems
from exporter.web.admin import AdminRoutes
from exporter.web.api import Api
from exporter.web.endpoints import Endpoint


def site(api: Api, operations: AdminRoutes) -> Starlette:
    """The ASGI application."""
    endpoints: list[Endpoint] = [*api.endpoints(), *operations.endpoints()]
    document = openapi.document(endpoints)

    def described(_request: Request) -> Response:
        return JSONResponse(document)

    routes = [endpoint.route() for endpoint in endpoints]
    return Starlette(
        routes=[*routes, Route("/openapi.json", described)],
        exception_handlers=problems.HANDLERS,
    )
