"""The real dstack and an exporter on its fleet's host: all runs are submitted side by side, once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from exporter.config.variables import DSTACK_TOKEN
from tests.dstack.outcome import Outcome, run_to_end
from tests.dstack.runs import RUNS
from tests.lab.dstack import SERVER_URL, TOKEN, Dstack
from tests.lab.exporter import ExporterProcess

NO_IMAGE = "no-image"
OUTCOMES = pytest.StashKey[dict[str, Outcome]]()


@pytest.fixture(scope="session")
def dstack() -> Iterator[Dstack]:
    """A dstack server with a fleet of one host."""
    with Dstack() as running:
        yield running


@pytest.fixture(scope="session")
def exporter(dstack: Dstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """The exporter of this tree, with its default settings, on the fleet's host."""
    with ExporterProcess(dstack.engine.url, tmp_path_factory.mktemp("exporter")) as running:
        yield running


@pytest.fixture(scope="session")
def asking(dstack: Dstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """A second exporter there, which also asks dstack's server."""
    directory = tmp_path_factory.mktemp("asking")
    token = {DSTACK_TOKEN: TOKEN}
    arguments = ["--dstack.url", SERVER_URL, "--dstack.interval", "2s"]
    with ExporterProcess(dstack.engine.url, directory, arguments=arguments, environment=token) as running:
        yield running


@pytest.fixture(scope="session")
def ends(dstack: Dstack) -> Path:
    """A folder in which each task keeps the time until it ended."""
    folder = dstack.folder / "ends"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def generated_name(dstack: Dstack, exporter: ExporterProcess, asking: ExporterProcess) -> str:
    """The name that dstack gave a run without one, which ends at once."""
    assert exporter.ready()
    assert asking.ready()
    dstack.run_task(None, "exit 0")
    (name,) = dstack.run_names()
    return name


@pytest.fixture(scope="session")
def outcomes(
    dstack: Dstack, exporter: ExporterProcess, ends: Path, generated_name: str, pytestconfig: pytest.Config
) -> dict[str, Outcome]:
    """All runs by name, after their end."""
    assert generated_name
    dstack.run_task(NO_IMAGE, "exit 0", image="lab/missing:1")
    with ThreadPoolExecutor(len(RUNS)) as threads:
        found = threads.map(lambda run: run_to_end(run, dstack, exporter, ends), RUNS)
        pytestconfig.stash[OUTCOMES] = {outcome.run.name: outcome for outcome in found}
    return pytestconfig.stash[OUTCOMES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what dstack and what the exporter say of each job, side by side."""
    outcomes = config.stash.get(OUTCOMES, {})
    if not outcomes:
        return
    terminalreporter.section("dstack's row and ours")
    text = StringIO()
    Console(file=text, width=150).print(side_by_side(list(outcomes.values())))
    terminalreporter.write(text.getvalue())


def side_by_side(outcomes: list[Outcome]) -> Table:
    """Return the table of dstack's own columns and the exporter's."""
    table = Table("RUN", "DSTACK'S STATUS", "ERROR", "| OUR STATUS", "ERROR", "ATTEMPT", box=None)
    for outcome in outcomes:
        for submission, job in zip(outcome.submissions, outcome.jobs, strict=False):
            row = outcome.run.name, submission["status_message"], submission["error"] or ""
            table.add_row(*row, f"| {job['status']}", job["error"] or "", str(job["attempt"]))
    return table
