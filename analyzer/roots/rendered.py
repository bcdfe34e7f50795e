"""Rendered resources as documents: rules see their final values, at the places where those were written."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from analyzer.document import MAX_REMEMBERED, Document, Written
from analyzer.manifest import Decoded, decode
from analyzer.roots.item import Item
from analyzer.roots.tree import Tree
from schemas.validation import Path


@dataclass(frozen=True, eq=False, slots=True)
class RenderedDocument(Document):
    """A document that was changed on its way: what stands where, its tree knows."""

    tree: Tree = field(kw_only=True)

    def written(self, path: Path, *, key: bool = False) -> Written:
        origin = self.tree.written(path)
        file, place, text = origin.document.written(origin.path, key=key)
        return Written(file or origin.file, place, text)


def declaration_of(item: Item) -> Decoded:
    """What a resource of a root declares. One that nothing has changed is what its file declares."""
    origin = item.tree.origin
    source = origin.document
    if item.tree.untouched:
        return declared(source, origin.file)
    document = RenderedDocument(
        item.tree.value, source.source, source.number, source.broken, source.within, tree=item.tree
    )
    return decode(document, origin.file)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def declared(document: Document, path: str) -> Decoded:
    """What a document of a file declares."""
    return decode(document, path)
