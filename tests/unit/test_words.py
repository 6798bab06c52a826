"""The catalogue in use."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config.yaml_document import DocumentError
from exporter.model import Workload
from exporter.verdict.catalog import ExitContext
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.reloadable_catalog import ReloadableCatalog

GOOD = """
reasons:
  CheckpointCorrupt: {meaning: The checkpoint cannot be read.}
codes: {42: CheckpointCorrupt}
"""
BAD = "codes:\n  43: Error\n  42: CheckpointCorrupt\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue is, a good one."""
    file = tmp_path / "catalogue.yaml"
    file.write_text(GOOD)
    return file


def word(catalog: ReloadableCatalog, code: int) -> str:
    return catalog.current.reason_for(code, ExitContext.CODE_ONLY, Workload("", ""))


def refusal(path: Path) -> str:
    return (
        f"{path}:3: codes.42: reason CheckpointCorrupt is described nowhere; "
        "add it under 'reasons:' with a meaning"
    )


def test_the_catalogue_is_taken_at_the_start(path: Path) -> None:
    assert word(ReloadableCatalog(path), 42) == "CheckpointCorrupt"


def test_nobody_starts_on_a_bad_catalogue(path: Path) -> None:
    path.write_text(BAD)
    with pytest.raises(DocumentError) as refused:
        ReloadableCatalog(path)
    assert refused.value.problems == [refusal(path)]


def test_a_changed_file_counts_only_once_it_is_asked_for(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    path.write_text(GOOD + "workloads: {train: {42: Error}}\nimages: {}\n")
    before = catalog.current
    assert catalog.current is before
    with capture_logs() as said:
        catalog.reload()
    assert catalog.current.reason_for(42, ExitContext.CODE_ONLY, Workload("train", "")) == "Error"
    assert said == [{"event": "catalogue loaded", "log_level": "info", "file": str(path)}]


def test_a_bad_file_is_refused_whole_and_the_one_before_stays(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    before = catalog.current
    path.write_text(BAD)
    with capture_logs() as said, pytest.raises(DocumentError) as refused:
        catalog.reload()
    assert refused.value.problems == [refusal(path)]
    assert catalog.current is before
    assert (word(catalog, 42), word(catalog, 43)) == ("CheckpointCorrupt", "Error")
    assert said == [
        {
            "event": "catalogue file rejected, keeping the previous one",
            "log_level": "warning",
            "problems": [refusal(path)],
        }
    ]


def test_a_file_that_has_gone_leaves_the_catalogue_as_it_was(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    path.unlink()
    with pytest.raises(DocumentError) as refused:
        catalog.reload()
    assert refused.value.problems == [f"{path}: cannot be read: No such file or directory"]
    assert word(catalog, 42) == "CheckpointCorrupt"


def test_after_a_refusal_a_good_file_is_taken_again(path: Path) -> None:
    catalog = ReloadableCatalog(path)
    path.write_text(BAD)
    with pytest.raises(DocumentError, match=r"described nowhere"):
        catalog.reload()
    path.write_text("codes: {42: TimedOut}\n")
    catalog.reload()
    assert word(catalog, 42) == "TimedOut"


def test_without_a_file_a_reload_takes_ours_again() -> None:
    catalog = ReloadableCatalog(None)
    with capture_logs() as said:
        catalog.reload()
    assert catalog.current is builtin_catalog()
    assert said == [{"event": "catalogue loaded", "log_level": "info", "file": "built in"}]
