"""In which sets a manifest is: the indexes that lookups go by, each under a name."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from analyzer.edges import Chooser, choosers_of
from analyzer.indexes import INDEXES, Index
from analyzer.manifest import Manifest
from schemas.resources import OUR_GROUP, ResourceKey, unqualified

Name: TypeAlias = "tuple[str | ResourceKey | None, ...]"  # of a set, or of something that was asked

ALL: Name = ("all",)
AGAIN: Name = ("again",)  # what is declared more than once
KNOTTED: Name = ("knotted",)  # what is in a circle
EMPTY: Name = ("empty",)


def memberships(manifest: Manifest) -> Iterator[Name]:
    """The sets that the one manifest of a key is in, by what it is alone."""
    key = manifest.key
    yield ALL
    yield ("names", key.group, key.kind, key.namespace)
    if manifest.kind is None:
        return
    kind = key.kind_name
    yield ("kind", kind)
    if not manifest.sound:
        yield ("unsound", key.group)
    for label in manifest.resource.labels.items():
        yield from (("labelled", kind, space, *label) for space in _spaces(manifest))
    for chooser in choosers_of(manifest):
        yield _chooses(chooser)
    for index in indexes_of(kind) if manifest.sound else ():
        yield from (("index", index.name, value) for value in index.values(manifest))


def candidates(chooser: Chooser) -> Name:
    """The set of what a selector may choose."""
    if chooser.label:
        return ("labelled", chooser.wanted, chooser.namespace, *chooser.label)
    group, kind = unqualified(chooser.wanted)
    if not chooser.names or group == OUR_GROUP:
        return EMPTY  # these choose nothing by nothing
    return ("names", group, kind, chooser.namespace)


def choosing(manifest: Manifest, *, names: bool) -> Iterator[Name]:
    """The sets of those whose selectors may choose a resource."""
    labels: Iterable[tuple[str, ...]] = [(), *manifest.resource.labels.items()] if manifest.kind else []
    for space in _spaces(manifest):
        for label in labels:
            yield (_sort(names=names), manifest.key.kind_name, space, *label)


def _chooses(chooser: Chooser) -> Name:
    return (_sort(names=chooser.names), chooser.wanted, chooser.namespace, *(chooser.label or ()))


def _sort(*, names: bool) -> str:
    return "names-by-label" if names else "selects-by-label"


def _spaces(manifest: Manifest) -> tuple[str | None, str | None]:
    """Where selectors look for it: in its own namespace, and in all of them."""
    return (manifest.key.namespace, None)


@functools.cache
def indexes_of(kind: str) -> tuple[Index, ...]:
    """Asked when all indexes are known: they are made as the rules are imported."""
    return tuple(index for index in INDEXES.values() if kind in index.kinds)
