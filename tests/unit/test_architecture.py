"""The import direction, as pyproject.toml has it in contracts; and that breaking one would be noticed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOWNWARDS = "Imports point downwards only"
CLIENT = "The command line knows the API, not the store"
MESSAGES = "Only engines know engines' messages"


def verdicts(directory: Path) -> dict[str, str]:
    """Hold the package in this directory against its contracts; give each with KEPT or BROKEN."""
    command = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [command, "--no-cache", "--no-logo"], cwd=directory, capture_output=True, text=True, check=False
    )
    found = dict(re.findall(r"^(.+) (KEPT|BROKEN)$", ran.stdout, re.MULTILINE))
    assert found, ran.stdout + ran.stderr
    assert ran.returncode == int("BROKEN" in found.values())
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to be spoilt."""
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_points_the_way_it_should() -> None:
    assert verdicts(ROOT) == {DOWNWARDS: "KEPT", CLIENT: "KEPT", MESSAGES: "KEPT"}


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("model.py", "import exporter.classify", {DOWNWARDS}),
        ("classify.py", "import exporter.track", {DOWNWARDS}),
        ("store/rows.py", "import exporter.web", {DOWNWARDS}),
        ("telemetry/ledger.py", "import exporter.store", {DOWNWARDS}),
        ("engines/docker.py", "import exporter.evidence", {DOWNWARDS}),
        ("cli/ps.py", "import exporter.store", {CLIENT}),
        ("cli/client.py", "import exporter.pipeline", {CLIENT}),
        ("pipeline.py", "import exporter.engines.docker", {MESSAGES}),
        ("track.py", "import exporter.engines.docker_messages", {MESSAGES}),
        ("web/api.py", "from exporter.engines.docker_messages import snapshot", {MESSAGES}),
    ],
)
def test_a_wrong_import_would_be_noticed(copy: Path, module: str, line: str, broken: set[str]) -> None:
    with (copy / "exporter" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert {contract for contract, verdict in verdicts(copy).items() if verdict == "BROKEN"} == broken


def test_a_module_without_a_place_in_the_house_would_be_noticed(copy: Path) -> None:
    (copy / "exporter" / "attic.py").write_text('"""No layer names it."""\n')
    assert {contract for contract, verdict in verdicts(copy).items() if verdict == "BROKEN"} == {DOWNWARDS}


def test_an_untouched_copy_is_as_good_as_the_package(copy: Path) -> None:
    assert verdicts(copy) == verdicts(ROOT)
