"""Tables in Markdown, for pages of docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# With a meaning in a cell, wherever they stand.
_MARKUP = "\\|<>*_`[]"


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    return "\n".join(_row(cells) for cells in (titles, ["---"] * len(titles), *rows))


def markdown_text(text: str) -> str:
    """Return text as Markdown that ends neither its cell nor its row, and is no markup."""
    for character in _MARKUP:
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def markdown_code(text: str) -> str:
    """Return text between backticks, where nothing but the end of a cell can be escaped."""
    return "`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'") + "`"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
