"""Layers that are kept between runs: read row by row as they are asked, and written as texts.

A row of a unit or an entry holds it whole (an empty one: it is gone); a row of a set holds who came to it and who went
from it since the layer below.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Protocol

from analyzer.document import Document, Source, parse
from analyzer.edges import Reference
from analyzer.incremental.layers import Entry, Layer, Unit
from analyzer.incremental.memberships import Name
from analyzer.incremental.packing import pack, unpack
from analyzer.manifest import Declaration, decode
from analyzer.rule import File
from analyzer.rules import RULES
from analyzer.secrecy import SECRET, SECRETIVE
from analyzer.snapshot import blob_id
from schemas.resources import ResourceKey

_UNIT, _ENTRY, _SET = "u", "e", "s"
_PART, _STEP, _NONE = "\x1f", "\x1e", "\x1d"
_RULES = {rule.id: rule for rule in RULES}


class Uncacheable(Exception):
    """Something of this revision cannot be kept."""


class Rows(Protocol):
    """Where rows are: a table."""

    def get(self, key: str) -> str | None: ...

    def rows(self, prefix: str = "") -> Iterator[tuple[str, str]]: ...


class StoredLayer(Layer):
    """A layer of which only what is asked is read. `fetch` gives the bytes of a file, by its path and blob id."""

    stored = True

    def __init__(self, table: Rows, fetch: Callable[[str, str], bytes], below: Layer | None = None) -> None:
        super().__init__(below)
        self._table, self._fetch = table, fetch
        self.unit = functools.cache(self._unit)  # type: ignore[method-assign]  # what is read stays as it is
        self.entry = functools.cache(self._entry)  # type: ignore[method-assign]
        self.members = functools.cache(self._members)  # type: ignore[method-assign]

    def _unit(self, path: str) -> Unit | None:
        row = self._table.get(_UNIT + path)
        if row is None:
            return self.below.unit(path) if self.below else None
        return _unit_of(path, json.loads(row), self._fetch) if row else None

    def _entry(self, key: ResourceKey) -> Entry | None:
        row = self._table.get(_ENTRY + _key_text(key))
        if row is None:
            return self.below.entry(key) if self.below else None
        return _entry_of(key, json.loads(row)) if row else None

    def _members(self, name: Name) -> Iterable[ResourceKey]:
        known = frozenset(self.below.members(name)) if self.below else frozenset[ResourceKey]()
        row = self._table.get(_SET + _name_text(name))
        if row is None:
            return known
        came, went = ((_key_of(text) for text in texts) for texts in json.loads(row))
        return known.difference(went).union(came)

    def paths(self) -> Iterator[str]:
        own = {key[len(_UNIT) :]: row for key, row in self._table.rows(_UNIT)}
        yield from (path for path, row in own.items() if row)
        if self.below:
            yield from (path for path in self.below.paths() if path not in own)

    def flat(self) -> Layer:
        return self


def rows_of(layer: Layer) -> Mapping[str, str]:
    """The rows of everything above what is stored already. Raises Uncacheable, perhaps only as they are read."""
    above = [_Rows(each) for each in _in_memory(layer)]
    if len(above) == 1:
        return above[0]
    rows: dict[str, str] = {}
    for each in above:
        rows |= merged(rows, each)
    return rows


class _Rows(Mapping[str, str]):
    """The rows of one layer, each a text only while somebody reads it: of a whole repository there are very many."""

    def __init__(self, layer: Layer) -> None:
        self._units = {_UNIT + path: unit for path, unit in layer.units.items()}
        self._entries = {_ENTRY + _key_text(key): entry for key, entry in layer.entries.items()}
        names = layer.added.keys() | layer.removed.keys()
        sets = ((name, layer.added.get(name, ()), layer.removed.get(name, ())) for name in names)
        self._sets = {_SET + _name_text(name): (came, went) for name, came, went in sets if came or went}

    def __getitem__(self, key: str) -> str:
        if key.startswith(_SET):
            came, went = self._sets[key]
            return _text([_keys(came), _keys(went)])
        if key.startswith(_UNIT):
            unit = self._units[key]
            return _text(_unit_row(unit)) if unit else ""
        entry = self._entries[key]
        return _text(_entry_row(entry)) if entry else ""

    def __iter__(self) -> Iterator[str]:
        return chain(self._units, self._entries, self._sets)

    def __len__(self) -> int:
        return len(self._units) + len(self._entries) + len(self._sets)


def _in_memory(layer: Layer | None) -> list[Layer]:
    """The layers that are not stored, the lowest first."""
    found: list[Layer] = []
    while layer is not None and not layer.stored:
        found.insert(0, layer)
        layer = layer.below
    return found


def merged(lower: Mapping[str, str], upper: Mapping[str, str]) -> dict[str, str]:
    """The rows of an upper layer, with what those of a lower one have to say of the same sets."""
    found = dict(upper)
    for key, row in upper.items():
        if key.startswith(_SET) and key in lower:
            (came, went), (later_came, later_went) = json.loads(lower[key]), json.loads(row)
            now_came = sorted({*came} - {*later_went} | {*later_came})
            now_went = sorted({*went} - {*later_came} | {*later_went})
            found[key] = _text([now_came, now_went])
    return found


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _keys(keys: Iterable[ResourceKey]) -> list[str]:
    return sorted(map(_key_text, keys))


# --- units


def _unit_row(unit: Unit) -> list[object]:
    file = unit.file
    documents = None if any(map(_may_be_secret, file.declarations)) else [*map(_document_row, file.declarations)]
    told = [[rule.id, pack(hit)] for rule, hit in unit.told]
    return [blob_id(file.source.data), documents, told, pack(unit.unread), pack(file.suppressions)]


def _may_be_secret(found: Declaration) -> bool:
    """Whether a password would lie around beside the repository: such a document is read there every time."""
    return found.kind_name.casefold() == SECRET or found.kind_name in SECRETIVE


def _document_row(found: Declaration) -> list[object]:
    document = found.document
    return [document.number, list(document.within), document.broken, document.value, found.problems == ()]


def _unit_of(path: str, row: Any, fetch: Callable[[str, str], bytes]) -> Unit:  # noqa: ANN401  # JSON
    blob, documents, told, unread, suppressions = row
    source = Kept(functools.partial(fetch, path, blob))
    declarations = tuple(
        (decode(document, path) for document in parse(source.data).documents)
        if documents is None
        else (
            decode(Document(value, source, number, broken, tuple(within)), path, valid=valid)
            for number, within, broken, value, valid in documents
        )
    )
    file = File(path, source, declarations, (), unpack(suppressions))
    return Unit(file, tuple((_RULES[rule], unpack(hit)) for rule, hit in told), unpack(unread))


class Kept(Source):
    """The bytes of a file, fetched when first looked at: most are never."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        self._fetch = fetch

    @functools.cached_property
    def data(self) -> bytes:  # type: ignore[override]  # held there, fetched here
        return self._fetch()


# --- entries


def _entry_row(entry: Entry) -> list[object]:
    outgoing = [[list(r.path), list(r.target), r.part, r.outlives, r.elsewhere, r.back, r.rule] for r in entry.outgoing]
    told = [[rule.id, pack(hit)] for rule, hit in entry.told]
    return [entry.places, outgoing, _keys(entry.knot), told, pack(entry.asked)]


def _entry_of(key: ResourceKey, row: Any) -> Entry:  # noqa: ANN401  # JSON
    places, outgoing, knot, told, asked = row
    return Entry(
        tuple((path, number) for path, number in places),
        tuple(_reference(key, *each) for each in outgoing),
        frozenset(map(_key_of, knot)),
        tuple((_RULES[rule], unpack(hit)) for rule, hit in told),
        frozenset(map(unpack, asked)),
    )


def _reference(  # noqa: PLR0913, PLR0917  # the parts of a row
    source: ResourceKey,
    path: list[str | int],
    target: list[str],
    part: str,
    outlives: bool,  # noqa: FBT001
    elsewhere: bool,  # noqa: FBT001
    back: bool,  # noqa: FBT001
    rule: str,
) -> Reference:
    return Reference(source, tuple(path), ResourceKey(*target), part, outlives, elsewhere, back, rule)


# --- names


@functools.lru_cache(maxsize=1 << 18)
def _key_text(key: ResourceKey) -> str:
    """The parts of a key in one text, those of one namespace beside each other."""
    text = f"{key.namespace}{_STEP}{key.group}{_STEP}{key.kind}{_STEP}{key.name}"
    if not text.replace(_STEP, "").isprintable():
        raise Uncacheable
    return text


def _key_of(text: str) -> ResourceKey:
    namespace, group, kind, name = text.split(_STEP)
    return ResourceKey(kind, namespace, name, group)


def _name_text(name: Name) -> str:
    return _PART.join(map(_part, name))


def _part(part: str | ResourceKey | None) -> str:
    if part is None:
        return _NONE
    if isinstance(part, ResourceKey):
        return _key_text(part)
    if not part.isprintable():
        raise Uncacheable
    return part
