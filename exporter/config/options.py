"""Every setting as a flag and a variable.

``group.name`` is ``--group.name`` as a flag and ``EXIT_EXPORTER_GROUP_NAME`` as a variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from exporter.config.duration import format_duration
from exporter.config.settings import Settings, SettingsGroup
from exporter.config.variables import OTHER_VARIABLES, PREFIX

CONFIG_FILE = "config.file"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a flag and a variable."""

    name: str
    help: str
    default: str
    multiple: bool = False
    is_flag: bool = False

    @property
    def flag(self) -> str:
        """``--group.name``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """``EXIT_EXPORTER_GROUP_NAME``."""
        return PREFIX + self.name.upper().replace(".", "_").replace("-", "_")


def settings_options() -> Iterator[Option]:
    """Yield the option of the settings file, then those of all settings in the order of declaration."""
    yield Option(CONFIG_FILE, "Settings file, in YAML.", "")
    for group, field in Settings.model_fields.items():
        model = cast("type[SettingsGroup]", field.annotation)
        for name, setting in model.model_fields.items():
            yield Option(
                name=f"{group}.{setting.alias or name}",
                help=setting.description or "",
                default=_format_default(setting.get_default()),
                multiple=setting.annotation == tuple[str, ...],
                is_flag=setting.annotation is bool,
            )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables with our prefix that are no setting."""
    known = {option.variable for option in settings_options()} | OTHER_VARIABLES
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _format_default(default: object) -> str:
    match default:
        case tuple():
            return ",".join(str(item) for item in default)
        case bool():
            return str(default).lower()
        case float():
            return format_duration(default)
        case None:
            return ""
        case _:
            return str(default) if isinstance(default, (str, int)) else ""
