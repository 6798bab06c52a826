"""Bad files, each with a text file of the problems for which it is refused."""

from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "bad_files"


@dataclass(frozen=True)
class BadFile:
    """A file that is refused; ``path`` is relative to the corpus, as in its problems."""

    path: Path
    problems: list[str]


def bad_files(kind: str) -> list[BadFile]:
    """Return the bad files of a kind; each must have its text file, and no text file may be left over."""
    names = {path.with_suffix("") for path in (DIRECTORY / kind).iterdir()}
    return [_bad_file(name) for name in sorted(names)]


def _bad_file(name: Path) -> BadFile:
    path = name.with_suffix(".yaml").resolve(strict=True).relative_to(DIRECTORY)
    return BadFile(path, name.with_suffix(".txt").read_text(encoding="utf-8").splitlines())
