"""What the project is made of: pinned with hashes, which pip holds, and listed in an SBOM."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter import __version__

ROOT = Path(__file__).parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
_PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ;[^\\]*)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Return the versions in a file of requirements, by package."""
    return {normal(name): version for name, version, _ in _PIN.findall(text)}


def constraints() -> dict[str, str]:
    """Return the versions in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_everything_has_the_version_of_the_constraints() -> None:
    files = {path.name: pins(path.read_text(encoding="utf-8")) for path in REQUIREMENTS}
    assert files.keys() == {"build.txt", "dev.txt", "image.txt"}
    assert files["dev.txt"] == constraints()
    assert files["image.txt"].items() | files["build.txt"].items() <= files["dev.txt"].items()


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_a_file_of_requirements_has_pins_with_hashes_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rest = _PIN.sub("", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
    assert rest.strip() == ""


@pytest.mark.parametrize("is_changed", [False, True], ids=["as released", "changed"])
def test_pip_takes_only_the_files_that_were_pinned(is_changed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    text = (ROOT / "requirements" / "build.txt").read_text(encoding="utf-8")
    if is_changed:
        text = re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", text)
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    command: list[str | Path] = [sys.executable, "-m", "pip", "download", "--no-cache-dir"]
    command += ["--require-hashes", "--dest", tmp_path]
    done = subprocess.run(
        [*command, "-r", tmp_path / "requirements.txt"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "DO NOT MATCH THE HASHES" in done.stderr) == (int(is_changed), is_changed), (
        done.stderr
    )


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    """What ``make sbom`` writes."""
    variables = ["PYTHON=" + sys.executable, "VENV=" + sys.prefix]
    subprocess.run(["make", "--directory", ROOT, "sbom", *variables], check=True, capture_output=True)
    document: dict[str, Any] = json.loads((ROOT / "build" / "sbom.json").read_text(encoding="utf-8"))
    return document


def test_the_sbom_is_valid_and_lists_what_the_image_has(sbom: dict[str, Any]) -> None:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415  # with the other
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415  # takes seconds, in each worker

    version = SchemaVersion.from_version(sbom["specVersion"])
    assert JsonStrictValidator(version).validate_str(json.dumps(sbom)) is None
    described = sbom["metadata"]["component"]
    assert (described["name"], described["version"], described["type"]) == (
        "exit-exporter",
        __version__,
        "application",
    )
    listed = {normal(each["name"]): each["version"] for each in sbom["components"]}
    assert listed == pins((ROOT / "requirements" / "image.txt").read_text(encoding="utf-8"))
    (graph,) = (each["dependsOn"] for each in sbom["dependencies"] if each["ref"] == described["bom-ref"])
    assert {"bcrypt", "starlette"} <= {ref.partition("==")[0] for ref in graph}
