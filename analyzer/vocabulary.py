"""The kinds of one revision: those that Holdfast knows, and those that the repository defines itself: by the
CustomResourceDefinitions in it, and by the schemas in the folders that the policy names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analyzer.document import MAX_REMEMBERED, Document, Parsed, load
from analyzer.finding import Location
from analyzer.manifest import Decoded, decode
from analyzer.patterns import matches_path
from analyzer.snapshot import Blob, Snapshot
from schemas.custom import Definition, definition_of_crd, definition_of_schema, extended, is_crd
from schemas.kinds import Kind, Kinds, kinds
from schemas.resources import Json

MAX_DEFINITIONS = 20_000  # that are remembered

Odd = tuple[Location, str]


@dataclass(frozen=True)
class SchemaFolder:
    """A file or folder with schemas, and where the policy names it."""

    path: str
    place: Location

    def holds(self, path: str) -> bool:
        return matches_path(self.path, path)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What a repository defines. `files`: those that hold nothing but schemas, so that they are no manifests."""

    more: Kinds | None = None  # None: nothing
    files: frozenset[str] = frozenset()
    problems: tuple[Odd, ...] = ()

    def learned(self, declaration: Decoded) -> Decoded:
        """A declaration with the kind that the repository defines, where nobody else knows one."""
        if self.more is None or declaration.kind is not None or not declaration.api_version:
            return declaration
        kind = self.more.find(declaration.api_version, declaration.kind_name)
        return _decoded(declaration.document, declaration.path, kind) if kind else declaration


def vocabulary_of(snapshot: Snapshot, folders: tuple[SchemaFolder, ...], defining: Iterable[str]) -> Vocabulary:
    """The kinds of a snapshot. `folders` hold schemas; `defining` are the other files in which there is a CRD."""
    inside = tuple(blob for blob in _all(snapshot) if any(folder.holds(blob.path) for folder in folders))
    others = tuple(snapshot.blobs[path] for path in defining if not any(folder.holds(path) for folder in folders))
    missing = [folder for folder in folders if not any(folder.holds(blob.path) for blob in inside)]
    return _vocabulary(inside, others, tuple(missing))


def defines(parsed: Parsed) -> bool:
    """Whether a file holds a definition of kinds."""
    return any(is_crd(document.value) for document in parsed.documents)


@functools.lru_cache(maxsize=64)
def _vocabulary(inside: tuple[Blob, ...], others: tuple[Blob, ...], missing: tuple[SchemaFolder, ...]) -> Vocabulary:
    found = [*_definitions(inside), *_definitions(others, only_crds=True)]
    definitions = [definition for _, definition in found if definition.schemas]
    schema_files = [blob for blob in inside if not defines(load(blob))]
    nothing = ((f.place, f"there is no schema in {f.path}; `schemas` names folders and files") for f in missing)
    return Vocabulary(
        extended(kinds(), definitions) if definitions else None,
        frozenset(blob.path for blob in schema_files),
        (
            *(problem for blob in schema_files for problem in _defects(blob)),
            *(problem for place, definition in found for problem in _told(place, definition)),
            *nothing,
        ),
    )


def _defects(blob: Blob) -> Iterator[Odd]:
    """What keeps a file with schemas from being read."""
    source = load(blob).source
    for defect in load(blob).defects:
        yield source.at(blob.path, defect.place), defect.message


Place = tuple[Blob, Document]


def _definitions(blobs: Iterable[Blob], *, only_crds: bool = False) -> Iterator[tuple[Place, Definition]]:
    for blob in blobs:
        for document in load(blob).documents:
            if document.broken:
                continue
            if isinstance(document.value, dict) and is_crd(document.value):
                yield (blob, document), defined_by(document)
            elif not (only_crds or _is_manifest(document.value)):
                yield (blob, document), _described_by(document, blob.path)


@functools.lru_cache(maxsize=MAX_DEFINITIONS)
def defined_by(document: Document) -> Definition:
    """What a CustomResourceDefinition defines, read once however many others change."""
    return definition_of_crd(document.value) if isinstance(document.value, dict) else Definition()


@functools.lru_cache(maxsize=MAX_DEFINITIONS)
def _described_by(document: Document, path: str) -> Definition:
    return definition_of_schema(document.value, path)


def _is_manifest(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str)


def _told(place: Place, definition: Definition) -> Iterator[Odd]:
    """What is wrong with a plain schema; of a CRD, which is a manifest, a rule tells."""
    blob, document = place
    for flaw in () if is_crd(document.value) else definition.flaws:
        yield document.source.at(blob.path, document.place(flaw.path)), flaw.message


def _all(snapshot: Snapshot) -> Iterator[Blob]:
    named: Mapping[str, Blob | None] = {**snapshot.others, **snapshot.blobs}
    return (blob for _, blob in sorted(named.items()) if blob is not None)


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def _decoded(document: Document, path: str, kind: Kind) -> Decoded:
    return decode(document, path, Kinds({(kind.api_version, kind.name): lambda: kind}))
