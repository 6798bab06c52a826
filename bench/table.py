"""The printed table: sections of rows, in columns as wide as they need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GAP = "  "
# So that the columns of all sections stand below each other as a rule.
LEAST_WIDTHS = (44, 10, 52, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: of what, how much, what it was in single runs or the like, and what is aimed at."""

    what: str
    figure: str
    detail: str = ""
    aim: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """As it is printed; whether the aim is met stands behind it."""
        verdict = "" if self.met is None else ("  met" if self.met else "  MISSED")
        return self.what, self.figure, self.detail, self.aim + verdict


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]


def printed(sections: Iterable[Section]) -> str:
    """Sections below each other."""
    return "\n\n".join("\n".join([section.title, *_lines(section.rows)]) for section in sections)


def _lines(rows: Sequence[Row]) -> list[str]:
    """Rows in columns."""
    cells = [row.cells() for row in rows]
    widths = [max(LEAST_WIDTHS[at], *map(len, column)) for at, column in enumerate(zip(*cells, strict=True))]
    return [_line(row, widths) for row in cells]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    what, figure, *others = cells
    first, second, *rest = widths
    words = [what.ljust(first), figure.rjust(second)]
    words += [other.ljust(width) for other, width in zip(others, rest, strict=True)]
    return (GAP + GAP.join(words)).rstrip()
