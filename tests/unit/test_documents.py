"""YAML files: read, or refused with file, line and cause."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from exporter.config.yaml_document import MAX_FILE_BYTES, DocumentError, read_yaml, validate_document


class Shelf(BaseModel):
    """A model for these tests."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    books: tuple[str, ...] = ()
    places: dict[int, str] = {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a test's file."""
    return tmp_path / "shelf.yaml"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the files that Hypothesis makes up."""
    return tmp_path_factory.mktemp("documents") / "any.yaml"


def problems(path: Path) -> list[str]:
    """Return the problems of a file that is refused."""
    with pytest.raises(DocumentError) as refused:
        validate_document(read_yaml(path), Shelf)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_a_file_is_read(path: Path) -> None:
    path.write_text("name: mine\nbooks: [a, b]\nplaces:\n  1: here\n")
    assert read_yaml(path).data == {"name": "mine", "books": ["a", "b"], "places": {1: "here"}}


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "---\n", "null\n"])
def test_an_empty_file_is_an_empty_mapping(path: Path, text: str) -> None:
    path.write_text(text)
    assert validate_document(read_yaml(path), Shelf) == Shelf()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_in_any_script_is_read(path: Path, encoding: str) -> None:
    path.write_text("name: 日本 Zoë 🐟\n", encoding=encoding)
    assert read_yaml(path).data == {"name": "日本 Zoë 🐟"}


def test_a_file_that_cannot_be_read_is_refused(path: Path, tmp_path: Path) -> None:
    assert problems(path) == [f"{path}: cannot be read: No such file or directory"]
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]
    path.touch()
    assert problems(path / "more.yaml") == [f"{path / 'more.yaml'}: cannot be read: Not a directory"]


def test_a_file_of_more_than_a_megabyte_is_refused(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"#" * MAX_FILE_BYTES)
    assert read_yaml(path).data == {}
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    endless = tmp_path / "endless.yaml"
    endless.symlink_to("/dev/zero")
    for file in (path, endless):
        assert problems(file) == [f"{file}: larger than 1048576 bytes; is this the right file?"]


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert problems(path) == [
        f"{path}: cannot be read: it is a pipe, which can be read only once; give a file"
    ]


@pytest.mark.parametrize("nest", ["[", "{a: ", "- "])
def test_a_file_nested_too_deeply_is_refused(path: Path, nest: str) -> None:
    path.write_text(nest * 20_000)
    assert problems(path) == [f"{path}: nested too deeply"]


def test_a_number_of_thousands_of_digits_is_refused(path: Path) -> None:
    digits = "9" * 5000
    path.write_text(f"name: mine\nplaces: {digits}\n")
    assert problems(path) == [f"{path}:2: {digits[:40]!r} is not a usable int"]


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 1),
        (("name",), 2),
        (("books",), 4),
        (("books", 0), 5),
        (("books", 1), 6),
        (("books", 2), 4),
        (("places",), 8),
        (("places", 1), 9),
        (("places", 16), 10),
        (("places", 17), 8),
        (("places", 1, "deeper"), 9),
        (("absent",), 1),
        (("absent", "deeper"), 1),
    ],
)
def test_a_location_has_the_line_of_its_innermost_part(
    path: Path, location: tuple[str | int, ...], line: int
) -> None:
    path.write_text("# a shelf\nname: mine\n\nbooks:\n  - a\n  - b\n\nplaces:\n  1: here\n  0x10: there\n")
    assert read_yaml(path).line(location) == line


def test_a_problem_has_file_line_place_and_cause(path: Path) -> None:
    path.write_text("books:\n  - a\n  - b\n")
    document = read_yaml(path)
    assert document.problem(("books", 1), "is lost") == f"{path}:3: books.1: is lost"
    assert document.problem((), "is lost") == f"{path}:1: is lost"


def test_all_problems_are_reported_together(path: Path) -> None:
    path.write_text("name: [mine]\nbooks:\n  - a\n  - 5\npages: 9\nplaces:\n  1: here\n  two: there\n")
    assert sorted(problems(path)) == [
        f"{path}:1: name: must be text; put it in quotes",
        f"{path}:4: books.1: must be text; put it in quotes",
        f"{path}:5: pages: unknown name; valid are: name, books, places",
        f"{path}:8: places.two: 'two' is not a whole number",
    ]


@pytest.mark.parametrize("text", ["- a\n", "a\n", "42\n", "!!set {a, b}\n", '""\n', "true\n", "0\n"])
def test_only_a_mapping_is_accepted(path: Path, text: str) -> None:
    path.write_text(f"# a shelf\n{text}")
    assert problems(path) == [f"{path}:1: expected 'name: value' lines at the top"]


def assert_read_or_refused(path: Path) -> None:
    """Assert that a file is read, or refused with problems that name it."""
    try:
        validate_document(read_yaml(path), Shelf)
    except DocumentError as error:
        assert error.problems  # noqa: PT017  # both are good, any other error is not
        assert all(problem.startswith(f"{path}:") for problem in error.problems)  # noqa: PT017


@given(st.binary())
def test_arbitrary_bytes_are_read_or_refused(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    assert_read_or_refused(scratch)


WORDS = ["name", "books", "places", "a", "1", "0x1", "on", "é", "---", "...", "%YAML 1.1"]
SIGNS = ["'", '"', *"|>=%@`:[]{}", "<<", ": ", "- ", ", ", "? ", "&a ", "*a"]
SPACES = ["\n", "\n  ", "\n    ", "\t", "#", " ", "\\"]
TYPES = ["int", "bool", "float", "timestamp", "binary", "set", "omap", "pairs", "null", "map", "seq"]
SCALARS = ["2026-13-45", "1:30", ".inf", ".nan", "0b_", "1_000", "~"]
FRAGMENTS = st.sampled_from([*WORDS, *SIGNS, *SPACES, *SCALARS, *(f"!!{kind} " for kind in TYPES)])


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
@example('name: !!int ""')
@example('name: !!float ""')
@example("name: !!bool maybe")
@example("name: !!timestamp soon")
@example("name: 2026-13-45")
@example("name: 0b_")
@example("name: !!map [a]")
@example("name: !!int [a]")
@example("name: !!map x")
@example("? !!map x\n: y")
@example("? !!set x\n: y")
@example("? !!omap x\n: y")
def test_odd_yaml_is_read_or_refused(scratch: Path, text: str) -> None:
    scratch.write_text(text, encoding="utf-8")
    assert_read_or_refused(scratch)
