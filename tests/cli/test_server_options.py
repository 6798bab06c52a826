"""Who asks: a user with a password, or a token; neither is ever an argument."""

from pathlib import Path

import click
import pytest

from exporter.cli.client import Access
from exporter.cli.server_options import authorization


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file with a secret."""
    file = tmp_path / "secret"
    file.write_text("sésame\nanother line\n", encoding="utf-8")
    return file


def test_a_user_asks_with_the_password_of_a_file_or_a_variable(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXIT_EXPORTER_PASSWORD", "sésame")
    assert [authorization("ali", file, None) for file in (secret, None)] == ["Basic YWxpOnPDqXNhbWU="] * 2
    assert authorization(None, None, None) is None


def test_a_token_asks_as_bearer(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc.def\n")
    assert authorization(None, None, file) == "Bearer abc.def"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "its first line is empty, or not plain text"),
        (b"\nx", "its first line is empty, or not plain text"),
        (b"a\x1bb", "its first line is empty, or not plain text"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (None, "No such file or directory"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_with_its_file(
    tmp_path: Path, content: bytes | None, cause: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(click.ClickException) as refused:
        authorization(None, None, file)
    assert refused.value.message == f"--token-file: {file}: {cause}"


def test_both_at_once_are_refused(secret: Path) -> None:
    with pytest.raises(click.UsageError, match="--user and --token-file are both given"):
        authorization("ali", None, secret)


def test_a_secret_is_not_shown() -> None:
    assert "sesame" not in repr(Access(authorization="Bearer sesame"))
