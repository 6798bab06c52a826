"""Table of results: sections of rows, with columns as wide as necessary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GAP = "  "
# So that columns of different sections are mostly aligned.
MIN_WIDTHS = (44, 10, 52, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """Result: its name, the number, details such as single runs, and the aim."""

    what: str
    figure: str
    detail: str = ""
    aim: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """Return the columns; the last one says whether the aim is met."""
        verdict = "" if self.met is None else ("  met" if self.met else "  MISSED")
        return self.what, self.figure, self.detail, self.aim + verdict


@dataclass(frozen=True, slots=True)
class Section:
    """Section of the table."""

    title: str
    rows: tuple[Row, ...]


def format_sections(sections: Iterable[Section]) -> str:
    """Format sections."""
    return "\n\n".join("\n".join([section.title, *_lines(section.rows)]) for section in sections)


def _lines(rows: Sequence[Row]) -> list[str]:
    """Format rows in columns."""
    cells = [row.cells() for row in rows]
    widths = [max(MIN_WIDTHS[at], *map(len, column)) for at, column in enumerate(zip(*cells, strict=True))]
    return [_line(row, widths) for row in cells]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    what, figure, *others = cells
    first, second, *rest = widths
    cells = [what.ljust(first), figure.rjust(second)]
    cells += [other.ljust(width) for other, width in zip(others, rest, strict=True)]
    return (GAP + GAP.join(cells)).rstrip()
