"""Reload of the reason catalog."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config.yaml_document import DocumentError
from exporter.verdict.catalog import NO_WORKLOAD, ExitContext
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.reloadable_catalog import ReloadableCatalog

GOOD = "reasons: {CheckpointCorrupt: {meaning: It cannot be read.}}\ncodes: {42: CheckpointCorrupt}\n"
BAD = "codes:\n  43: Error\n  42: CheckpointCorrupt\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Create a good catalog file."""
    file = tmp_path / "catalogue.yaml"
    file.write_text(GOOD)
    return file


def reason(catalog: ReloadableCatalog, code: int) -> str:
    """Return the current reason of a code."""
    return catalog.current.reason_for(code, ExitContext.CODE_ONLY, NO_WORKLOAD)


def undescribed(path: Path) -> list[str]:
    """Return the problems of the bad file."""
    problem = "reason CheckpointCorrupt is described nowhere; add it under 'reasons:' with a meaning"
    return [f"{path}:3: codes.42: {problem}"]


def test_a_daemon_does_not_start_with_a_bad_file(path: Path) -> None:
    path.write_text(BAD)
    with pytest.raises(DocumentError) as refused:
        ReloadableCatalog(path)
    assert refused.value.problems == undescribed(path)


def test_a_changed_file_applies_after_a_reload(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    path.write_text("codes: {42: TimedOut}\n")
    assert reason(catalog, 42) == "CheckpointCorrupt"
    with capture_logs() as lines:
        catalog.reload()
    assert reason(catalog, 42) == "TimedOut"
    assert lines == [{"event": "catalogue loaded", "log_level": "info", "file": str(path)}]


def test_a_bad_file_leaves_the_catalog_unchanged_until_it_is_good(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    before = catalog.current
    path.write_text(BAD)
    with capture_logs() as lines, pytest.raises(DocumentError) as refused:
        catalog.reload()
    assert refused.value.problems == undescribed(path)
    assert catalog.current is before
    assert (reason(catalog, 42), reason(catalog, 43)) == ("CheckpointCorrupt", "Error")
    message = "catalogue file rejected, keeping the previous one"
    assert lines == [{"event": message, "log_level": "warning", "problems": undescribed(path)}]
    path.write_text("codes: {42: TimedOut}\n")
    catalog.reload()
    assert reason(catalog, 42) == "TimedOut"


def test_a_missing_file_leaves_the_catalog_unchanged(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    path.unlink()
    with pytest.raises(DocumentError) as refused:
        catalog.reload()
    assert refused.value.problems == [f"{path}: cannot be read: No such file or directory"]
    assert reason(catalog, 42) == "CheckpointCorrupt"


def test_without_a_file_the_catalog_stays_the_built_in_one() -> None:
    catalog = ReloadableCatalog(None)
    with capture_logs() as lines:
        catalog.reload()
    assert catalog.current is builtin_catalog()
    assert lines == [{"event": "catalogue loaded", "log_level": "info", "file": "built in"}]
