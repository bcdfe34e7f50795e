"""What a patch or a replacement is for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from analyzer.roots.config import given
from analyzer.roots.item import Identity, Item, matches_selector
from analyzer.roots.problem import broken
from analyzer.roots.tree import Origin
from schemas.validation import pattern


@dataclass(frozen=True, slots=True)
class Target:
    """Each field is a regular expression that has to match as a whole; empty ones match everything."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    labels: str = ""
    annotations: str = ""


def target_of(origin: Origin) -> Target:
    """The target that is written at a place. Raises Unrenderable for what is no regular expression, or no selector."""
    names = {name: given(origin, name) for name in Identity._fields}
    labels, annotations = given(origin, "labelSelector"), given(origin, "annotationSelector")
    try:
        for text in names.values():
            _whole(text)
        for selector in (labels, annotations):
            matches_selector(selector, {})
    except ValueError as error:
        raise broken(origin, str(error)) from None
    return Target(**names, labels=labels, annotations=annotations)


def picks(target: Target, item: Item) -> bool:
    """Whether a resource is meant, by what it is called now or was called at first."""
    if not (_matches(target.kind, item.kind) and (item.before or _matches(target.name, item.name))):
        return False
    old, now = item.original, item.identity
    return (
        any(_matches(target.namespace, one.namespace) for one in (old, now))
        and any(_matches(target.name, one.name) for one in (old, now))
        and _matches(target.group, now.group)
        and _matches(target.version, now.version)
        and matches_selector(target.labels, item.tree.get(("metadata", "labels")))
        and matches_selector(target.annotations, item.tree.get(("metadata", "annotations")))
    )


def fits(target: Target, identity: Identity) -> bool:
    """Whether a resource of this identity is meant."""
    return all(_matches(getattr(target, name), getattr(identity, name)) for name in Identity._fields)


def _matches(text: str, value: str) -> bool:
    return not text or text == value or _whole(text)(value)


@functools.lru_cache(maxsize=4096)
def _whole(text: str) -> Callable[[str], bool]:
    return pattern(f"^(?:{text})$")
