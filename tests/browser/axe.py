"""Deque's axe-core, which finds faults of accessibility: fetched once, and kept in the user's cache."""

import base64
import hashlib
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.lab.errors import LabError
from tests.lab.install import program

VERSION = "4.14.1"
INTEGRITY = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""SHA-512 of the package."""

SERIOUS = ("serious", "critical")
OPTIONS = {"resultTypes": ["violations"], "selectors": False}
"""What is not found to be a fault is not described either, which takes longer than finding it."""


def faults(page: Page) -> list[str]:
    """Return the serious faults of a page, each with the first element that has it."""
    # As a file of the page it would need an exception of its content security policy; so it is evaluated.
    page.evaluate(script())
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", OPTIONS)
    return [
        f"{fault['id']}: {fault['help']}: {fault['nodes'][0]['html']}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
    ]


def script() -> str:
    """Return the script; it is fetched from the npm registry if it is not in the cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    package = base / "exit-exporter" / f"axe-core-{VERSION}.tgz"
    if not package.exists():
        _fetch(package)
    _check(package)
    with tarfile.open(package) as archive:
        file = archive.extractfile("package/axe.min.js")
        if file is None:
            raise LabError(f"{package}: no axe.min.js in it")
        return file.read().decode()


def _fetch(package: Path) -> None:
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.parent) as folder:
        command = [program("npm"), "pack", f"axe-core@{VERSION}", "--pack-destination", folder]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
        if done.returncode != 0:
            raise LabError(f"npm cannot fetch axe-core {VERSION}: {done.stderr[-1000:]}")
        (Path(folder) / package.name).rename(package)


def _check(package: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        package.unlink()
        raise LabError(f"{package.name} is not axe-core {VERSION}: its SHA-512 is {digest}")
