"""The HTML of the page, parsed: tables, texts and links by CSS class."""

from html.parser import HTMLParser
from typing import Self

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class Element:
    """An element with its attributes and its content."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        """Create it without content."""
        self.tag = tag
        self.attributes = attributes
        self.content: list[Element | str] = []

    @property
    def text(self) -> str:
        """Its text, with single spaces."""
        return " ".join(self._raw_text().split())

    def _raw_text(self) -> str:
        return "".join(each if isinstance(each, str) else each._raw_text() for each in self.content)

    def all(self, tag: str, css_class: str = "") -> list[Self]:
        """Return the elements within it that have this tag and class."""
        found: list[Self] = []
        for each in self.content:
            if isinstance(each, type(self)):
                classes = each.attributes.get("class", "").split()
                if each.tag == tag and (not css_class or css_class in classes):
                    found.append(each)
                found += each.all(tag, css_class)
        return found

    def one(self, tag: str, css_class: str = "") -> Self:
        """Return the only such element."""
        (found,) = self.all(tag, css_class)
        return found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"{tag} closes {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parse(document: str) -> Element:
    """Return a document in which every element is closed."""
    parser = _Parser()
    parser.feed(document)
    parser.close()
    assert len(parser.open) == 1
    return parser.open[0]
