"""What a shell and a newcomer get: examples that are valid, and completion."""

import re
import shlex

import click
import pytest

from exporter.cli import COMMANDS, command
from tests.cli.command import invoke, run

EXAMPLES = [
    (name, line)
    for name in COMMANDS
    for line in re.findall(r"^ *(exit-exporter .*)$", str(command(name).help), re.MULTILINE)
]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_examples_of_its_own(name: str) -> None:
    mine = [line for each, line in EXAMPLES if each == name]
    assert len(mine) >= 2
    assert all(line.startswith(f"exit-exporter {name}") for line in mine)


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_a_valid_use(name: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(re.split("[|>]", re.sub(r"\$\(.*?\)", "x", line))[0])
    found = command(name)
    # Parsing alone: files need not exist.
    for parameter in found.params:
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter, "type", click.STRING)
    found.make_context(name, words[2:])


def test_the_list_of_commands_is_whole_in_80_columns() -> None:
    listed = run("--help", COLUMNS="80").out.partition("Commands:")[2]
    assert len(listed.splitlines()) == len(COMMANDS) + 1
    assert "..." not in listed


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("", ["serve", "ps", "show", "wait", "report", "explain", "codes", "check"]),
        ("wa", ["wait"]),
        ("ps --status f", ["failed"]),
        ("ps --reason oom", ["OOMKilled"]),
        ("ps --cas", ["--casualties"]),
        ("codes --format m", ["markdown"]),
    ],
)
def test_words_are_completed(words: str, completions: list[str]) -> None:
    line = ["exit-exporter", *words.split(" ")]
    done = invoke(
        _EXIT_EXPORTER_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(line),
        COMP_CWORD=str(len(line) - 1),
    )
    assert [each.partition(",")[2] for each in done.out.split()] == completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = run(_EXIT_EXPORTER_COMPLETE=f"{shell}_source")
    assert (done.code, "_EXIT_EXPORTER_COMPLETE" in done.out) == (0, True)
