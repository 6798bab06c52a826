"""Load settings: flags override variables, variables override the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporter.config.field_types import expand_path
from exporter.config.options import CONFIG_FILE, Option, settings_options
from exporter.config.settings import Settings
from exporter.config.value_problems import cause_of
from exporter.config.yaml_document import DocumentError, read_yaml, validate_document

Layer = dict[str, dict[str, Any]]


class SettingsError(Exception):
    """Settings were refused; each of the ``problems`` is a line that names its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return the settings from all sources; ``flags`` are the given ones, by name.

    Raises SettingsError with all problems of the first source that has any.
    """
    options = list(settings_options())
    variables = {
        option.name: environment[option.variable] for option in options if option.variable in environment
    }
    layers = [
        _file_layer(options[0], flags, variables),
        _named_layer(variables, {option.name: option.variable for option in options}),
        _named_layer(flags, {option.name: option.flag for option in options}),
    ]
    merged: Layer = {}
    for layer in layers:
        for group, values in layer.items():
            merged.setdefault(group, {}).update(values)
    return _validate(merged, {})


def load_settings_file(path: Path) -> Settings:
    """Return the settings of a file alone. Raises SettingsError."""
    return _validate(_read_layer(path), {})


def _file_layer(option: Option, flags: Mapping[str, Any], variables: Mapping[str, str]) -> Layer:
    """Return the layer of the settings file that a flag or a variable names, if any."""
    for place, path in ((option.flag, flags.get(CONFIG_FILE)), (option.variable, variables.get(CONFIG_FILE))):
        if path:
            try:
                file = expand_path(path)
            except ValueError as error:
                raise SettingsError([f"{place}: {error}"]) from error
            return _read_layer(file)
    return {}


def _read_layer(path: Path) -> Layer:
    try:
        document = read_yaml(path)
        validate_document(document, Settings)
    except DocumentError as error:
        raise SettingsError(error.problems) from error
    return {group: dict(values or {}) for group, values in document.data.items()}


def _named_layer(values: Mapping[str, Any], places: Mapping[str, str]) -> Layer:
    """Return the layer of dotted names; it is validated by itself, so that a problem names its place."""
    layer: Layer = {}
    for name, value in values.items():
        if name != CONFIG_FILE:
            group, _, setting = name.partition(".")
            layer.setdefault(group, {})[setting] = value
    _validate(layer, places)
    return layer


def _validate(layer: Mapping[str, Any], places: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(layer)
    except ValidationError as error:
        raise SettingsError([_setting_problem(detail, places) for detail in error.errors()]) from error


def _setting_problem(detail: ErrorDetails, places: Mapping[str, str]) -> str:
    name = ".".join(str(step) for step in detail["loc"][:2])
    cause = cause_of(detail)
    return f"{places.get(name, name)}: {cause}" if name else cause
