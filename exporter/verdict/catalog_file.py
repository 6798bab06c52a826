"""Catalog files: the built-in ``reasons.yaml``, and the user's file of the same shape on top of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from exporter.config import yaml_document
from exporter.config.yaml_document import Document, DocumentError, read_yaml, validate_document
from exporter.exit_codes import MAX_CODE
from exporter.verdict.catalog import CodeReasons, Reason, ReasonCatalog, ReasonName

_FAST_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
BUILTIN = Path(__file__).with_name("reasons.yaml")


def _expand(value: object) -> object:
    """Turn the short form ``42: Name`` into ``42: {reason: Name}``."""
    return {"reason": value} if isinstance(value, str) else value


Code = Annotated[int, Field(strict=True, ge=0, le=MAX_CODE)]
Codes = dict[Code, Annotated[CodeReasons, BeforeValidator(_expand)]]


class CatalogFile(BaseModel):
    """Shape of a catalog file. ``workloads`` and ``images`` have shell patterns as keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: dict[ReasonName, Reason] = {}
    codes: Codes = {}
    workloads: dict[str, Codes] = {}
    images: dict[str, Codes] = {}


@cache
def builtin_catalog() -> ReasonCatalog:
    """Return the catalog of ``reasons.yaml``."""
    # It needs no line numbers for its problems, and libyaml reads it in a sixth of the time.
    data = yaml.load(BUILTIN.read_text(encoding="utf-8"), _FAST_LOADER)  # noqa: S506  # a safe one
    file = CatalogFile.model_validate(data)
    return ReasonCatalog(file.reasons, file.codes, {}, {})


def load_catalog(path: Path | None) -> ReasonCatalog:
    """Return the built-in catalog with the user's file on top; only the former if ``path`` is None.

    Raises DocumentError with every problem of the file.
    """
    base = builtin_catalog()
    if path is None:
        return base
    document = read_yaml(path)
    file = validate_document(document, CatalogFile)
    reasons = {**base.reasons, **file.reasons}
    problems = list(_problems(document, file, reasons))
    if problems:
        raise DocumentError(problems)
    return ReasonCatalog(reasons, {**base.codes, **file.codes}, file.workloads, file.images)


def _problems(document: Document, file: CatalogFile, reasons: Mapping[str, Reason]) -> Iterator[str]:
    for name in file.reasons:
        known = builtin_catalog().canonical(name) or name
        if known != name:
            yield document.problem(("reasons", name), f"differs only in case from the known reason {known}")
    for location, codes in _code_tables(file):
        for code, code_reasons in codes.items():
            place: yaml_document.Location = (*location, code)
            if code == 0:
                yield document.problem(place, "code 0 is always Completed and cannot be renamed")
            for name in sorted(code_reasons.all_reasons() - reasons.keys()):
                yield document.problem(place, _undescribed(name))


def _code_tables(file: CatalogFile) -> Iterator[tuple[tuple[str, ...], Mapping[int, CodeReasons]]]:
    yield ("codes",), file.codes
    for section, tables in (("workloads", file.workloads), ("images", file.images)):
        for pattern, codes in tables.items():
            yield (section, pattern), codes


def _undescribed(name: str) -> str:
    known = builtin_catalog().canonical(name)
    if known is not None:
        return f"reason {name} is not known; did you mean {known}?"
    return f"reason {name} is described nowhere; add it under 'reasons:' with a meaning"
