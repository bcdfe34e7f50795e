"""What a target is asked to do for what is declared on it: the features that its `--rpcs-allowed` must permit. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast, get_args

from backends.fields import feature_of
from backends.objects import LiveObject, ObjectKind
from reconciler.desired import (
    Consent,
    DesiredState,
    HostWish,
    NamespaceWish,
    PoolWish,
    SnapshotWish,
    SubsystemWish,
    TargetWish,
    VolumeWish,
)

_LIVE: tuple[type, ...] = get_args(LiveObject)
_MEMORY = f"{ObjectKind.BDEV}/malloc"  # the one device whose bytes a Removal can be about
_MASKED = f"{ObjectKind.NAMESPACE}/masked"
_DESTROYED = {
    "Volume": str(ObjectKind.LVOL),
    "VolumeSnapshot": str(ObjectKind.LVOL),
    "StoragePool": str(ObjectKind.LVOL_STORE),
    "BlockDevice": _MEMORY,
}


def features(desired: DesiredState, target: str) -> frozenset[str]:
    """What is made, changed, repaired and removed on a target for one revision, as `feature_of` names it."""
    wish = desired.targets[target]
    found = {feature for thing in _within(wish) for feature in _features(thing)}
    return frozenset(found | {_DESTROYED[consent.ref.kind] for consent in desired.consents if _known(consent)})


def _known(consent: Consent) -> bool:
    return consent.ref.kind in _DESTROYED


def _within(thing: object) -> Iterator[object]:
    """A wish and everything inside it."""
    yield thing
    if isinstance(thing, tuple):
        for part in thing:
            yield from _within(part)
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        for field in dataclasses.fields(thing):
            yield from _within(getattr(thing, field.name))


def _features(thing: object) -> Iterable[str]:
    """What one part of a wish asks for. A live object says so itself; others stand for what the planner makes."""
    if isinstance(thing, _LIVE):
        return (feature_of(cast(LiveObject, thing)),)
    return _IMPLIED.get(type(thing), lambda _: ())(thing)


def _volume(volume: VolumeWish) -> Iterable[str]:
    match volume.source:
        case None:
            return (ObjectKind.LVOL,)
        case SnapshotWish():
            return (f"{ObjectKind.LVOL}/clone",)
    return (f"{ObjectKind.LVOL}/image",)


_IMPLIED: Mapping[type, Callable[[Any], Iterable[str]]] = {
    TargetWish: lambda target: () if target.referrals is None else (ObjectKind.REFERRAL,),
    PoolWish: lambda _: (ObjectKind.LVOL_STORE,),
    VolumeWish: _volume,
    SnapshotWish: lambda _: (f"{ObjectKind.LVOL}/snapshot",),
    # also what somebody else put into a subsystem is taken out, and a limit that somebody else has set is lifted
    SubsystemWish: lambda _: (ObjectKind.HOST, ObjectKind.NAMESPACE, ObjectKind.VISIBILITY, ObjectKind.LISTENER),
    NamespaceWish: lambda entry: (ObjectKind.QOS, *([] if entry.visible_to is None else [_MASKED])),
    HostWish: lambda host: (
        ObjectKind.KEY,
        *((f"{ObjectKind.HOST}/dhchap",) if host.key else ()),
        *((f"{ObjectKind.HOST}/psk",) if host.psk else ()),
    ),
}
