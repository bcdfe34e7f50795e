"""YAML bytes → values and their places, event by event. Strict, bounded and never recursive. The one door to libyaml.

libyaml gives events, and the values are built here by the rules of YAML 1.2. Its own loaders are not used: they follow
YAML 1.1, let the last of two equal keys win, and overflow the process's stack on a file of nested brackets.

What cannot be taken at its word is a Defect, never a guess: duplicate keys, keys that are not strings, tags of an
application, aliases of nothing, a file beyond the limits. Merge keys (`<<`) are one too: YAML 1.2 has none, readers
disagree on them, and a reviewer should see every field of a manifest where it applies. So are keys that are numbers.
Kubernetes takes both, so they are read as it does, and manifests for it are not called defective for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Literal

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # it is imported there for its loaders

from analyzer.scalar import Scalar, resolve, resolve_tagged, short_tag
from analyzer.snapshot import MAX_FILE_BYTES
from schemas.validation import Path, did_you_mean, quoted

MAX_DOCUMENTS = 5_000
MAX_DEPTH = 100
MAX_NODES = 500_000  # with every alias counted as what it stands for
MAX_SCALAR = 512 * 1024  # characters
MAX_ALIASED = 8 * 1024 * 1024  # characters that aliases stand for, in one file
MAX_DEFECTS = 1_000  # of one file

_NEW_LINE = re.compile(r"\r\n|\r|\n")
_INVISIBLE_BREAK = re.compile("[\u0085\u2028\u2029]")
_COLLECTION_TAGS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"})


_SCALAR, _MAPPING, _SEQUENCE = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
_END_OF_MAPPING, _END_OF_SEQUENCE = yaml.MappingEndEvent, yaml.SequenceEndEvent


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, order=True, slots=True)
class Defect:
    """Something that makes a file, or a part of it, unfit to be taken at its word."""

    place: Place
    rule: Literal["invalid-yaml", "duplicate-key"]
    message: str
    first: Place | None = field(default=None, compare=False)  # where the duplicate key was given before
    help: str = field(default="", compare=False)
    last: bool = field(default=False, compare=False)  # nothing after it was read


@dataclass(frozen=True, slots=True)
class Span:
    """One of libyaml's events and its place; the end is the first place outside."""

    kind: Literal["document", "leaf", "mapping", "sequence", "end"]
    start: Place
    end: Place
    block: bool = False  # a literal or folded text, or a collection without brackets


def spans(data: bytes) -> Iterator[Span]:
    """What the text is made of, as far as it is YAML."""
    try:
        _check_bytes(data)
        next_event: Callable[[], Any] = CParser(data).get_event
        while (event := next_event()) is not None:
            if kind := _SPANS.get(type(event)):
                style = getattr(event, "style", None) in ("|", ">") if kind == "leaf" else not _flow(event)
                yield Span(kind, _place(event.start_mark), _place(event.end_mark), style)
    except (_Unfit, yaml.YAMLError):
        return


def _flow(event: Any) -> bool:  # noqa: ANN401  # libyaml's events have no precise types
    return bool(getattr(event, "flow_style", False)) or event.start_mark.index < event.end_mark.index


_SPANS: dict[type, Literal["document", "leaf", "mapping", "sequence", "end"]] = {
    yaml.DocumentStartEvent: "document", _SCALAR: "leaf", yaml.AliasEvent: "leaf",
    _MAPPING: "mapping", _SEQUENCE: "sequence", _END_OF_MAPPING: "end", _END_OF_SEQUENCE: "end",
}  # fmt: skip


def compose(data: bytes, *, record: bool) -> Composition:
    """What a file holds; with `record` also where."""
    found = Composition(record=record, long=len(data) > MAX_SCALAR)
    try:
        _check_bytes(data)
        found.build(data)
    except _Unfit as refused:
        found.note(replace(refused.defect, last=True))
    except yaml.YAMLError as error:
        found.note(replace(_syntax_defect(error, data), last=True))
    found.settle()
    return found


class _Unfit(Exception):
    """Nothing more of this file can be read."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.message)
        self.defect = defect


def _refused(event: Any, message: str) -> _Unfit:  # noqa: ANN401  # libyaml's events have no precise types
    advice = "split the file; nothing after this was read"
    return _Unfit(Defect(_place(event.start_mark), "invalid-yaml", message, help=advice))


@dataclass(frozen=True, slots=True)
class _Root:
    """The value of a document, and where it begins."""

    value: Any
    mark: Any


class _Open:
    """Stands for the value of an anchor whose collection is not complete."""


_DROPPED: Final = object()  # stands for a key that cannot be one; its value is read and forgotten
_MERGED: Final = object()  # stands for a merge key until its mapping is complete


class Composition:
    """Documents out of libyaml's events. With `record`, the marks of every key and value are kept as well."""

    def __init__(self, *, record: bool, long: bool) -> None:
        self.roots: list[_Root] = []
        self.defects: list[Defect] = []
        self.broken: set[int] = set()  # documents with defects, by number
        self.habits: list[tuple[int, Defect]] = []  # what is a defect of a document unless it is for Kubernetes
        self.positions: dict[tuple[int, str | int], tuple[Any, Any]] = {}  # (collection, key) → marks of key and value
        self._record, self._long = record, long
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # name → value, how many values and characters it is
        self._incomplete: list[tuple[Any, str, int, int]] = []  # open collection, its anchor, as many before it
        self._aliased = self._letters = 0  # characters: that aliases stand for, and those within anchors as well
        self._merging: list[tuple[dict[Any, Any], Any]] = []  # open mapping with a merge key, the event of that
        self._nodes = 0
        self._number = -1  # of the document at hand

    def place(self, number: int, path: Path, *, key: bool = False) -> Place:
        """Where a value of a document is written, or its key; for one that is not there, what should hold it."""
        root = self.roots[number]
        here, marks = root.value, (root.mark, root.mark)
        for step in path:
            if not holds(here, step):
                break
            marks, here = self.positions[id(here), step], here[step]
        return _place(marks[0] if key or here is None or isinstance(here, (dict, list)) else marks[1])

    def note(self, defect: Defect) -> None:
        self.defects.append(defect)
        self.broken.add(self._number)
        if len(self.defects) == MAX_DEFECTS:
            advice = "mend these first; nothing after this was read"
            raise _Unfit(Defect(defect.place, "invalid-yaml", f"{MAX_DEFECTS:,} mistakes in one file", help=advice))

    def build(self, data: bytes) -> None:  # noqa: C901, PLR0912  # the hot loop: a call for each event would cost a third
        """Feed every event. What is usual happens right here, what is not in the methods below."""
        next_event: Callable[[], Any] = CParser(data).get_event
        stack: list[tuple[Any, Any]] = []
        top: Any = None  # the open collection; None for the document itself
        key: Any = None  # waits for its value; None: a key is due
        key_mark: Any = None
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is _SCALAR:
                value: Any = self._scalar(event)
            elif kind is _MAPPING or kind is _SEQUENCE:
                value = {} if kind is _MAPPING else []
                self._check_collection(event, value, len(stack))
            elif kind is _END_OF_MAPPING or kind is _END_OF_SEQUENCE:
                if self._merging:
                    self._merge(top)
                if self._incomplete:
                    self._complete(top)
                top, key = stack.pop()
                continue
            elif kind is yaml.AliasEvent:
                value = self._alias(event)
            else:
                self._check_document(event)
                continue

            self._nodes += 1
            if top is None:
                self.roots.append(_Root(value, event.start_mark))
            elif type(top) is list:
                if self._record:
                    self.positions[id(top), len(top)] = (event.start_mark, event.start_mark)
                top.append(value)
            elif key is None:
                usual = type(value) is str and value not in top and value != "<<"
                key, key_mark = value if usual else self._odd_key(top, value, event), event.start_mark
            else:
                if key is not _DROPPED:
                    top[key] = value
                    if self._record:
                        self.positions[id(top), key] = (key_mark, event.start_mark)
                key = None

            if kind is _MAPPING or kind is _SEQUENCE:
                stack.append((top, key))
                top, key = value, None

    def _scalar(self, event: Any) -> Scalar:  # noqa: ANN401  # libyaml's events have no precise types
        text: str = event.value
        if self._long and len(text) > MAX_SCALAR:
            raise _refused(event, f"a text of {len(text):,} characters (limit {MAX_SCALAR:,})")
        try:
            tag = event.tag
            value = resolve_tagged(tag, text) if tag is not None else text if event.style else resolve(text)
        except ValueError as error:
            self._defect(event, str(error))
            value = text
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 0, len(text))
        if self._incomplete:
            self._letters += len(text)
        return value

    def _check_collection(self, event: Any, value: Any, depth: int) -> None:  # noqa: ANN401
        if depth >= MAX_DEPTH:
            raise _refused(event, f"nested more than {MAX_DEPTH} levels deep")
        self._check_size(event)
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            self._defect(event, f"the tag {short_tag(event.tag)} has no meaning in a manifest")
        if event.anchor is not None:
            self._incomplete.append((value, event.anchor, self._nodes, self._letters))
            self._anchors[event.anchor] = (_Open, 0, 0)

    def _complete(self, collection: Any) -> None:  # noqa: ANN401
        if self._incomplete[-1][0] is collection:
            value, anchor, nodes, letters = self._incomplete.pop()
            self._anchors[anchor] = (value, self._nodes - nodes, self._letters - letters)

    def _alias(self, event: Any) -> Any:  # noqa: ANN401
        value, size, letters = self._anchors.get(event.anchor, (_Open, 0, 0))
        if value is _Open:
            sound = (name for name, (value, *_) in self._anchors.items() if value is not _Open)
            known = [*islice(sound, MAX_DEFECTS)]
            why = "contains itself" if event.anchor in self._anchors else "stands for nothing in this document"
            self._defect(event, f"the alias *{event.anchor} {why}{did_you_mean(event.anchor, known)}")
            return None
        self._nodes += size
        self._aliased += letters
        self._letters += letters
        self._check_size(event)
        return value

    def _check_document(self, event: Any) -> None:  # noqa: ANN401
        if type(event) is yaml.DocumentStartEvent:
            self._anchors = {}
            self._number += 1
            if len(self.roots) == MAX_DOCUMENTS:
                raise _refused(event, f"more than {MAX_DOCUMENTS:,} documents in one file")

    def _check_size(self, event: Any) -> None:  # noqa: ANN401
        if self._nodes > MAX_NODES:
            raise _refused(event, f"more than {MAX_NODES:,} values, every alias counted in full")
        if self._aliased > MAX_ALIASED:
            raise _refused(event, f"aliases that stand for more than {MAX_ALIASED:,} characters")

    def settle(self) -> None:
        """Leave no merge key in what could not be read to its end."""
        for mapping, _ in self._merging:
            mapping.pop(_MERGED, None)

    def _merge(self, collection: Any) -> None:  # noqa: ANN401
        """Put what a merge key stands for into its complete mapping, which goes before it."""
        mapping, event = self._merging[-1]
        if mapping is not collection:
            return
        self._merging.pop()
        value = mapping.pop(_MERGED)
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            self._defect(event, "a merge key takes a mapping, or a list of them")
            return
        for source in sources:
            for key in source:
                if key not in mapping:
                    mapping[key] = source[key]
                    if self._record:
                        self.positions[id(mapping), key] = self.positions[id(source), key]

    def _odd_key(self, mapping: dict[Any, Any], key: Any, event: Any) -> Any:  # noqa: ANN401
        place = _place(event.start_mark)
        if isinstance(key, (dict, list)):
            message = "a whole mapping or list cannot be a key"
            self.note(Defect(place, "invalid-yaml", message, help="if this is a template, commit what it renders to"))
            return _DROPPED
        if not isinstance(key, str):
            defect = Defect(place, "invalid-yaml", f"the key {quoted(key)} is not a string", help="put it in quotes")
            if not isinstance(key, int):
                self.note(defect)
                return _DROPPED
            self.habits.append((self._number, defect))
            key = str(key).lower()
        elif key == "<<" and event.style == "":
            message = 'merge keys ("<<") are not part of YAML 1.2'
            self.habits.append((self._number, Defect(place, "invalid-yaml", message, help="write the fields out")))
            if _MERGED not in mapping:
                self._merging.append((mapping, event))
                return _MERGED
        if key in mapping or (key == "<<" and event.style == ""):
            known = self.positions.get((id(mapping), key))
            message = f"{quoted(key)} is given twice in one mapping"
            first = _place(known[0]) if known else None
            self.note(Defect(place, "duplicate-key", message, first, "remove one of the two"))
            return _DROPPED
        return key

    def _defect(self, event: Any, message: str) -> None:  # noqa: ANN401
        self.note(Defect(_place(event.start_mark), "invalid-yaml", message))


def lines_of(data: bytes) -> list[str]:
    """The lines of a file as an editor counts them, whatever is wrong with it."""
    return _NEW_LINE.split(data.decode("utf-8-sig", "replace"))


def _check_bytes(data: bytes) -> None:
    """Refuse what libyaml would read differently from an editor."""
    if len(data) > MAX_FILE_BYTES:
        message = f"a file of {len(data):,} bytes (limit {MAX_FILE_BYTES:,})"
        raise _Unfit(Defect(Place(1, 1), "invalid-yaml", message, help="split the file"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        place = _place_at(data, error.start)
        raise _Unfit(Defect(place, "invalid-yaml", "not UTF-8", help="save the file as UTF-8")) from None
    if found := _INVISIBLE_BREAK.search(text):
        place = _place_at(data, len(text[: found.start()].encode()))
        message = f"the line break U+{ord(found[0]):04X}, which editors do not show"
        raise _Unfit(Defect(place, "invalid-yaml", message, help=f'write it as "\\u{ord(found[0]):04x}"'))


def _syntax_defect(error: yaml.YAMLError, data: bytes) -> Defect:
    match error:
        case yaml.MarkedYAMLError(problem=problem, problem_mark=mark) if mark is not None:
            place = _place(mark)
            line = "".join(lines_of(data)[place.line - 1 : place.line])
            return Defect(place, "invalid-yaml", str(problem), help=_hint(line, str(problem)))
        case yaml.reader.ReaderError():
            place = _place_at(data, error.position)
            return Defect(place, "invalid-yaml", f"{error.reason} (U+{int(error.character):04X})")
    return Defect(Place(1, 1), "invalid-yaml", str(error))


def _hint(line: str, problem: str) -> str:
    if "{{" in line:
        return "this looks like a template; commit what it renders to"
    if "tab" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces"
    return "compare the indentation and quotes with the lines above"


def holds(value: Any, step: str | int) -> bool:  # noqa: ANN401  # JSON
    """Whether a value has a part of this name or number."""
    if isinstance(value, list):
        return isinstance(step, int) and 0 <= step < len(value)
    return isinstance(value, dict) and step in value


def _place(mark: Any) -> Place:  # noqa: ANN401  # libyaml's marks are not the ones that its types know
    return Place(mark.line + 1, mark.column + 1)


def _place_at(data: bytes, offset: int) -> Place:
    before = lines_of(data[:offset])
    return Place(len(before), len(before[-1]) + 1)
