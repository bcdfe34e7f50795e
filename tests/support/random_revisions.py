"""Pairs of revisions of one small site: the first stands, the second differs in a few places."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from world import NQN, manifest, node, removal, subsystem, volume

TARGETS = ("n1", "n2")
VOLUMES = ("a", "b", "c")
HOMES = {"a": "n1", "b": "n1", "c": "n2"}  # where each volume is
HOSTS = ("web", "db", "guest")
SUBSYSTEMS = ("s", "t")
ROLES = ("front", "back")
TENANTS = (["team"], ["other"], ["*"])


@dataclass
class Export:
    """A subsystem."""

    spaces: dict[int, str] = field(default_factory=dict)  # nsid → volume
    masks: dict[int, list[str]] = field(default_factory=dict)  # nsid → hosts that see it; others are seen by all
    refs: list[str] = field(default_factory=list)
    role: str = ""  # label by which it picks hosts
    anybody: bool = False
    portals: list[str] = field(default_factory=lambda: ["front"])
    nsids: int = 32
    shut: bool = False  # ANA inaccessible
    label: str = "s"  # last word of its NQN
    target: str = "n1"


@dataclass
class Site:
    """What the manifests of one revision say."""

    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    tiers: dict[str, str] = field(default_factory=dict)  # volume → label by which a policy picks it
    policy: int = 0  # IO/s of the tier `slow`; 0: there is no such policy
    hosts: dict[str, tuple[str, int, list[str]]] = field(default_factory=dict)  # → role, number in its NQN, tenants
    exports: dict[str, Export] = field(default_factory=dict)
    port: int = 4420
    back: bool = True  # whether there is a second portal
    discovery: bool = False  # whether discovery listens by itself
    snapshots: dict[str, str] = field(default_factory=dict)  # → reclaim policy; each is of a volume called like it
    removals: list[str] = field(default_factory=list)  # volumes that are to be destroyed
    budget: tuple[int, int] = (1000, 1000)  # subsystems, resources

    def manifests(self, folder: Any, uids: dict[str, str]) -> list[dict[str, Any]]:
        """`uids`: of the volumes that are there, for those who destroy them."""
        kept = {name for name in self.removals if name in uids}
        return [
            *(each for target in TARGETS for each in node(target, folder, portals=self._portals(target))),
            *(self._volume(name) for name in self.volumes),
            *(
                manifest("VolumeSnapshot", f"{name}-then", {"volumeRef": name, "reclaimPolicy": policy}, "team")
                for name, policy in self.snapshots.items()
            ),
            *([self._policy()] if self.policy else []),
            *(self._host(name) for name in self.hosts),
            *(self._subsystem(name, export) for name, export in self.exports.items()),
            *(removal(name, uids[name]) for name in sorted(kept - self.volumes.keys())),
            *(
                removal(f"{name}-then", uids[f"{name}-then"], "VolumeSnapshot")
                for name in sorted(set(self.removals) - self.snapshots.keys())
                if f"{name}-then" in uids
            ),
        ]

    def _portals(self, target: str) -> list[dict[str, Any]]:
        """No two targets share a port, as on one machine they cannot."""
        more = TARGETS.index(target)
        found: list[dict[str, Any]] = [{"name": "front", "address": "127.0.0.2", "port": self.port + 100 * more}]
        if self.back:
            found.append({"name": "back", "address": "127.0.0.3", "port": 4430 + more})
        if self.discovery and target == "n1":
            found.append({"name": "find", "address": "127.0.0.4", "port": 8009, "discovery": True})
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """Its `.holdfast.yaml`."""
        disruptive, losing = self.budget
        return {"budget": {"disruptiveSubsystems": disruptive, "dataLosingResources": losing}}

    def _volume(self, name: str) -> dict[str, Any]:
        found = volume(name, HOMES[name], **self.volumes[name])
        if name in self.tiers:
            found["metadata"]["labels"] = {"tier": self.tiers[name]}
        return found

    def _policy(self) -> dict[str, Any]:
        return manifest(
            "QoSPolicy", "slow", {"selector": {"matchLabels": {"tier": "slow"}}, "iops": self.policy}, "team"
        )

    def _host(self, name: str) -> dict[str, Any]:
        role, number, tenants = self.hosts[name]
        found = manifest("Host", name, {"nqn": f"{NQN}host-{name}-{number}", "allowedNamespaces": tenants})
        found["metadata"]["labels"] = {"role": role}
        return found

    def _subsystem(self, name: str, export: Export) -> dict[str, Any]:
        hosts: dict[str, Any] = {"refs": export.refs, "any": export.anybody}
        if export.role:
            hosts["selector"] = {"matchLabels": {"role": export.role}}
        door: dict[str, Any] = {"targetRef": export.target, "portals": export.portals}
        door |= {"anaState": "inaccessible"} if export.shut else {}
        found = subsystem(name, export.spaces)
        found["spec"] |= {"nqn": f"{NQN}{name}-{export.label}", "exports": [door], "hosts": hosts}
        found["spec"] |= {"maxNamespaces": export.nsids, "anaReporting": True}
        for entry in found["spec"]["namespaces"]:
            if entry["nsid"] in export.masks:
                entry["visibleTo"] = sorted(export.masks[entry["nsid"]])
        return found


Edit = Callable[[Site], object]
_names = st.sampled_from(VOLUMES)
_hosts = st.lists(st.sampled_from(HOSTS), unique=True).map(sorted)


@st.composite
def _exports(draw: st.DrawFn) -> Export:
    spaces = draw(st.dictionaries(st.integers(1, 3), _names, max_size=3))
    return Export(
        spaces={nsid: name for nsid, name in spaces.items() if [*spaces.values()].count(name) == 1},
        masks=draw(st.dictionaries(st.integers(1, 3), _hosts, max_size=1)),
        refs=draw(_hosts),
        role=draw(st.sampled_from(("", *ROLES))),
        anybody=draw(st.booleans()),
        portals=draw(st.sampled_from((["front"], ["front", "back"], ["back"]))),
        nsids=draw(st.sampled_from((32, 32, 16))),
        shut=draw(st.booleans()),
        label=draw(st.sampled_from(("x", "x", "x", "y"))),
        target=draw(st.sampled_from(("n1", "n1", "n2"))),
    )


_volume = st.fixed_dictionaries(
    {"size": st.sampled_from(["4Mi", "8Mi"]), "reclaimPolicy": st.sampled_from(["Retain", "Delete"])},
    optional={"qos": st.sampled_from([{"iops": 1000}, {"iops": 2000}])},
)
_host = st.tuples(st.sampled_from(ROLES), st.integers(1, 2), st.sampled_from(TENANTS))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """A revision of which most is declared."""
    return whole(
        Site(
            volumes=draw(st.dictionaries(_names, _volume, min_size=2)),
            tiers=draw(st.dictionaries(_names, st.sampled_from(("slow", "fast")))),
            policy=draw(st.sampled_from((0, 500))),
            hosts=draw(st.dictionaries(st.sampled_from(HOSTS), _host, min_size=2)),
            discovery=draw(st.booleans()),
            snapshots=draw(st.dictionaries(_names, st.sampled_from(("Retain", "Delete")), max_size=1)),
            exports=draw(st.dictionaries(st.sampled_from(SUBSYSTEMS), _exports(), min_size=1)),
            budget=(draw(st.sampled_from((0, 1, 1000))), draw(st.sampled_from((0, 1000)))),
        )
    )


PARTS = ("spaces", "masks", "target", "refs", "role", "anybody", "portals", "nsids", "shut", "label")


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """One thing that differs."""
    name, guest, sub = draw(_names), draw(st.sampled_from(HOSTS)), draw(st.sampled_from(SUBSYSTEMS))
    spec, about, export = draw(_volume), draw(_host), draw(_exports())
    tier, limit = draw(st.sampled_from(("slow", "fast"))), draw(st.sampled_from((0, 500, 1600)))
    part, port = draw(st.sampled_from(PARTS)), draw(st.sampled_from((4420, 4421)))

    def withdraw(site: Site) -> None:
        site.volumes.pop(name, None)
        site.removals.append(name)

    def forget(site: Site) -> None:
        for taken in [*site.snapshots]:
            del site.snapshots[taken]
            site.removals.append(taken)

    def adjust(site: Site) -> None:
        if sub in site.exports:
            setattr(site.exports[sub], part, getattr(export, part))

    acts: tuple[Edit, ...] = (
        lambda site: site.volumes.update({name: spec}),
        withdraw,
        lambda site: site.tiers.update({name: tier}),
        lambda site: setattr(site, "policy", limit),
        lambda site: site.hosts.update({guest: about}),
        lambda site: site.hosts.pop(guest, None),
        lambda site: site.exports.update({sub: export}),
        adjust,
        adjust,
        adjust,
        lambda site: site.exports.pop(sub, None),
        lambda site: setattr(site, "port", port),
        lambda site: setattr(site, "back", not site.back),
        lambda site: setattr(site, "discovery", not site.discovery),
        forget,
    )
    return draw(st.sampled_from(acts))


def whole(site: Site) -> Site:
    """Without what names something that is not there, or something that another has already."""
    taken: set[str] = set()
    for _, export in sorted(site.exports.items()):
        here = {name for name in site.volumes if HOMES[name] == export.target} - taken
        export.spaces = spaces = {nsid: name for nsid, name in export.spaces.items() if name in here}
        export.portals = export.portals if site.back else ["front"]
        taken |= set(spaces.values())
        export.refs = [name for name in export.refs if name in site.hosts and site.hosts[name][2] != ["other"]]
        masks = {nsid: [name for name in names if name in export.refs] for nsid, names in export.masks.items()}
        export.masks = {nsid: names for nsid, names in masks.items() if nsid in spaces}
    site.snapshots = {name: policy for name, policy in site.snapshots.items() if name in site.volumes}
    return site


@st.composite
def revisions(draw: st.DrawFn) -> tuple[Site, Site]:
    """Base and head."""
    base = draw(sites())
    head = copy.deepcopy(base)
    for edit in draw(st.lists(edits(), min_size=1, max_size=3)):
        edit(head)
    return base, whole(head)
