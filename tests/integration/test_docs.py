"""The commands of the first pages print on a real engine what the pages show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Done
from tests.integration.documents import DOCS, Shell, example, reader, section
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import DEFAULT_PORT, ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.install import ensure_documented
from tests.lab.kinds import DEBIANS, new_engine
from tests.lab.wait import wait_until

FIRST, OWN = "first-ten-minutes.md", "own-codes.md"
CATALOGUE = "our-codes.yaml"
ENTRY = "    42: CheckpointCorrupt"
SECONDS = 60
# What differs from run to run: ids, times, sizes.
VARYING = re.compile(r"[0-9a-f]{12,}(-\w+)?|\d[\d.:TZ-]*|(before|after) the end")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the catalogue of the page."""
    made = tmp_path_factory.mktemp("reader")
    (made / CATALOGUE).write_text(example(OWN, "1. Write the file", "yaml"))
    return made


@pytest.fixture(scope="module")
def newcomers_engine() -> Iterator[PrivateEngine]:
    """An engine on which nothing has run, with the image of the pages."""
    ensure_documented()
    with new_engine(DEBIANS) as engine:
        import_busybox(engine.client())
        assert engine.client().images.get(BUSYBOX).tag("busybox")
        yield engine


@pytest.fixture(scope="module")
def exporter(newcomers_engine: PrivateEngine, directory: Path) -> Iterator[ExporterProcess]:
    """An exporter with that catalogue."""
    arguments = ("--catalogue.file", str(directory / CATALOGUE), "--instance.name", "build-7")
    with ExporterProcess(newcomers_engine.url, directory, arguments=arguments) as process:
        yield process


@pytest.fixture(scope="module")
def shell(newcomers_engine: PrivateEngine, exporter: ExporterProcess, directory: Path) -> Iterator[Shell]:
    """A reader's second terminal."""
    with reader(newcomers_engine, directory, EXIT_EXPORTER_URL=exporter.url) as shell:
        yield shell


def as_shown(text: str) -> list[list[str]]:
    """Return the words of each line, without what varies."""
    return [VARYING.sub("#", line).split() for line in text.splitlines()]


def await_output(shell: Shell, command: str, shown: str) -> None:
    """Run a command until it prints what is shown: exits are on record a moment after the end."""
    done: list[Done] = []

    def is_as_shown() -> bool:
        done.append(shell.run(command))
        return as_shown(done[-1].out) == as_shown(shown)

    assert wait_until(is_as_shown, SECONDS), done[-1]


def test_the_first_ten_minutes(shell: Shell, exporter: ExporterProcess) -> None:
    hungry, stopped, ps = section(FIRST, "Two containers, one code", "sh")
    assert shell.run(hungry).code == 137
    assert shell.run(stopped).code == 0
    await_output(shell, ps, example(FIRST, "Two containers, one code", "text"))
    show, explain = section(FIRST, "One of them in full", "sh")
    await_output(shell, show, example(FIRST, "One of them in full", "text"))
    assert shell.run(explain).out.startswith("SIGKILL  if nothing more is known")
    metrics = example(FIRST, "In Prometheus", "sh").replace(f"localhost:{DEFAULT_PORT}", exporter.address)
    await_output(shell, metrics, example(FIRST, "In Prometheus", "text"))


def test_the_environment_of_the_page_is_not_that_of_make() -> None:
    (venv,) = re.findall("-m venv (.+)", example(FIRST, "Install", "sh"))
    assert f"VENV   ?= {venv}\n" not in (DOCS.parent / "Makefile").read_text()
    assert f"{venv}/\n" in (DOCS.parent / ".gitignore").read_text()


def test_a_teams_own_codes(shell: Shell, exporter: ExporterProcess, directory: Path) -> None:
    checked = shell.run(example(OWN, "2. Check it", "sh"))
    assert checked.out == example(OWN, "2. Check it", "text")
    _serve, explain, run = section(OWN, "3. Use it", "sh")
    explained, listed = section(OWN, "3. Use it", "text")
    assert shell.run(explain).out.startswith(explained.removesuffix("...\n"))
    container, ps = run.splitlines()
    assert shell.run(container).code == 42
    await_output(shell, ps, listed)
    assert shell.run(example(OWN, "5. Make a page of it", "sh")).code == 0
    page = (directory / "exit-codes.md").read_text().splitlines()
    assert set(example(OWN, "5. Make a page of it", "text").splitlines()) <= set(page)
    file = directory / CATALOGUE
    file.write_text(file.read_text().replace(ENTRY, ENTRY.replace("42", "43")))
    exporter.reload()
    assert wait_until(lambda: "CheckpointCorrupt" not in shell.run(explain).out, SECONDS)


def test_everything_that_a_catalogue_can_say_is_valid(shell: Shell) -> None:
    (shell.directory / "all.yaml").write_text(example(OWN, "All that a file can say", "yaml"))
    assert shell.run("exit-exporter check all.yaml").code == 0
