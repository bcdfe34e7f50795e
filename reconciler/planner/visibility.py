"""Who sees a masked namespace. Nobody whom it is not meant for sees it, not even for a moment.

A namespace is masked, or visible to every host, from the moment at which it is added; SPDK cannot change that later.
What lets somebody in waits for every namespace that they must not see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from backends.contract import Action
from backends.objects import AllowedHost, LiveObject, Namespace, ObjectKey, ObjectKind, VisibleHost
from reconciler.desired import NamespaceWish, SubsystemWish
from reconciler.planner.encryption import is_of
from reconciler.planner.view import View


def renewed(
    present: Mapping[ObjectKey, LiveObject],
    wanted: Mapping[ObjectKey, LiveObject],
    expected: Mapping[ObjectKey, NamespaceWish],
) -> frozenset[ObjectKey]:
    """Live namespaces that are removed, whether or not they are added anew: who sees them goes with them."""
    return frozenset(key for key, thing in present.items() if _goes(thing, wanted.get(key), key in expected))


def _goes(live: LiveObject, wanted: LiveObject | None, is_expected: bool) -> bool:  # noqa: FBT001
    if not isinstance(live, Namespace):
        return False
    if not isinstance(wanted, Namespace):
        return not is_expected
    other = wanted.uuid not in (None, live.uuid) or wanted.nguid not in (None, live.nguid) or wanted.bdev != live.bdev
    return other or live.masked not in (None, wanted.masked)


def masks(staying: Iterable[NamespaceWish], nqn: str, present: Mapping[ObjectKey, LiveObject]) -> Iterator[VisibleHost]:
    """Who goes on seeing live namespaces whose volumes cannot be told for sure at the moment, and nobody else."""
    for entry in staying:
        live = present.get(ObjectKey(ObjectKind.NAMESPACE, f"{nqn}#{entry.nsid}"))
        if isinstance(live, Namespace) and live.masked:
            yield from (host for host in entry.visible(nqn) if host.key in present)


def shown_by(thing: LiveObject) -> ObjectKey | None:
    """The namespace without which something is nothing."""
    return thing.namespace if isinstance(thing, VisibleHost) else None


def exposed(view: View, wish: SubsystemWish) -> tuple[ObjectKey, ...]:
    """Live namespaces that every host sees although only some may: they go before anybody else is let in."""
    return tuple(live.key for live in _masked(view, wish) if live.masked is False)


def unmasked(view: View, wish: SubsystemWish) -> str:
    """Why nobody is let in at the moment: whether a namespace is masked cannot be read."""
    unknown = next((live for live in _masked(view, wish) if live.masked is None), None)
    return f"whether {unknown.key} is masked cannot be read: {view.unread(ObjectKind.VISIBILITY)}" if unknown else ""


def _masked(view: View, wish: SubsystemWish) -> Iterator[Namespace]:
    """Live namespaces that are to be masked."""
    named = {entry.nsid for entry in wish.namespaces if entry.visible_to is not None}
    return (thing for thing in _live(view, wish) if thing.nsid in named)


def _live(view: View, wish: SubsystemWish) -> Iterator[Namespace]:
    return (thing for thing in view.inside.get(wish.subsystem.nqn, ()) if isinstance(thing, Namespace))


def unfit(view: View, wish: SubsystemWish, offered: Iterable[Namespace]) -> tuple[ObjectKey, ...]:
    """Live namespaces that no newcomer may see: those that are masked, and bytes that are not what is declared there.

    Who is in sees them until they go, which may be held; nobody else is to see them meanwhile.
    """
    wanted = {namespace.key: namespace for namespace in offered}
    entries = {entry.nsid: entry for entry in wish.namespaces}
    shown = (live for live in _live(view, wish) if live.masked is not True)
    strange = [live.key for live in shown if not _fits(view, wish, live, entries.get(live.nsid), wanted.get(live.key))]
    return (*exposed(view, wish), *strange, *_late(view, wish, wanted))


def _late(view: View, wish: SubsystemWish, wanted: Collection[ObjectKey]) -> Iterator[ObjectKey]:
    """Requests without a known end that would show everybody what is not declared any more."""
    prefix = f"{wish.subsystem.nqn}#"
    added = {key for key, doubt in view.owned.quarantined.items() if doubt.action is Action.CREATE} - {*wanted}
    return (key for key in sorted(added) if key.kind is ObjectKind.NAMESPACE and key.name.startswith(prefix))


def _fits(
    view: View, wish: SubsystemWish, live: Namespace, entry: NamespaceWish | None, wanted: Namespace | None
) -> bool:
    if entry is None:
        return wish.wish.drift_policy == "ignore" and live.key not in view.records
    if entry.visible_to is not None:
        return True  # what is exposed, and what cannot be read, are told apart already
    if wanted is not None:
        return not _goes(live, wanted, is_expected=False)
    if entry.device:
        return live.bdev == entry.device.bdev.uuid
    record = view.record_of(entry.volume.wish, ObjectKind.LVOL) if entry.volume else None
    return record is not None and is_of(live.bdev, record.uid)


def unseen(view: View, wish: SubsystemWish) -> str:
    """That nobody knows whether what keeps hosts out is in force: only the configuration shows these of a subsystem."""
    why = view.unread(ObjectKind.VISIBILITY)
    keyed = {host.nqn for host in view.target.hosts if host.psk}
    kept_out = {
        "masks": any(entry.visible_to is not None for entry in wish.namespaces),
        "TLS": any(listener.secure_channel for listener in wish.listeners),
        "pre-shared keys": not keyed.isdisjoint(wish.hosts),
    }
    named = ", ".join(what for what, is_declared in kept_out.items() if is_declared)
    return f"whether these are in force cannot be read: {named}: {why}" if why and named else ""


def intruders(view: View, wish: SubsystemWish, host: AllowedHost, going: frozenset[ObjectKey]) -> tuple[ObjectKey, ...]:
    """What must go before a host is let in: entries by which it would see namespaces that are not meant for it."""
    wanted = {entry.key for namespace in wish.namespaces for entry in namespace.visible(host.nqn)}
    inside = view.inside.get(host.nqn, ())
    entries = (thing for thing in inside if isinstance(thing, VisibleHost) and thing.host == host.host)
    strange = [entry for entry in entries if entry.key not in wanted or entry.namespace in going]
    return tuple(entry.namespace if entry.namespace in going else entry.key for entry in strange)


def late_guests(view: View, namespace: Namespace) -> tuple[ObjectKey, ...]:
    """Requests without a known end that would show somebody what is under this id by then."""
    prefix = f"{namespace.key.name}#"
    doubtful = (key for key in view.owned.quarantined if key.kind is ObjectKind.VISIBILITY)
    return tuple(key for key in doubtful if key.name.startswith(prefix))
