"""Comments that speak to Holdfast, and the lines that each is about.

A `#` within a text is none: where texts are is known from libyaml, not from a pattern. A comment beside something is
about what begins on its line; one on a line of its own about the next thing below, with all that is in it: a field, an
item of a list, or, above the first field, the whole document.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from analyzer.composer import Place, Span, spans
from analyzer.document import Source

MARK = b"holdfast:"

_COMMENT = re.compile(r"(?:^|(?<=\s))#\s*holdfast:")


@dataclass(frozen=True, slots=True)
class Comment:
    """What follows `# holdfast:`, where the comment is, and the first and last line that it is about."""

    place: Place
    text: str
    first: int
    last: int  # smaller than the first when nothing follows


@dataclass(frozen=True, order=True, slots=True)
class _Entry:
    """A field, an item or a document, from where it begins to the last line with something in it."""

    start: Place
    size: int  # its lines, negative: of two that begin together the larger comes first
    last: int


@dataclass(slots=True)
class _Open:
    """A collection that has begun, where the entry at hand began, and whether its key is complete."""

    mapping: bool
    begun: Place | None = None
    keyed: bool = False


@dataclass(slots=True)
class _Layout:
    """Where the texts and the entries of a file are."""

    texts: list[tuple[Place, Place]] = field(default_factory=list)
    entries: list[_Entry] = field(default_factory=list)


def comments(source: Source) -> tuple[Comment, ...]:
    """Those that speak to Holdfast, in order."""
    if MARK not in source.data:
        return ()
    layout = _layout(spans(source.data))
    return tuple(_comment(source, place, text, layout) for place, text in _candidates(source, layout.texts))


def _candidates(source: Source, texts: list[tuple[Place, Place]]) -> Iterator[tuple[Place, str]]:
    for number, line in enumerate(source.lines, 1):
        for match in _COMMENT.finditer(line):
            place = Place(number, match.start() + 1)
            if not _within(texts, place):
                yield place, line[match.end() :].strip()
                break


def _within(texts: list[tuple[Place, Place]], place: Place) -> bool:
    at = bisect(texts, place, key=lambda text: text[0])
    return at > 0 and place < texts[at - 1][1]


def _comment(source: Source, place: Place, text: str, layout: _Layout) -> Comment:
    alone = not source.lines[place.line - 1][: place.column - 1].strip()
    at = bisect(layout.entries, place.line, key=lambda entry: entry.start.line)
    if alone:
        below = layout.entries[at : at + 1]
        return Comment(place, text, place.line, below[0].last if below else place.line - 1)
    beside = [entry.last for entry in layout.entries[max(0, at - 1) : at] if entry.start.line == place.line]
    return Comment(place, text, place.line, max([place.line, *beside]))


def _layout(found: Iterable[Span]) -> _Layout:
    """Follow the events once; the end of a collection without brackets is where its last text ends."""
    layout, stack = _Layout(), list[_Open]()
    document, root, last = Place(1, 1), Place(1, 1), 1
    for span in found:
        if span.kind == "document":
            document = span.start
            continue
        if span.kind == "end":
            stack.pop()
            last = last if span.block else span.end.line
        else:
            if not stack:
                root = span.start
            elif stack[-1].begun is None:
                stack[-1].begun = span.start
            if span.kind != "leaf":
                stack.append(_Open(span.kind == "mapping"))
                continue
            last = max(span.start.line, span.end.line - (span.block and span.end.column == 1))
            layout.texts.append((_after_head(span), span.end))
        if not stack:
            layout.entries += [_entry(document, last), _entry(root, last)]
        elif (begun := _complete(stack[-1])) is not None:
            layout.entries.append(_entry(begun, last))
    layout.entries.sort()
    return layout


def _complete(collection: _Open) -> Place | None:
    """Where the entry that just ended began; None after a key, whose value is to come."""
    if collection.mapping and not collection.keyed:
        collection.keyed = True
        return None
    begun, collection.begun, collection.keyed = collection.begun, None, False
    return begun


def _after_head(span: Span) -> Place:
    """Where a text begins: that of a block on the line after its head, which may have a comment."""
    return Place(span.start.line + 1, 1) if span.block else span.start


def _entry(start: Place, last: int) -> _Entry:
    return _Entry(start, start.line - last, last)
