"""The page as its reader meets it: its elements, and a site to show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from desk import Desk, volume

from backends.objects import Lvol
from reconciler.plan import Hazard, Held, deleted

VOID = {"meta", "link", "img", "br", "input", "hr"}

INLINE = {"a", "b", "code", "em", "span", "time"}

OTHER = "fedcba9876543210fedcba9876543210fedcba98"

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


@dataclass
class Element:
    """One element, with all the text inside it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words)).strip()


class Html(HTMLParser):
    """A page as a browser without JavaScript has it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {[e.tag for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(e.tag for e in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> inside <{self._open[-1].tag}>"
        if tag not in INLINE:
            self.handle_data(" ")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def id(self, name: str) -> Element:
        return next(element for element in self.elements if element.attributes.get("id") == name)

    def marks(self, mood: str) -> list[str]:
        return [e.text for e in self.elements if mood in e.attributes.get("class", "").split()]

    @property
    def headline(self) -> str:
        return self.id("headline").text


def shown(site: Desk) -> Html:
    """The page over HTTP."""
    with site.serving() as client:
        answer = client.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Html(answer.text)


def held(name: str, message: str = "1 of 1 disturbed", *, approvable: bool = True) -> Held:
    lvol = Lvol(store="pool", name=name, uuid="u", size=1 << 20, thin=True)
    return Held(deleted(lvol), volume(name), Hazard.DATA_LOSS, "BudgetExceeded", message, approvable=approvable)
