"""Which hosts a subsystem lets in, and what it means to a host when its labels, or its going, change that. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from analyzer.graph import Reference, ResourceGraph
from analyzer.hazards import FieldChange, Pair
from schemas.resources import ResourceKey

_HOSTS = ("spec", "hosts")
_LABELS = "metadata.labels."
_TENANTS = "spec.allowedNamespaces"


def admitting(graph: ResourceGraph, host: ResourceKey) -> frozenset[ResourceKey]:
    """The subsystems that name a host, or pick it by its labels."""
    return frozenset(reference.source for reference in graph.incoming.get(host, ()) if _admits(reference))


def admitted(graph: ResourceGraph, subsystem: ResourceKey) -> frozenset[ResourceKey]:
    """The declared hosts that a subsystem names, or picks by their labels."""
    targets = (reference.target for reference in graph.references(subsystem) if _admits(reference))
    return frozenset(target for target in targets if target in graph.manifests)


def _admits(reference: Reference) -> bool:
    return reference.source.kind == "Subsystem" and reference.path[:2] == _HOSTS


def felt_through_selectors(
    pair: Pair, base: ResourceGraph, head: ResourceGraph, fields: Iterable[FieldChange]
) -> tuple[FieldChange, ...]:
    """The changes of a host with what they mean to the subsystems that pick it by its labels."""
    if pair.key.kind != "Host" or pair.before is None:
        return tuple(fields)
    before = admitting(base, pair.before.key)
    after = admitting(head, pair.after.key) if pair.after else frozenset()
    lost = {key for key in before - after if key in head.manifests}
    gained = {key for key in after - before if key in base.manifests}
    return tuple(_felt(field, base, head, lost, gained) for field in fields)


def _felt(
    field: FieldChange, base: ResourceGraph, head: ResourceGraph, lost: set[ResourceKey], gained: set[ResourceKey]
) -> FieldChange:
    out = tuple(sorted(key for key in lost if _is_why(field, base, key)))
    into = tuple(sorted(key for key in gained if _is_why(field, head, key)))
    if out:
        reason = f"{_named(out)} no longer {'picks' if len(out) == 1 else 'pick'} this host, which loses what it has"
        return replace(field, hazard="disruptive", reason=reason, alone=False, concerns=(*out, *into))
    if into:
        return replace(field, reason=f"picked by {_named(into)} now", alone=False, concerns=into)
    return field


def _is_why(field: FieldChange, graph: ResourceGraph, subsystem: ResourceKey) -> bool:
    """Whether a change of a host bears on a selector: it goes, is kept from the tenant, or a label differs."""
    if not field.path or field.name.startswith(_TENANTS):
        return True
    selector = graph.manifests[subsystem].spec["hosts"].get("selector", {})
    return field.name.removeprefix(_LABELS) in selector.get("matchLabels", {}) and field.name.startswith(_LABELS)


def _named(keys: tuple[ResourceKey, ...]) -> str:
    return ", ".join(map(str, keys))
