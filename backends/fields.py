"""What of live objects is declared and compared, and what a target must offer for them."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from backends.objects import (
    AllowedHost,
    Bdev,
    Latency,
    Listener,
    LiveObject,
    Lvol,
    Namespace,
    NvmePath,
    ObjectKind,
    QosLimits,
)
from schemas.resources import Json


def fields_of(thing: LiveObject | QosLimits | None) -> dict[str, Json]:
    """The declared fields that have a value, in declaration order, as JSON."""
    if thing is None:
        return {}
    names, values = _declared(type(thing))
    found = {name: value for name, value in zip(names, values(thing), strict=True) if value is not None}
    return found if _PLAIN.issuperset(map(type, found.values())) else _as_json(found)


def _as_json(values: dict[str, Any]) -> dict[str, Json]:
    """With what consists of several values taken apart."""
    found: dict[str, Json] = {}
    for name, value in values.items():
        if isinstance(value, QosLimits):
            found |= fields_of(value)
        elif isinstance(value, Latency):
            found |= {name: getattr(value, name) for name in Latency.__slots__}
        elif isinstance(value, tuple):
            found[name] = [*value]
        else:
            found[name] = value
    return found


FABRICS = f"{ObjectKind.NVME_PATH}/fabrics"  # over a network; a PCIe address has no port


def feature_of(thing: LiveObject) -> str:  # noqa: PLR0911  # one arm per kind
    """What a target must offer for an object of this kind, as `Observed.unsupported` names it."""
    match thing:
        case Bdev():
            return f"{thing.kind}/{thing.driver}"
        case Lvol(snapshot_of=str()):
            return f"{thing.kind}/snapshot"
        case Lvol(clone_of=str()):
            return f"{thing.kind}/clone"
        case Lvol(image=str()):
            return f"{thing.kind}/image"
        case Namespace(masked=True):
            return f"{thing.kind}/masked"
        case NvmePath(port=int()):
            return FABRICS
        case AllowedHost(dhchap_key=key) if key:
            return f"{thing.kind}/dhchap"
        case AllowedHost(psk=str(psk)) if psk:
            return f"{thing.kind}/psk"
        case Listener(ana=str()):
            return f"{thing.kind}/ana"
    return str(thing.kind)


_PLAIN = frozenset({str, int, bool})
_Fields: TypeAlias = "tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]"
_DECLARED: dict[type[LiveObject | QosLimits], _Fields] = {}


def _declared(kind: type[LiveObject | QosLimits]) -> _Fields:
    """The fields of a kind that are no facts, two at least: their names, and their values of an object.

    Asked for every object, so worked out once.
    """
    if kind not in _DECLARED:
        names = tuple(f.name for f in dataclasses.fields(kind) if not f.metadata.get("fact"))
        _DECLARED[kind] = names, operator.attrgetter(*names)
    return _DECLARED[kind]
