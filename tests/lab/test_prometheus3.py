"""Both kinds of Prometheus are what they are called."""

import subprocess

import pytest

from tests.lab.install import program
from tests.lab.prometheus3 import VERSION
from tests.lab.prometheus_kinds import DEBIANS, KINDS, programs_of


@pytest.mark.parametrize("name", ["prometheus", "promtool"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_programs_of_its_version(kind: str, name: str) -> None:
    asked = subprocess.run(
        [program(name, programs_of(kind)), "--version"], capture_output=True, text=True, check=True
    )
    version = (asked.stdout + asked.stderr).split("version ")[1]
    assert version.startswith("2." if kind == DEBIANS else VERSION)
