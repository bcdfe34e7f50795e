"""A repository of few names, which random acts declare, change and withdraw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world import NQN, host, manifest, removal, subsystem, volume

NAMES = ("a", "b", "c")
COPIES = ("k", "l")  # volumes that are cloned from others
SNAPSHOTS = ("p", "q")
IMAGE = "golden"
SUBSYSTEMS = ("s", "t")
HOSTS = ("web", "db")
MASKS = {"c": {"db"}, "k": set[str]()}  # volumes that only these hosts ever see
STRANGER = f"{NQN}stranger"


@dataclass
class Repo:
    """What the manifests say."""

    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    image: Path | None = None  # the file of a golden image
    exports: dict[str, dict[int, str]] = field(default_factory=dict)
    hosts: dict[str, set[str]] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    removals: dict[str, str] = field(default_factory=dict)  # volume or snapshot → uid
    retained: int = 0  # snapshots of each of a, b, c that a schedule keeps; 0: there is no schedule
    stack: int = 0  # how high devices are stacked: an array of two, encrypted, delayed
    stack_reclaim: str = "Retain"

    def manifests(self, shown: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """`shown`: what hosts knew under each namespace id, which may be other bytes by now."""
        return [
            *(host(name) for name in HOSTS),
            *(labelled(volume(name, **spec)) for name, spec in self.volumes.items()),
            *([schedule(self.retained)] if self.retained else []),
            *([manifest("Image", IMAGE, {"targetRef": "n1", "path": str(self.image)})] if self.image else []),
            *(manifest("VolumeSnapshot", name, spec, "team") for name, spec in self.snapshots.items()),
            *(
                _reusing(
                    _masked(
                        subsystem(name, spaces, hosts=sorted(self.hosts.get(name, ())), **self.options.get(name, {}))
                    ),
                    shown or {},
                )
                for name, spaces in self.exports.items()
            ),
            *(
                removal(name, uid, kind="VolumeSnapshot" if name in SNAPSHOTS else "Volume")
                for name, uid in self.removals.items()
                if name not in self.volumes and name not in self.snapshots
            ),
        ]

    def drop(self, name: str) -> None:
        """Take out a volume or a snapshot, and whatever could not be declared without it."""
        self.volumes.pop(name, None)
        self.snapshots.pop(name, None)
        self.image = None if name == IMAGE else self.image
        for spaces in self.exports.values():
            for nsid in [nsid for nsid, ref in spaces.items() if ref == name]:
                del spaces[nsid]
        for copy_of in [c for c, spec in self.volumes.items() if name in spec.get("source", {}).values()]:
            self.drop(copy_of)


def _masked(found: dict[str, Any]) -> dict[str, Any]:
    for entry in found["spec"]["namespaces"]:
        if entry["volumeRef"] in MASKS:
            entry["visibleTo"] = sorted(MASKS[entry["volumeRef"]])
    return found


def labelled(found: dict[str, Any]) -> dict[str, Any]:
    """With a label by which the schedule selects it."""
    if found["metadata"]["name"] in NAMES:
        found["metadata"]["labels"] = {"backup": "yes"}
    return found


def schedule(last: int) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"backup": "yes"}}, "cron": "*/10 * * * *", "retain": {"last": last}}
    return manifest("SnapshotSchedule", "often", spec, "team")


def _reusing(found: dict[str, Any], shown: Mapping[str, str]) -> dict[str, Any]:
    for entry in found["spec"]["namespaces"]:
        known = shown.get(f"{found['spec']['nqn']}#{entry['nsid']}")
        entry.update({"reuses": known} if known else {})
    return found
