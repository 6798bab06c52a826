"""YAML files that people write: read whole, checked whole, every problem with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

MAX_BYTES = 1 << 20

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]


class DocumentError(Exception):
    """A file was refused; ``problems`` are lines of the form ``file:line: place: cause``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Document:
    """A parsed YAML file that still knows on which line each of its parts stands."""

    def __init__(self, path: Path, root: yaml.Node | None, data: Any) -> None:
        self.path = path
        self._root = root
        self.data = data

    def line(self, location: Location) -> int:
        """The line (from 1) of the innermost part of ``location`` that the file really has."""
        node, line = self._root, 1
        for step in location:
            child = _child(node, step)
            if child is None:
                break
            line, node = child
        return line

    def problem(self, location: Location, cause: str) -> str:
        """One problem in the form in which all are shown."""
        place = ".".join(str(step) for step in location)
        return f"{self.path}:{self.line(location)}: {place + ': ' if place else ''}{cause}"


def read(path: Path) -> Document:
    """Parse one YAML file; an empty one is an empty mapping. Raises DocumentError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_BYTES:
        raise DocumentError([f"{path}: larger than {MAX_BYTES} bytes; is this the right file?"])
    try:
        loader = _Loader(raw)
        root = loader.get_single_node()
        data = {} if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise DocumentError([_syntax_problem(path, error)]) from error
    except (RecursionError, ValueError) as error:
        # PyYAML lets these through for absurd nesting and for impossible dates.
        raise DocumentError([f"{path}: not usable YAML: {error}"]) from error
    return Document(path, root, data)


def validate(document: Document, model: type[Model]) -> Model:
    """The document as ``model``. Raises DocumentError with every problem, each with its line."""
    if not isinstance(document.data, dict):
        raise DocumentError([document.problem((), "expected 'name: value' lines at the top")])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise DocumentError([_field_problem(document, detail) for detail in error.errors()]) from error


class _Loader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice: YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # as PyYAML has it
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """The line on which ``step`` of ``node`` begins, and its value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    return None


def _syntax_problem(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    cause = getattr(error, "problem", None) or str(error).replace("\n", " ")
    return f"{path}:{mark.line + 1}: {cause}" if mark else f"{path}: {cause}"


def _field_problem(document: Document, detail: Any) -> str:
    # pydantic adds "[key]" to the location of a bad mapping key; no reader knows it by that name.
    location = tuple(step for step in detail["loc"] if step != "[key]")
    cause = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        cause = "unknown name; see the documentation for the names there are"
    return document.problem(location, cause)
