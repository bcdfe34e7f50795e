"""Files → Documents: values with exact lines and columns, Lists unfolded, each file parsed once.

How YAML is read, analyzer.composer tells; here is what becomes of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from analyzer.composer import Composition, Defect, Place, compose, lines_of
from analyzer.finding import Location
from analyzer.secrecy import hidden_lines, masked
from analyzer.snapshot import Blob
from analyzer.usual import usual_documents
from schemas.resources import Json, is_like_ours
from schemas.validation import Path

MAX_REMEMBERED = 200_000  # parsed files, by blob id


class Written(NamedTuple):
    """Where a value was written last: in which file (empty: in the file at hand), and in which line of it."""

    file: str
    place: Place
    text: str


@dataclass(frozen=True, eq=False, slots=True)
class Document:
    """One YAML document, or one item of a `List`."""

    value: Json
    source: Source
    number: int  # among the documents of the file
    broken: bool = False  # a defect is in it, so that its values need not be what was meant
    within: Path = ()  # where in that document, for an item of a List

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value at `path` is written, or the key of it; for a path that is not there, what should hold it."""
        return self.source.place(self.number, (*self.within, *path), key=key)

    def written(self, path: Path, *, key: bool = False) -> Written:
        """The same with the line itself; of a rendered document it may be in another file."""
        place = self.place(path, key=key)
        return Written("", place, self.source.line(place.line))


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds."""

    source: Source
    documents: tuple[Document, ...]
    defects: tuple[Defect, ...]


class Source:
    """The bytes of a file. Positions are worked out when first asked for: most files need none."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def line(self, number: int) -> str:
        """A line as it may be shown: of one that holds a secret, its key."""
        lines = self.lines
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        return masked(line) if number in self.hidden else line

    def at(self, path: str, place: Place) -> Location:
        """A place of this file, which is at that path, with the line as it may be shown."""
        return Location(path, place.line, place.column, text=self.line(place.line))

    @functools.cached_property
    def text(self) -> str:
        """The whole file with plain line breaks. Not to be shown: it may hold secrets."""
        return "\n".join(self.lines)

    def place(self, number: int, path: Path, *, key: bool = False) -> Place:
        return self._with_positions.place(number, path, key=key)

    @functools.cached_property
    def lines(self) -> list[str]:
        return lines_of(self.data)

    @functools.cached_property
    def hidden(self) -> frozenset[int]:
        """The lines of which no more than their key may be shown."""
        return hidden_lines(self.text)

    @functools.cached_property
    def _with_positions(self) -> Composition:
        return compose(self.data, record=True)


def load(blob: Blob) -> Parsed:
    """The documents of a blob; parsed once for each blob id."""
    found = _remembered.get(blob.id)
    if found is None:
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        found = _remembered[blob.id] = parse(blob.data)
    return found


_remembered: dict[str, Parsed] = {}


def parse(data: bytes, source: Source | None = None) -> Parsed:
    """The documents of a file, empty ones left out and Lists unfolded, and what is wrong with it.

    `source` says where things are when they are not in a file of their own.
    """
    source = source or Source(data)
    if (values := usual_documents(data)) is not None:
        usual = (Document(value, source, n) for n, value in enumerate(values) if value is not None)
        return Parsed(source, tuple(item for document in usual for item in _unfold(document)), ())
    found = compose(data, record=False)
    if found.defects:
        found = compose(data, record=True)  # knows where a duplicate key was given first
    for number, defect in found.habits:
        if not _is_for_kubernetes(found.roots[number].value):
            found.defects.append(defect)
            found.broken.add(number)
    whole = (Document(root.value, source, n, n in found.broken) for n, root in enumerate(found.roots))
    documents = tuple(item for document in whole if document.value is not None for item in _unfold(document))
    hidden = Source(data).hidden if found.defects else frozenset()
    return Parsed(source, documents, tuple(sorted(_discreet(defect, hidden) for defect in found.defects)))


def _is_for_kubernetes(value: Json) -> bool:
    """Whether a document is read by Kubernetes, and not by us."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    items = value.get("items")
    if value["kind"] == "List" and isinstance(items, list):
        return all(map(_is_for_kubernetes, items))
    version = value.get("apiVersion")
    return isinstance(version, str) and not is_like_ours(version)


def _discreet(defect: Defect, hidden: frozenset[int]) -> Defect:
    """Without the words of the file, where those may be a secret."""
    if defect.rule == "duplicate-key" or defect.place.line not in hidden:
        return defect
    return replace(defect, message="not sound YAML; what stands here may be secret, and is not shown")


def _unfold(document: Document) -> Iterator[Document]:
    match document.value:
        case {"kind": str(kind), "items": list(items)} if kind == "List" or _are_manifests(kind, items):
            for index, item in enumerate(items):
                within = (*document.within, "items", index)
                yield from _unfold(replace(document, value=item, within=within))
        case _:
            yield document


def _are_manifests(kind: str, items: list[Any]) -> bool:
    """Whether a PodList or the like holds what could as well be declared one by one."""
    return kind.endswith("List") and all(isinstance(item, dict) and "kind" in item for item in items)
