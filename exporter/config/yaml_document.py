"""YAML files written by people, validated as a whole; each problem has its file and line."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config.file_start import read_file_start
from exporter.config.value_problems import cause_of

MAX_FILE_BYTES = 1 << 20

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]


class DocumentError(Exception):
    """A file was refused; each of the ``problems`` is a line ``file:line: place: cause``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Document:
    """A parsed YAML file, with the line of each of its parts.

    ``keys`` are the values of the key nodes, by the id of the node: ``0x2A`` is the key 42.
    """

    def __init__(self, path: Path, root: yaml.Node | None, keys: Mapping[int, object], data: Any) -> None:
        self.path = path
        self._root = root
        self._keys = keys
        self.data = data

    def line(self, location: Location) -> int:
        """Return the line (from 1) of the innermost part of ``location`` that exists in the file."""
        node, line = self._root, 1
        for step in location:
            child = self._child(node, step)
            if child is None:
                break
            line, node = child
        return line

    def problem(self, location: Location, cause: str) -> str:
        """Return a problem in the form in which all are shown."""
        place = ".".join(str(step) for step in location)
        return f"{self.path}:{self.line(location)}: {place + ': ' if place else ''}{cause}"

    def _child(self, node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
        """Return the first line of ``step`` of ``node``, and its value."""
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(self._keys.get(id(key), key.value)) == str(step):
                    return key.start_mark.line + 1, value
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item = node.value[step]
            return item.start_mark.line + 1, item
        return None


def read_yaml(path: Path) -> Document:
    """Parse a YAML file; an empty one is an empty mapping. Raises DocumentError."""
    text = _read_text(path)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise DocumentError([_syntax_problem(path, text, error)]) from error
    except ValueError as error:
        # PyYAML constructs odd tags (a set, pairs) late, and without a position.
        raise DocumentError([f"{path}: not usable YAML: {error}"]) from error
    except RecursionError as error:
        raise DocumentError([f"{path}: nested too deeply"]) from error
    return Document(path, root, loader.keys, {} if data is None else data)


def validate_document(document: Document, model: type[Model]) -> Model:
    """Return the document as ``model``. Raises DocumentError with all problems."""
    if not isinstance(document.data, dict):
        raise DocumentError([document.problem((), "expected 'name: value' lines at the top")])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = [_field_problem(document, model, detail) for detail in error.errors()]
        raise DocumentError(problems) from error


# In YAML 1.1, 010 is eight and 1:30 is ninety.
_INT_TAG = "tag:yaml.org,2002:int"
_AMBIGUOUS_INT = re.compile(r"[-+]?(0[0-9_]+|[0-9]+:.*)")
# Escapes in quotes can write these; no path can have them, and no output a lone surrogate.
_UNUSABLE_CHARACTER = re.compile(r"[\0\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses text which YAML silently reads as something else."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.keys: dict[int, object] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: a few lines of them can expand to more than fits into memory."""
        if self.check_event(yaml.AliasEvent):
            cause = "aliases are not supported; repeat the value instead"
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refusal(event.start_mark, cause)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # as PyYAML has it
        """Refuse ambiguous numbers and unusable text, and give other failures a position in the file."""
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _refusal(node.start_mark, f"{str(node.value)[:40]!r} is not a usable {kind}") from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Refuse duplicate keys, of which YAML keeps the last, and keys that it reads as booleans."""
        if not isinstance(node, yaml.MappingNode):
            # Text or a list with the tag of a mapping; PyYAML has an error for it.
            return super().construct_mapping(node, deep)
        seen: set[object] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal(key.start_mark, "a key must be plain text")
            value = self.keys[id(key)] = self.construct_object(key, deep=True)
            if isinstance(value, bool):
                cause = f"YAML reads {key.value!r} as {str(value).lower()}; put it in quotes"
                raise _refusal(key.start_mark, cause)
            if not isinstance(value, Hashable):
                raise _refusal(key.start_mark, "a key must be plain text")
            if value in seen:
                raise _refusal(key.start_mark, f"{key.value!r} is given twice")
            seen.add(value)
        return super().construct_mapping(node, deep)


def _check_scalar(node: yaml.ScalarNode) -> None:
    if found := _UNUSABLE_CHARACTER.search(node.value):
        raise _refusal(node.start_mark, f"the character {found[0]!r} cannot be part of a text")
    if node.tag == _INT_TAG and _AMBIGUOUS_INT.fullmatch(node.value):
        raise _refusal(node.start_mark, f"{node.value!r}: write it as a plain decimal number")


def _refusal(mark: yaml.Mark, cause: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, cause, mark)


def _read_text(path: Path) -> str:
    try:
        raw = read_file_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DocumentError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_FILE_BYTES:
        raise DocumentError([f"{path}: larger than {MAX_FILE_BYTES} bytes; is this the right file?"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DocumentError([f"{path}:{line}: not UTF-8 text"]) from error


def _syntax_problem(path: Path, text: str, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{path}:{line}: unacceptable character #x{error.character:04x}: {error.reason}"
    mark = getattr(error, "problem_mark", None)
    cause = getattr(error, "problem", None) or str(error).replace("\n", " ")
    return f"{path}:{mark.line + 1}: {cause}" if mark else f"{path}: {cause}"


def _field_problem(document: Document, model: type[BaseModel], detail: ErrorDetails) -> str:
    # pydantic adds "[key]" to the location of a bad mapping key; it is no part of the file.
    location = tuple(step for step in detail["loc"] if step != "[key]")
    if detail["type"] == "extra_forbidden":
        cause = _unknown_name(str(location[-1]), _names_at(model, location[:-1]))
    else:
        cause = cause_of(detail)
    return document.problem(location, cause)


def _unknown_name(name: str, valid: Sequence[str]) -> str:
    group, dot, setting = name.partition(".")
    if dot and group in valid:
        return f"names are joined by dots only in flags; in a file, write '{setting}:' below '{group}:'"
    return f"unknown name; valid are: {', '.join(valid)}"


def _names_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the names that are valid at a place in a document."""
    found: Any = model
    for step in location:
        is_model = isinstance(found, type) and issubclass(found, BaseModel)
        inner = found.model_fields[str(step)].annotation if is_model else get_args(found)[-1]
        found = _without_metadata(inner)
    return [field.alias or name for name, field in found.model_fields.items()]


def _without_metadata(annotation: Any) -> Any:
    """Return the type within ``Annotated``, and the one that is not None of an optional type."""
    if get_origin(annotation) is Annotated:
        return _without_metadata(get_args(annotation)[0])
    given = [each for each in get_args(annotation) if each is not type(None)]
    return given[0] if get_origin(annotation) in (Union, UnionType) and len(given) == 1 else annotation
