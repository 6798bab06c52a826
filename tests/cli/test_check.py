"""``check``: whether files would be taken, and what is wrong with each line that would not."""

from pathlib import Path

import pytest

from tests.cli.command import Done, invoke, run
from tests.unit.corpus import DIRECTORY, bad_files

SETTINGS = "log: {level: debug}\nweb:\n  listen-address: 127.0.0.1:0\n"
CATALOGUE = """\
reasons:
  CheckpointCorrupt: {meaning: The checkpoint cannot be read.}
  NoLicence: {meaning: Nobody paid., recovery: retry-later}
codes:
  42: CheckpointCorrupt
workloads:
  shop/*: {43: NoLicence}
"""
LEVELS = "'debug', 'info', 'warning' or 'error'"
UNDESCRIBED = "reason Nowhere is described nowhere; add it under 'reasons:' with a meaning"
ONLY_SQLITE = "only a SQLite file is supported; example: sqlite:////var/lib/exits.db"
UNKNOWN = "unknown name; see the documentation for the valid names"


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> str:
    """Write a file where the test is; give its name."""
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SETTINGS, "settings"),
        ("log: {}\n", "settings"),
        (CATALOGUE, "catalogue (2 new reasons)"),
        ("codes: {300: Error}\n", "catalogue (0 new reasons)"),
        ("reasons: {Mine: {meaning: My own.}}\n", "catalogue (1 new reason)"),
        ("reasons: {Error: {meaning: Said otherwise.}}\n", "catalogue (0 new reasons)"),
    ],
)
def test_a_good_file_is_said_to_be_good_and_for_what(text: str, kind: str) -> None:
    assert invoke("check", write("file.yaml", text)) == Done(0, f"file.yaml: good {kind}\n", "")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("catalogue: {file: /nowhere.yaml}\n", "/nowhere.yaml: cannot be read: No such file or directory"),
        (
            "docker: {host: [foo]}\n",
            (
                "docker.host: 'foo' is not the address of an engine; "
                "examples: unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host"
            ),
        ),
        (
            "storage: {url: mysql://db/exits}\n",
            f"file.yaml:1: storage.url: 'mysql://db/exits': {ONLY_SQLITE}",
        ),
    ],
)
def test_settings_with_which_the_daemon_would_not_start_are_bad(text: str, cause: str) -> None:
    assert invoke("check", write("file.yaml", text)) == Done(1, "", f"{cause}\n")


def test_the_installed_command_checks_too() -> None:
    write("settings.yaml", SETTINGS)
    write("catalogue.yaml", CATALOGUE)
    assert run("check", "settings.yaml", "catalogue.yaml") == Done(
        0, "settings.yaml: good settings\ncatalogue.yaml: good catalogue (2 new reasons)\n", ""
    )


def test_one_bad_file_among_good_ones_is_enough_to_fail_and_all_are_told() -> None:
    write("settings.yaml", SETTINGS)
    write("bad.yaml", "log:\n  level: loud\n")
    write("catalogue.yaml", CATALOGUE)
    assert run("check", "bad.yaml", "settings.yaml", "missing.yaml", "catalogue.yaml") == Done(
        1,
        "settings.yaml: good settings\ncatalogue.yaml: good catalogue (2 new reasons)\n",
        f"bad.yaml:2: log.level: Input should be {LEVELS}\n"
        "missing.yaml: cannot be read: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: [1\n", ["file.yaml:2: expected ',' or ']', but got '<stream end>'"]),
        ("- a\n- list\n", ["file.yaml:1: expected 'name: value' lines at the top"]),
        ("just text\n", ["file.yaml:1: expected 'name: value' lines at the top"]),
        ("log: {level: info}\nlog: {level: debug}\n", ["file.yaml:2: 'log' is given twice"]),
        ("colours: red\n", [f"file.yaml:1: colours: {UNKNOWN}"]),
        ("log: {level: info}\nwbe: {listen-address: ':1'}\n", [f"file.yaml:2: wbe: {UNKNOWN}"]),
        ("codes: {42: Error}\nworklodas: {}\n", [f"file.yaml:2: worklodas: {UNKNOWN}"]),
        (
            "codes:\n  42: Nowhere\n  0: Completed\n",
            [
                f"file.yaml:2: codes.42: {UNDESCRIBED}",
                "file.yaml:3: codes.0: code 0 is always Completed and cannot be renamed",
            ],
        ),
    ],
)
def test_every_line_that_is_wrong_is_named(text: str, problems: list[str]) -> None:
    done = invoke("check", write("file.yaml", text))
    assert Done(done.code, done.out, "".join(sorted(done.err.splitlines(keepends=True)))) == Done(
        1, "", "".join(f"{problem}\n" for problem in sorted(problems))
    )


@pytest.mark.parametrize("kind", ["settings", "catalogue"])
def test_of_every_bad_file_the_same_is_said_as_when_it_is_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DIRECTORY)
    said, expected = {}, {}
    for bad in bad_files(kind):
        done = invoke("check", str(bad.path))
        assert (done.code, done.out) == (1, "")
        said[bad.path.name] = sorted(done.err.splitlines())
        expected[bad.path.name] = sorted(bad.problems)
    assert said == expected


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    expected = Done(1, "", f"{tmp_path}: cannot be read: Is a directory\n")
    assert invoke("check", str(tmp_path)) == expected


def test_an_empty_file_is_good_for_anything() -> None:
    done = invoke("check", write("empty.yaml", "# all is commented out\n"))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("empty.yaml: good ")


def test_without_a_file_there_is_nothing_to_check() -> None:
    usage = "Usage: exit-exporter check [OPTIONS] FILES...\nTry 'exit-exporter check --help' for help.\n\n"
    assert run("check") == Done(2, "", f"{usage}Error: Missing argument 'FILES...'.\n")


def test_a_name_with_brackets_is_no_style() -> None:
    name = write("[bold]odd[reset].yaml", SETTINGS)
    assert run("check", name) == Done(0, f"{name}: good settings\n", "")
