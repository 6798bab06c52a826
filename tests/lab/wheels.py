"""The project's own image, built from a source tree; with wheels it needs no network."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import docker

from tests.lab.errors import LabError
from tests.lab.process import tail

SOURCE = Path(__file__).resolve().parents[2]
PROJECT_FILES = ("pyproject.toml", "requirements", "README.md", "LICENSE", "exporter")
CONTEXT = ("Dockerfile", ".dockerignore", *PROJECT_FILES)
WHEELS = "wheels"


def build_wheels(directory: Path, source: Path = SOURCE) -> Path:
    """Download the wheels that the project needs to be built and to run into `directory`.

    They are those of `requirements/`, for the running Python, from wherever this machine's
    pip takes them. Returns `directory`; raises `LabError` with pip's output.
    """
    command: list[str | Path] = [sys.executable, "-m", "pip", "download", "--dest", directory]
    command += ["--require-hashes", "--only-binary", ":all:"]
    for name in ("build", "image"):
        command += ["--requirement", source / "requirements" / f"{name}.txt"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"pip cannot get the wheels:\n{tail(answer.stdout + answer.stderr)}")
    return directory


def build_image(  # noqa: PLR0913  # each is a thing of its own
    client: docker.DockerClient,
    base: str,
    tag: str,
    wheels: Path | None = None,
    *,
    source: Path = SOURCE,
    provenance: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Build the project's Dockerfile on the image `base`, with the classic builder; return the image's id.

    With a directory of `wheels` the build has no network and no package index. Raises
    `LabError` with the end of the build's log.
    """
    arguments = {"BASE": base, **provenance}
    if wheels is not None:
        arguments |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/src/{WHEELS}"}
    with tempfile.TemporaryFile() as context:
        _write_context(context, source, wheels)
        context.seek(0)
        steps = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs=arguments,
            network_mode=None if wheels is None else "none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(steps)
    return str(client.images.get(tag).id)


def _write_context(file: IO[bytes], source: Path, wheels: Path | None) -> None:
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in CONTEXT:
            tar.add(source / name, name, filter=_source_only)
        if wheels is not None:
            tar.add(wheels, WHEELS)


def _source_only(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(member.name).name == "__pycache__" else member


def _follow(steps: Iterator[dict[str, Any]]) -> None:
    """Read the build to its end; raise `LabError` at its error."""
    log: list[str] = []
    for step in steps:
        log.append(str(step.get("stream", "")))
        if "error" in step:
            raise LabError(f"the image does not build: {step['error']}\n{tail(''.join(log))}")
