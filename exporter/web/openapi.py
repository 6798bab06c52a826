"""The OpenAPI document, derived from the endpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from exporter import __version__
from exporter.web.endpoints import Endpoint
from exporter.web.problems import MEDIA_TYPE, Problem

_OTHER_HOST = (HTTPStatus.MISDIRECTED_REQUEST, "The header Host has another name than the exporter's.")
_REF = "#/components/schemas/{model}"


def openapi_document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these endpoints."""
    models = {endpoint.response_model for endpoint in endpoints if endpoint.response_model} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "exit-exporter",
            "version": __version__,
            "description": "Why did my container exit? Exit codes and reasons of container jobs.",
        },
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "summary": endpoint.summary,
        "operationId": endpoint.handler.__name__,
        "parameters": [*_path_parameters(endpoint.path), *_query_parameters(endpoint.query)],
        "responses": {
            "200": {
                "description": "Success.",
                "content": dict.fromkeys(endpoint.media_types, _schema(endpoint.response_model)),
            },
            **{
                str(int(status)): {"description": when, "content": {MEDIA_TYPE: _schema(Problem)}}
                for status, when in _error_responses(endpoint)
            },
        },
    }


def _error_responses(endpoint: Endpoint) -> Sequence[tuple[HTTPStatus, str]]:
    return endpoint.error_responses if endpoint.any_host else (*endpoint.error_responses, _OTHER_HOST)


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    schema = {"type": "string"} if model is None else {"$ref": _REF.format(model=model.__name__)}
    return {"schema": schema}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "description": field.pop("description", ""),
            "schema": _parameter_schema(field, definitions),
        }
        for name, field in schema["properties"].items()
    ]


def _parameter_schema(field: dict[str, Any], definitions: Any) -> Any:
    """Return the schema of a parameter's value; null stands for a missing parameter, and is no value."""
    variants = [variant for variant in field.pop("anyOf", []) if variant != {"type": "null"}]
    merged = {**field, **(variants[0] if variants else {})}
    if merged.get("default") is None:
        merged.pop("default", None)
    merged.pop("title", None)
    # A parameter cannot refer to components: schemas of enums are copied in.
    return definitions[merged["$ref"].rpartition("/")[2]] if "$ref" in merged else merged
