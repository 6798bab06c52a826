"""``check``: good and bad files of settings and catalogues."""

from pathlib import Path

import pytest

from exporter.config.settings import Settings
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
UNDESCRIBED = "reason Nowhere is described nowhere; add it under 'reasons:' with a meaning"
UNKNOWN = "unknown name; valid are: "
CATALOGUE_NAMES = f"{UNKNOWN}reasons, codes, workloads, images"
SETTING_NAMES = f"{UNKNOWN}{', '.join(Settings.model_fields)}"
DOTTED = "names are joined by dots only in flags; in a file, write 'host:' below 'docker:'"
ONLY_SQLITE = "only a SQLite file is supported; example: sqlite:////var/lib/exits.db"
NO_ENGINE = (
    "file.yaml:1: docker.host: 'foo' is not the address of an engine; "
    "examples: unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host"
)


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> str:
    """Write a file in the test's directory; return its name."""
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
        ("# all is commented out\n", "catalogue (0 new reasons)"),
    ],
)
def test_a_good_file_is_reported_with_its_kind(text: str, kind: str) -> None:
    assert invoke("check", write("file.yaml", text)) == Done(0, f"file.yaml: good {kind}\n", "")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: [1\n", ["file.yaml:2: expected ',' or ']', but got '<stream end>'"]),
        ("- a\n- list\n", ["file.yaml:1: expected 'name: value' lines at the top"]),
        ("log: {level: info}\nlog: {level: debug}\n", ["file.yaml:2: 'log' is given twice"]),
        ("colours: red\n", [f"file.yaml:1: colours: {CATALOGUE_NAMES}"]),
        ("log: {level: info}\nwbe: {listen-address: ':1'}\n", [f"file.yaml:2: wbe: {SETTING_NAMES}"]),
        ("docker.host: unix:///run/docker.sock\n", [f"file.yaml:1: docker.host: {DOTTED}"]),
        ("codes: {42: Error}\nworklodas: {}\n", [f"file.yaml:2: worklodas: {CATALOGUE_NAMES}"]),
        (
            "codes:\n  0: Error\n  42: Nowhere\n",
            [
                "file.yaml:2: codes.0: code 0 is always Completed and cannot be renamed",
                f"file.yaml:3: codes.42: {UNDESCRIBED}",
            ],
        ),
        ("catalogue: {file: /nowhere.yaml}\n", ["/nowhere.yaml: cannot be read: No such file or directory"]),
        ("docker: {host: [foo]}\n", [NO_ENGINE]),
        (
            "storage: {url: mysql://db/exits}\n",
            [f"file.yaml:1: storage.url: 'mysql://db/exits': {ONLY_SQLITE}"],
        ),
    ],
)
def test_a_bad_file_is_reported_with_every_problem(text: str, problems: list[str]) -> None:
    done = invoke("check", write("file.yaml", text))
    assert (done.code, done.out, sorted(done.err.splitlines())) == (1, "", problems)


@pytest.mark.parametrize("kind", ["settings", "catalogue"])
def test_check_reports_the_problems_of_the_start(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIRECTORY)
    for bad in bad_files(kind):
        done = invoke("check", str(bad.path))
        assert (done.code, done.out) == (1, "")
        assert (bad.path, sorted(done.err.splitlines())) == (bad.path, sorted(bad.problems))


def test_one_bad_file_of_several_fails_the_check() -> None:
    write("[bold]settings[reset].yaml", SETTINGS)
    write("bad.yaml", "log:\n  level: loud\n")
    write("catalogue.yaml", CATALOGUE)
    assert run("check", "bad.yaml", "[bold]settings[reset].yaml", "missing.yaml", "catalogue.yaml") == Done(
        1,
        "[bold]settings[reset].yaml: good settings\ncatalogue.yaml: good catalogue (2 new reasons)\n",
        "bad.yaml:2: log.level: 'loud' is not one of 'debug', 'info', 'warning' or 'error'\n"
        "missing.yaml: cannot be read: No such file or directory\n",
    )
    good = "catalogue.yaml: good catalogue (2 new reasons)\n"
    assert invoke("check", "catalogue.yaml") == Done(0, good, "")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    expected = Done(1, "", f"{tmp_path}: cannot be read: Is a directory\n")
    assert invoke("check", str(tmp_path)) == expected


def test_a_file_must_be_given() -> None:
    usage = "Usage: exit-exporter check [OPTIONS] FILES...\nTry 'exit-exporter check --help' for help.\n\n"
    assert invoke("check") == Done(2, "", f"{usage}Error: Missing argument 'FILES...'.\n")
