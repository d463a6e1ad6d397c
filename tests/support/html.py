"""HTML as a tree, just enough to ask a page what a person would see on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "use", "path", "rect", "circle"})


@dataclass
class Element:
    """One element: `text` is all text below it, its spaces joined."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self._pieces()).split())

    def _pieces(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("template", "script", "style"):
                yield f" {child.text} "

    def every(self, tag: str = "", **attributes: str) -> list[Element]:
        """All elements below of a tag whose attributes are these; `class_` asks for one of the classes."""
        return [element for element in self._below() if element._fits(tag, attributes)]

    def one(self, tag: str = "", **attributes: str) -> Element:
        """The only such element; fails when there are none or several."""
        (found,) = self.every(tag, **attributes)
        return found

    def has(self, tag: str = "", **attributes: str) -> bool:
        return bool(self.every(tag, **attributes))

    def _below(self) -> Iterator[Element]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._below()

    def _fits(self, tag: str, attributes: dict[str, str]) -> bool:
        if tag and self.tag != tag:
            return False
        for name, value in attributes.items():
            if name == "class_":
                if value not in self.attributes.get("class", "").split():
                    return False
            elif self.attributes.get(name.rstrip("_").replace("_", "-")) != value:
                return False
        return True

    def fields(self) -> dict[str, str]:
        """What a form sends as it stands, without its buttons."""
        sent = {}
        for element in self._below():
            name = element.attributes.get("name")
            if not name:
                continue
            if element.tag == "input" and (
                element.attributes.get("type") not in ("checkbox", "radio") or "checked" in element.attributes
            ):
                sent[name] = element.attributes.get("value", "")
            elif element.tag == "textarea":
                sent[name] = element.text
            elif element.tag == "select":
                chosen = [option for option in element.every("option") if "selected" in option.attributes]
                sent[name] = (chosen or element.every("option"))[0].attributes.get("value", "")
        return sent


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """The tree of a page or part. Fails when elements are not closed in order."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == [builder.root], f"<{builder.open[-1].tag}> is not closed"
    return builder.root
