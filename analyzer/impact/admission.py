"""Which hosts a subsystem lets in, and what a change of lists, selectors, labels and portals means to them. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from analyzer.access.api import HUB
from analyzer.edges import Reference
from analyzer.graph import ResourceGraph
from analyzer.hazards import FieldChange, Pair
from schemas.resources import ResourceKey

_HOSTS = ("spec", "hosts")
_LABELS = "metadata.labels."
_PORTALS = "spec.portals[name="
_REFS = "spec.hosts.refs["
_SELECTOR = "spec.hosts.selector"
STILL_IN = "every host that it let in is still let in"
_TENANTS = "spec.allowedNamespaces"


def admitting(graph: ResourceGraph, host: ResourceKey) -> frozenset[ResourceKey]:
    """The subsystems that name a host, or pick it by its labels."""
    return frozenset(reference.source for reference in graph.incoming_to(host) if _admits(reference))


def admitted(graph: ResourceGraph, subsystem: ResourceKey) -> frozenset[ResourceKey]:
    """The declared hosts that a subsystem names, or picks by their labels."""
    targets = (reference.target for reference in graph.references(subsystem) if _admits(reference))
    return frozenset(target for target in targets if graph.get(target))


def _admits(reference: Reference) -> bool:
    return reference.source.kind_name == "Subsystem" and reference.path[:2] == _HOSTS


def felt_through_selectors(
    pair: Pair, base: ResourceGraph, head: ResourceGraph, fields: Iterable[FieldChange]
) -> tuple[FieldChange, ...]:
    """The changes of a host with what they mean to the subsystems that pick it by its labels; those of a subsystem's
    hosts with whether anybody is put out by them.
    """
    if pair.key.kind_name == "Subsystem" and pair.before and pair.after:
        return _of_guests(base, head, pair.before.key, pair.after.key, fields)
    if pair.before is None:
        return tuple(fields)
    if pair.key.kind_name == "Target":
        used = {reference.part for reference in base.incoming_to(pair.before.key)}
        return tuple(_at_portal(field, used) for field in fields)
    if pair.key.group == HUB and pair.after:
        return _of_members(base, head, pair.before.key, pair.after.key, fields)
    if pair.key.kind_name != "Host":
        return tuple(fields)
    before = admitting(base, pair.before.key)
    after = admitting(head, pair.after.key) if pair.after else frozenset()
    own = _nqns(base, [pair.before.key])
    lost = {key for key in before - after if head.get(key) and own - _nqns(head, admitted(head, key))}
    gained = {key for key in after - before if base.get(key)}
    return tuple(_felt(field, base, head, lost, gained) for field in fields)


def _at_portal(field: FieldChange, used: Container[str]) -> FieldChange:
    """A portal on which no subsystem listens, such as that of discovery, takes nothing from anybody."""
    name = field.name.removeprefix(_PORTALS).partition("]")[0] if field.name.startswith(_PORTALS) else ""
    if not name or name in used or field.hazard != "disruptive":
        return field
    return replace(field, hazard="safe", reason="no subsystem listens there")


def _of_members(
    base: ResourceGraph, head: ResourceGraph, before: ResourceKey, after: ResourceKey, fields: Iterable[FieldChange]
) -> tuple[FieldChange, ...]:
    """Labels of an API or an application: subscriptions, offers, bundles and limits pick it by them."""
    old, new = ({r.source for r in graph.incoming_to(key)} for graph, key in ((base, before), (head, after)))
    lost = {key for key in old - new if head.get(key)}
    gained = {key for key in new - old if base.get(key)}
    return tuple(
        _felt(field, base, head, lost, gained) if field.name.startswith(_LABELS) else field for field in fields
    )


def _of_guests(
    base: ResourceGraph, head: ResourceGraph, before: ResourceKey, after: ResourceKey, fields: Iterable[FieldChange]
) -> tuple[FieldChange, ...]:
    """Who is struck off a list, or out of a selector, and is let in all the same loses nothing."""
    stay = _nqns(head, admitted(head, after))
    out = {host: nqn for host, nqn in _by_host(base, admitted(base, before)).items() if nqn not in stay}

    def loses(field: FieldChange) -> bool:
        named = field.name.removeprefix(_REFS).rstrip("]") if field.name.startswith(_REFS) else ""
        return any(host.name == named for host in out) if named else bool(out)

    return tuple(
        replace(field, hazard="safe", reason=STILL_IN)
        if field.hazard == "disruptive" and field.name.startswith((_REFS, _SELECTOR)) and not loses(field)
        else field
        for field in fields
    )


def _by_host(graph: ResourceGraph, hosts: Iterable[ResourceKey]) -> dict[ResourceKey, str]:
    found = ((host, graph.get(host)) for host in hosts)
    return {host: str(manifest.spec["nqn"]) for host, manifest in found if manifest and manifest.sound}


def _nqns(graph: ResourceGraph, hosts: Iterable[ResourceKey]) -> set[str]:
    return set(_by_host(graph, hosts).values())


def _felt(
    field: FieldChange, base: ResourceGraph, head: ResourceGraph, lost: set[ResourceKey], gained: set[ResourceKey]
) -> FieldChange:
    out = tuple(sorted(key for key in lost if _is_why(field, base, key)))
    into = tuple(sorted(key for key in gained if _is_why(field, head, key)))
    if out:
        what = "this host, which loses what it has" if out[0].kind_name == "Subsystem" else "it"
        reason = f"{_named(out)} no longer {'picks' if len(out) == 1 else 'pick'} {what}"
        return replace(field, hazard="disruptive", reason=reason, alone=False, concerns=(*out, *into))
    if into:
        return replace(field, reason=f"picked by {_named(into)} now", alone=False, concerns=into)
    return field


def _is_why(field: FieldChange, graph: ResourceGraph, owner: ResourceKey) -> bool:
    """Whether a change of a resource bears on a selector: it goes, is kept from the tenant, or a label differs."""
    if not field.path or field.name.startswith(_TENANTS):
        return True
    return field.name.startswith(_LABELS) and field.name.removeprefix(_LABELS) in _asked_for(graph[owner].resource.spec)


def _asked_for(value: object) -> set[str]:
    """The names of the labels that selectors anywhere in a value ask for."""
    if isinstance(value, list):
        return set().union(*map(_asked_for, value))
    if not isinstance(value, Mapping):
        return set()
    expressions = value.get("matchExpressions")
    keys = {str(each.get("key")) for each in expressions if isinstance(each, Mapping)} if expressions else set()
    labels = value.get("matchLabels")
    return keys.union(labels if isinstance(labels, Mapping) else (), *map(_asked_for, value.values()))


def _named(keys: tuple[ResourceKey, ...]) -> str:
    return ", ".join(map(str, keys))
