"""Prefixes and suffixes of names, and the references that follow them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from analyzer.roots.field_specs import found
from analyzer.roots.item import Identity, Item
from analyzer.roots.name_fields import NameField, name_fields
from analyzer.roots.problem import broken
from analyzer.roots.tree import Origin
from schemas.resources import OUR_GROUP
from schemas.validation import Path

LONGEST = 253  # characters of a name, in Kubernetes
_NEVER_RENAMED = ("CustomResourceDefinition", "Namespace")
_ByName: TypeAlias = Mapping[tuple[str, str], Sequence[Item]]


def rename(items: Iterable[Item], prefix: str, suffix: str, said: Origin) -> None:
    """Put a prefix and a suffix to every name. `said`: where they are given."""
    for item in items:
        kind, group = item.original.kind, item.original.group
        if kind in _NEVER_RENAMED or (kind == "APIService" and group == "apiregistration.k8s.io"):
            continue
        name = f"{prefix}{item.name}{suffix}"
        if len(name) > LONGEST:
            raise broken(said, f"a name of {len(name):,} characters (limit {LONGEST})")
        item.remember()
        item.prefixes += (prefix,) if prefix else ()
        item.suffixes += (suffix,) if suffix else ()
        item.tree.edit(("metadata", "name"), name)


def follow(items: Sequence[Item]) -> None:
    """Let every reference name what it named before things were renamed."""
    renamed: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        for kind, name in dict.fromkeys((old.kind, old.name) for old in item.before):
            renamed[kind, name].append(item)
    if not renamed:
        return
    for item in items:
        for field in name_fields().get(item.kind, ()):
            if field.field.concerns(item):
                for path in list(found(item, field.field.path)):
                    _follow(item, path, field, renamed)


def _follow(item: Item, path: Path, field: NameField, renamed: _ByName) -> None:
    value = item.tree.get(path)
    if isinstance(value, str):
        target = _target(item, value, field, renamed, lambda _: True)
        if target and target.name != value:
            item.tree.edit(path, target.name)
    elif isinstance(value, dict) and isinstance(value.get("name"), str):
        namespace = value.get("namespace")
        target = _target(item, value["name"], field, renamed, _in(namespace) if namespace else lambda _: True)
        if target:
            item.tree.edit((*path, "name"), target.name)
            if target.namespace:
                item.tree.create((*path, "namespace"), target.tree.part(("metadata", "namespace")))


def _in(namespace: object) -> Callable[[Item], bool]:
    return lambda item: namespace in (item.original.namespace, item.identity.namespace)


def _target(item: Item, name: str, field: NameField, renamed: _ByName, fits: Callable[[Item], bool]) -> Item | None:
    """The one resource that is meant; None where there is none, or several that cannot be told apart."""
    candidates = [
        other
        for other in renamed.get((field.names, name), ())
        if any(_is(old, field, name) for old in other.before) and fits(other) and _visible(item, other, field)
    ]
    for exact in (False, True):
        if len(candidates) > 1:
            candidates = [other for other in candidates if _same_layers(item, other, exact=exact)]
    if len({(other.name, other.namespace) for other in candidates}) == 1:
        return candidates[0]
    return None


def _is(old: Identity, field: NameField, name: str) -> bool:
    return old.kind == field.names and old.name == name and (field.group is None or old.group == field.group)


def _visible(item: Item, other: Item, field: NameField) -> bool:
    """Whether a resource can refer to another: in its namespace, or where one of the two has none."""
    if field.field.path[-2:] == ("roleRef", "name") and item.tree.get(("roleRef", "kind")) != other.original.kind:
        return False
    if item.cluster_wide or other.cluster_wide or field.names == "ServiceAccount":
        return True
    return item.identity.namespace == other.identity.namespace or _either(item, other)


def _either(item: Item, other: Item) -> bool:
    """Kinds of ours that may have a namespace or none refer across."""
    return item.group == other.group == OUR_GROUP and "" in (item.namespace, other.namespace)


def _same_layers(item: Item, other: Item, *, exact: bool) -> bool:
    """Whether two have been given the same prefixes and suffixes by the kustomizations that both went through."""
    return all(
        _same_end(mine, theirs) or (not exact and not (mine and theirs))
        for mine, theirs in ((item.prefixes, other.prefixes), (item.suffixes, other.suffixes))
    )


def _same_end(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    if not shared:
        return len(one) == len(other)
    return one[len(one) - shared :] == other[len(other) - shared :]
