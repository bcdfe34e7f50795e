"""Rendered resources as documents: rules see their final values, at the places where those were written."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field

from analyzer.document import MAX_REMEMBERED, Document, Written
from analyzer.manifest import Decoded, decode
from analyzer.roots.item import Item
from analyzer.roots.tree import Origin, Tree
from schemas.validation import Path


@dataclass(frozen=True, eq=False, slots=True)
class RenderedDocument(Document):
    """A document that was changed on its way: what stands where, its tree knows."""

    tree: Tree = field(kw_only=True)

    def written(self, path: Path, *, key: bool = False) -> Written:
        origin = self.tree.written(path)
        file, place, text = origin.document.written(origin.path, key=key)
        return Written(file or origin.file, place, text)


def declaration_of(item: Item, root: str = "") -> Decoded:
    """What a resource of a root declares. One that nothing has changed is what its file declares."""
    origin = item.tree.origin
    if item.tree.untouched:
        return declared(origin.document, origin.file)
    text = hashlib.blake2b(_text(item.tree.value).encode(), digest_size=16).digest()
    return _rendered(_Outcome(root, origin, text, tuple(item.tree.exceptions()), item.tree))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A rendered resource by all that tells it from others: the same text of the same places is the same resource."""

    root: str
    origin: Origin
    text: bytes  # a digest
    exceptions: tuple[tuple[Path, Origin], ...]
    tree: Tree = field(compare=False)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _rendered(outcome: _Outcome) -> Decoded:
    tree, origin = outcome.tree, outcome.origin
    source = origin.document
    document = RenderedDocument(tree.value, source.source, source.number, source.broken, source.within, tree=tree)
    return decode(document, origin.file)


_text = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def declared(document: Document, path: str) -> Decoded:
    """What a document of a file declares."""
    return decode(document, path)
