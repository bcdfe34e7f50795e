"""YAML inside a text of another file, such as a patch in a kustomization: its places are places of that file."""

from __future__ import annotations

import functools
import re

from analyzer.composer import Place
from analyzer.document import Parsed, Source, parse
from analyzer.roots.tree import Origin
from schemas.validation import Path

_BLOCK = re.compile(r"(?:!\S*\s+|&\S+\s+)*\|(?P<sign>[-+]?)(?P<indent>[1-9]?)(?P=sign)?[-+]?\s*(?:#.*)?$")


class EmbeddedSource(Source):
    """The bytes of a text that begins at a place of another source."""

    def __init__(self, data: bytes, outer: Source, start: Place) -> None:
        super().__init__(data)
        self._outer, self._start = outer, start
        self._indent = _indentation(outer, start)

    def line(self, number: int) -> str:
        return self._outer.line(number)

    def place(self, number: int, path: Path, *, key: bool = False) -> Place:
        """A place inside a block of text; of a text in quotes only its beginning can be told."""
        if self._indent is None:
            return self._start
        inner = super().place(number, path, key=key)
        return Place(self._start.line + inner.line, self._indent + inner.column)


@functools.lru_cache(maxsize=4096)
def parse_embedded(origin: Origin) -> Parsed:
    """The documents that are written in a text."""
    written = origin.document.written(origin.path)
    data = str(origin.value).encode()
    source = EmbeddedSource(data, origin.document.source, written.place)
    return parse(data, source)


def _indentation(outer: Source, start: Place) -> int | None:
    """How far a block of text is indented; None where it is no block."""
    if not _BLOCK.match(outer.line(start.line)[start.column - 1 :]):
        return None
    number = start.line + 1
    while (line := outer.line(number)) or number <= start.line + 2:
        if line.strip():
            return len(line) - len(line.lstrip(" "))
        number += 1
    return None
