"""What `nvmf_get_subsystems` does not tell: ANA reporting, who sees a masked namespace, pre-shared keys, TLS.

`framework_get_config nvmf` shows it as the calls that would make it (observed on v26.05). Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from backends.objects import AllowedHost, Listener, LiveObject, Namespace, ObjectKey, ObjectKind, Subsystem, VisibleHost
from backends.spdk.model import listener
from backends.spdk.shape import Raw, flag, mapping, number, objects, shape, text, typed
from schemas.resources import Json


@dataclass(frozen=True)
class Hidden:
    """The hidden part of every subsystem."""

    ana_reporting: Mapping[str, bool] = field(default_factory=dict)  # by NQN
    masked: Mapping[ObjectKey, bool] = field(default_factory=dict)  # by namespace
    visible: tuple[VisibleHost, ...] = ()
    psk: Mapping[ObjectKey, str] = field(default_factory=dict)  # name of the key by host; "" for none
    secure: Mapping[ObjectKey, bool] = field(default_factory=dict)  # by listener


def hidden(answer: Json) -> Hidden:
    """Raises Malformed for anything of an unexpected shape."""
    reporting: dict[str, bool] = {}
    masked: dict[ObjectKey, bool] = {}
    visible: list[VisibleHost] = []
    psk: dict[ObjectKey, str] = {}
    secure: dict[ObjectKey, bool] = {}
    with shape("framework_get_config"):
        for call in objects(answer):
            params = call.get("params")
            match text(call, "method"):
                case "nvmf_create_subsystem":
                    about = mapping(params)
                    reporting[text(about, "nqn")] = flag(about, "ana_reporting")
                case "nvmf_subsystem_add_ns":
                    key, is_masked = _namespace(mapping(params))
                    masked[key] = is_masked
                case "nvmf_subsystem_add_host":
                    about = mapping(params)
                    psk[AllowedHost(text(about, "nqn"), text(about, "host")).key] = typed(about.get("psk", ""), str)
                case "nvmf_subsystem_add_listener":
                    about = mapping(params)
                    key = listener(text(about, "nqn"), mapping(about["listen_address"])).key
                    secure[key] = typed(about.get("secure_channel", False), bool)
                case "nvmf_ns_add_host":
                    about = mapping(params)
                    visible.append(VisibleHost(text(about, "nqn"), number(about, "nsid"), text(about, "host")))
    return Hidden(reporting, masked, tuple(visible), psk, secure)


def _namespace(about: Raw) -> tuple[ObjectKey, bool]:
    namespace = mapping(about["namespace"])
    key = ObjectKey(ObjectKind.NAMESPACE, f"{text(about, 'nqn')}#{number(namespace, 'nsid')}")
    return key, flag(namespace, "no_auto_visible") if "no_auto_visible" in namespace else False


def revealed(things: Iterable[LiveObject], found: Hidden) -> tuple[LiveObject, ...]:
    """Objects with what is hidden of them, and the hosts that see masked namespaces."""
    return (*(_revealed(thing, found) for thing in things), *found.visible)


def _revealed(thing: LiveObject, found: Hidden) -> LiveObject:
    match thing:
        case Subsystem(nqn=nqn) if nqn in found.ana_reporting:
            return dataclasses.replace(thing, ana_reporting=found.ana_reporting[nqn])
        case Namespace() if (masked := found.masked.get(thing.key)) is not None:
            return dataclasses.replace(thing, masked=masked)
        case AllowedHost() if (psk := found.psk.get(thing.key)) is not None:
            return dataclasses.replace(thing, psk=psk)
        case Listener() if (secure := found.secure.get(thing.key)) is not None:
            return dataclasses.replace(thing, secure_channel=secure)
    return thing


def of_subsystem(nqn: str, things: Iterable[LiveObject], found: Hidden) -> Iterator[LiveObject]:
    """The same for one subsystem alone."""
    own = dataclasses.replace(found, visible=tuple(entry for entry in found.visible if entry.nqn == nqn))
    return iter(revealed(things, own))
