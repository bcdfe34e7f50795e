"""Subsystems, hosts and listeners, as wishes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from backends.ana_states import ana_text
from backends.objects import DISCOVERY, Listener, Subsystem
from reconciler import devices, identity
from reconciler.desired import FrontWish, HostWish, NamespaceWish, Secret, SubsystemWish, Wish
from reconciler.resolving.catalogue import Catalogue, spec_of
from reconciler.resolving.common import Common
from reconciler.resolving.storage import Storage
from schemas.limits import picks
from schemas.resources import Resource


class Exports:
    """Subsystems with their hosts, namespaces and listeners."""

    def __init__(self, catalogue: Catalogue, common: Common, storage: Storage) -> None:
        self._all, self._common, self._storage = catalogue, common, storage

    def subsystem(self, resource: Resource, target: Resource) -> SubsystemWish:
        spec, key = spec_of(resource), resource.key
        export = next(e for e in spec["exports"] if e["targetRef"] == target.key.name)
        nqn = spec.get("nqn", identity.derived_nqn(self._all.site, key))
        portals = {portal["name"]: portal for portal in spec_of(target)["portals"]}
        return SubsystemWish(
            self._common.wish(resource, spec),
            Subsystem(
                nqn=nqn,
                serial_number=spec.get("serialNumber", identity.derived_serial(self._all.site, key)),
                model_number=spec["modelNumber"],
                max_namespaces=spec["maxNamespaces"],
                min_cntlid=export["cntlidRange"][0],
                max_cntlid=export["cntlidRange"][1],
                allow_any_host=spec["hosts"]["any"],
                ana_reporting=spec["anaReporting"],
            ),
            hosts=tuple(
                sorted((self._allowed(spec["hosts"], key.namespace) | self._proven(spec)) - self._itself(export))
            ),
            namespaces=tuple(
                self._namespace(n, spec, "" if "attachAs" in export else key.namespace)
                for n in sorted(spec["namespaces"], key=_nsid)
            ),
            front=self._front(resource, spec, nqn, export) if "attachAs" in export else None,
            listeners=tuple(listener(nqn, portals[name], _ana(spec, export)) for name in sorted(export["portals"])),
        )

    def _allowed(self, hosts: Mapping[str, Any], namespace: str) -> set[str]:
        """NQNs of the hosts that are named, and of those whose labels are."""
        named = {self._host(name) for name in hosts["refs"]}
        selector = hosts.get("selector")
        return named | {spec_of(host)["nqn"] for host in self._all.of("Host") if picks(selector, namespace, host)}

    def _proven(self, spec: Mapping[str, Any]) -> set[str]:
        """NQNs that any host could give as its own, but for the key that the Host of that name is to prove it by.

        A host is asked for its key only where it is listed, also when every host may connect.
        """
        if not spec["hosts"]["any"]:
            return set()
        seeing = {name for entry in spec["namespaces"] for name in entry.get("visibleTo", ())}
        return {self._host(name) for name in seeing if "dhchap" in self._all.get("Host", "", name).spec}

    def _itself(self, export: Mapping[str, Any]) -> set[str]:
        """The host NQN of a front target, which must not attach what it exports."""
        return {self._host(export["attachAs"])} if "attachAs" in export else set()

    def _front(self, resource: Resource, spec: Mapping[str, Any], nqn: str, export: Mapping[str, Any]) -> FrontWish:
        """The owner is the target that attaches nothing; all its portals are ways to it."""
        owner = next(e for e in spec["exports"] if "attachAs" not in e)
        portals = {
            portal["name"]: portal for portal in spec_of(self._all.get("Target", "", owner["targetRef"]))["portals"]
        }
        name, host = identity.object_name(self._all.site, resource.key), self._host(export["attachAs"])
        ways = (portals[portal] for portal in sorted(owner["portals"]))
        return FrontWish(owner["targetRef"], tuple(devices.front_path(name, way, nqn, host) for way in ways))

    def _host(self, name: str) -> str:
        return str(spec_of(self._all.get("Host", "", name))["nqn"])

    def hosts(self, subsystems: Iterable[SubsystemWish], drift_policy: str) -> Iterator[HostWish]:
        """Those with secrets among the hosts that subsystems let in."""
        allowed = {nqn for subsystem in subsystems for nqn in subsystem.hosts}
        for resource in self._all.of("Host"):
            spec: Any = resource.spec
            if spec["nqn"] in allowed and {"dhchap", "tls"} & spec.keys():
                yield HostWish(
                    Wish(resource.key, drift_policy, aliases=self._all.aliases(resource.key)),
                    spec["nqn"],
                    identity.object_name(self._all.site, resource.key),
                    key=_secret(spec, "dhchap", "keyFrom"),
                    controller_key=_secret(spec, "dhchap", "controllerKeyFrom"),
                    psk=_secret(spec, "tls", "pskFrom"),
                )

    def _namespace(self, entry: Mapping[str, Any], spec: Mapping[str, Any], namespace: str) -> NamespaceWish:
        visible = tuple(sorted(map(self._host, entry["visibleTo"]))) if "visibleTo" in entry else None
        group = entry.get("anaGroup", entry["nsid"]) if spec["anaReporting"] else None
        found = NamespaceWish(entry["nsid"], visible_to=visible, ana_group=group, reuses=entry.get("reuses", ""))
        if not namespace:  # the bytes are on another target
            return found
        if "volumeRef" in entry:
            return replace(found, volume=self._storage.volume(self._all.get("Volume", namespace, entry["volumeRef"])))
        return replace(found, device=self._storage.device(self._all.get("BlockDevice", "", entry["deviceRef"])))


def _secret(spec: Mapping[str, Any], group: str, name: str) -> Secret | None:
    found = spec.get(group, {}).get(name)
    form = "psk" if group == "tls" else "dhchap"
    return Secret(form, devices.source_of(found), f"spec.{group}.{name}") if found else None


def _nsid(entry: Mapping[str, Any]) -> int:
    return int(entry["nsid"])


def listener(nqn: str, portal: Mapping[str, Any], ana: str | None = None) -> Listener:
    """Discovery lets every host in, which SPDK does not over TLS."""
    secure = None if nqn == DISCOVERY else portal["secureChannel"]
    return Listener(nqn, portal["transport"], portal["address"], portal["port"], secure, ana)


def _ana(spec: Mapping[str, Any], export: Mapping[str, Any]) -> str | None:
    """The ANA states of an export's listeners; none where the subsystem does not report them."""
    if not spec["anaReporting"]:
        return None
    own = {entry["group"]: entry["state"] for entry in export["anaGroups"]}
    groups = range(1, spec["maxNamespaces"] + 1)
    return ana_text([own.get(group, export["anaState"]).replace("-", "_") for group in groups])
