"""Images without a registry: made from this machine's busybox, Python and other programs."""

import io
import json
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

import docker
from docker.errors import ImageNotFound

from tests.lab.install import program

BUSYBOX = "busybox:local"
PYTHON = "python:local"

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\n"

NOT_IN_IMAGE = frozenset(
    {"__pycache__", "dist-packages", "idlelib", "site-packages", "test", "tests", "tkinter", "turtledemo"}
)
"""Parts of a Python installation that no job needs; site-packages can have a gigabyte."""

NOT_IN_IMAGE_PATTERNS = ("config-*", "_test*.so", "_tkinter*.so")

PLATFORM_LIBRARIES = (
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
)
"""Libraries that binary wheels (manylinux) and name lookups need, beside those of the interpreter."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def import_busybox(client: docker.DockerClient) -> str:
    """Return the name of an image with a shell and its applets, imported unless it is there.

    It has a file `/not-executable`, for a command that cannot be executed. For one that dies
    of a signal see `tests.lab.jobs.dies_of`.
    """
    if not has_image(client, BUSYBOX):
        with _new_layer() as layer:
            _add_busybox(layer)
            layer.text("/not-executable", "not a program\n")
            layer.send(client, BUSYBOX, ['CMD ["sh"]'])
    return BUSYBOX


def import_python(client: docker.DockerClient) -> str:
    """Return the name of an image with this Python (`venv` works too) and busybox, imported unless there."""
    if not has_image(client, PYTHON):
        with _new_layer() as layer:
            _add_busybox(layer)
            _add_python(layer)
            layer.send(client, PYTHON, ["ENV LANG=C.UTF-8", 'CMD ["python3"]'])
    return PYTHON


@dataclass(frozen=True, slots=True)
class Packed:
    """Program of this machine for an image, with its libraries and at the same path.

    The image runs it with the arguments `command`, which a container can replace unless they are `fixed`.
    The directories `beside` it go along, and everybody may write in the directories `data`.
    """

    executable: Path
    command: Sequence[str] = ()
    fixed: bool = False
    beside: Sequence[Path] = ()
    data: Sequence[str] = ()


def import_program(client: docker.DockerClient, name: str, packed: Packed) -> str:
    """Return the name of an image of a program of this machine, imported unless it is there."""
    if not has_image(client, name):
        with _new_layer() as layer:
            _add_busybox(layer)
            for path in (packed.executable, *_libraries([packed.executable])):
                layer.file(path, path)
            for source in packed.beside:
                layer.tree(PurePosixPath(source), source)
            for directory in packed.data:
                layer.directory(directory, 0o777)
            layer.send(client, name, _start(packed))
    return name


def _start(packed: Packed) -> list[str]:
    """Return the lines of a Dockerfile that say how an image starts its program."""
    command = [str(packed.executable), *packed.command]
    if packed.fixed:
        # A shell ignores what a container appends.
        return [f"ENTRYPOINT {json.dumps(['/bin/sh', '-c', f'exec {shlex.join(command)}', 'sh'])}"]
    return [f"ENTRYPOINT {json.dumps(command[:1])}", f"CMD {json.dumps(command[1:])}"]


def has_image(client: docker.DockerClient, name: str) -> bool:
    """Return whether the engine has an image of this name."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _new_layer() -> Generator["_Layer"]:
    # An unnamed file: a Python with its libraries is too large for memory.
    with tempfile.TemporaryFile() as file, tarfile.open(fileobj=file, mode="w") as tar:
        yield _Layer(file, tar)


class _Layer:
    """Tar file under construction; its files belong to root and are readable for everybody."""

    def __init__(self, file: IO[bytes], tar: tarfile.TarFile) -> None:
        self._file = file
        self._tar = tar
        self._names: set[str] = set()

    def directory(self, path: PurePosixPath | str, mode: int = 0o755) -> None:
        """Add a directory and those above it."""
        target = PurePosixPath(path)
        if str(target) in self._names or target == PurePosixPath("/"):
            return
        self._add(target, tarfile.DIRTYPE, mode)

    def text(self, path: PurePosixPath | str, content: str) -> None:
        """Add a file with this content that is not executable."""
        self._add(PurePosixPath(path), tarfile.REGTYPE, 0o644, content=io.BytesIO(content.encode()))

    def link(self, path: PurePosixPath | str, target: PurePosixPath | str) -> None:
        """Add a symbolic link."""
        self._add(PurePosixPath(path), tarfile.SYMTYPE, 0o777, target=str(target))

    def file(self, path: PurePath | str, source: Path) -> None:
        """Add a copy of the file `source`, or of the file it links to."""
        mode = 0o755 if source.stat().st_mode & 0o111 else 0o644
        with source.open("rb") as content:
            self._add(PurePosixPath(path), tarfile.REGTYPE, mode, content=content)

    def tree(self, path: PurePosixPath, source: Path) -> None:
        """Add copies of all files below `source`, without what no job needs."""
        for entry in sorted(source.iterdir()):
            if _is_wanted(entry):
                target = path / entry.name
                if entry.is_dir():
                    self.tree(target, entry)
                elif entry.is_file():
                    self.file(target, entry)

    def send(self, client: docker.DockerClient, name: str, changes: Sequence[str]) -> None:
        """Import everything that was added as the image `name`."""
        self._tar.close()
        self._file.seek(0)
        repository, _, tag = name.partition(":")
        client.api.import_image_from_data(
            self._file, repository=repository, tag=tag, changes=[f"ENV PATH={SEARCH_PATH}", *changes]
        )

    def _add(
        self,
        path: PurePosixPath,
        kind: bytes,
        mode: int,
        *,
        target: str = "",
        content: IO[bytes] | None = None,
    ) -> None:
        if str(path) in self._names:
            return
        self.directory(path.parent)
        self._names.add(str(path))
        info = tarfile.TarInfo(str(path).lstrip("/"))
        info.type, info.mode, info.linkname = kind, mode, target
        if content is not None:
            info.size = content.seek(0, io.SEEK_END)
            content.seek(0)
        self._tar.addfile(info, content)


def _is_wanted(entry: Path) -> bool:
    return entry.name not in NOT_IN_IMAGE and not any(map(entry.match, NOT_IN_IMAGE_PATTERNS))


def _add_busybox(layer: _Layer) -> None:
    busybox = program("busybox")
    layer.file("/bin/busybox", Path(busybox))
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        layer.link(f"/bin/{applet}", "busybox")
    # Where the first line of scripts looks for it.
    layer.link("/usr/bin/env", "/bin/busybox")
    layer.directory("/tmp", 0o1777)  # noqa: S108 - of the image, where everybody may write
    layer.directory("/root", 0o755)
    layer.text("/etc/passwd", USERS)
    layer.text("/etc/group", GROUPS)


def _add_python(layer: _Layer) -> None:
    home = _Home()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = home.source / "bin" / version
    stdlib = Path(sysconfig.get_path("stdlib"))
    layer.file(home.target / "bin" / version, interpreter)
    for name in ("python3", "python"):
        layer.link(home.target / "bin" / name, version)
    layer.tree(home.place(stdlib), stdlib)
    for library in _libraries([interpreter, *stdlib.rglob("lib-dynload/*.so")]):
        layer.file(home.place(library), library)
    home.leave_forwarding(layer)
    _add_wheels_of_ensurepip(layer)
    if CERTIFICATES.is_file():
        layer.file(CERTIFICATES, CERTIFICATES)


class _Home:
    """Directory of the running Python, here and in an image.

    A distribution's Python stays in /usr, any other moves to /usr/local, as it might be in a
    home that only its owner may enter.
    """

    def __init__(self) -> None:
        self.source = Path(sys.base_prefix)
        self.target = PurePosixPath("/usr" if self.source == Path("/usr") else "/usr/local")

    def place(self, path: Path) -> PurePosixPath:
        """Return the path in the image; what is not the interpreter's own keeps its path."""
        for home in (self.source, self.source.resolve()):
            if path.is_relative_to(home):
                return self.target / path.relative_to(home)
        return PurePosixPath(path)

    def leave_forwarding(self, layer: _Layer) -> None:
        """Link the old path to the new one: it is compiled in, also as the path of a library."""
        for home in (self.source, self.source.resolve()):
            if PurePosixPath(home) != self.target:
                layer.link(PurePosixPath(home), self.target)


def _add_wheels_of_ensurepip(layer: _Layer) -> None:
    # Debian has pip's wheel outside the standard library.
    if directory := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        for wheel in Path(directory).glob("*.whl"):
            layer.file(wheel, wheel)


def _libraries(programs: Sequence[Path]) -> Iterator[Path]:
    """Yield the shared libraries of `programs` with the loader, and those of the platform."""
    answer = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    needed = {Path(word) for line in answer.stdout.splitlines() if (word := _library_of(line))}
    yield from sorted(needed)
    for library in needed:
        if library.name == "libc.so.6":
            beside = (library.with_name(name) for name in PLATFORM_LIBRARIES)
            yield from (path for path in beside if path.exists())


def _library_of(line: str) -> str | None:
    """Return the path in a line of ldd: `name => /path (0x…)`, or `/path (0x…)` for the loader."""
    word = line.partition("=> ")[2] or line.strip()
    path, found, _ = word.partition(" (0x")
    return path if found and path.startswith("/") else None
