"""What a page of HTML holds, without a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"img", "meta", "br", "link", "hr", "input"})
_HIDDEN = frozenset({"style", "script"})


@dataclass
class ParsedPage(HTMLParser):
    """A page: its elements and their attributes, and the text that a reader sees.

    Args:
        html: the page.
    """

    html: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the page."""
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take the end of an element, which must be the innermost."""
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self.unclosed or self.unclosed[-1] not in _HIDDEN:
            self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        """Return the values of an attribute of all elements of a kind."""
        return [values.get(attribute, "") for name, values in self.elements if name == tag]

    @property
    def words(self) -> str:
        """The text, with single spaces."""
        return " ".join(self.text.split())
