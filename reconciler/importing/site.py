"""What all parts of an import share: what was seen, the names that things get, and what is said about them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from backends.contract import Observed
from backends.objects import Bdev, LiveObject, Lvol, LvolStore
from schemas.annotations import ADOPT
from schemas.kinds import our_kinds

T = TypeVar("T")
_NO_LABEL = re.compile(r"[^a-z0-9]+")
_LABEL_LIMIT = 63  # characters (RFC 1123)

Manifest = Mapping[str, Any]


@dataclass
class Names:
    """Names for the resources of one kind: DNS labels, each given once, the same for the same thing."""

    given: dict[str, str] = field(default_factory=dict)

    def of(self, thing: str, name: str) -> str:
        """The label of a thing that is called so; things of one name get labels of their own."""
        if thing not in self.given:
            label = _NO_LABEL.sub("-", name.lower()).strip("-")[:_LABEL_LIMIT].strip("-") or "unnamed"
            taken, candidate, count = set(self.given.values()), label, 1
            while candidate in taken:
                count += 1
                candidate = f"{label[: _LABEL_LIMIT - len(str(count)) - 1]}-{count}"
            self.given[thing] = candidate
        return self.given[thing]


@dataclass
class Site:
    """One target's objects on their way to manifests."""

    observed: Observed
    target: str
    namespace: str
    odd: Mapping[Any, Sequence[str]]  # by object: what no manifest can say of it
    left_out: list[str] = field(default_factory=list)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)  # by kind and name: what to know about a manifest
    names: dict[str, Names] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)  # bdev name → BlockDevice
    images: dict[str, str] = field(default_factory=dict)  # bdev uuid → Image
    pools: dict[str, str] = field(default_factory=dict)  # lvol store → StoragePool
    volatile: set[str] = field(default_factory=set)  # BlockDevices whose content dies with the process
    exportable: dict[str, tuple[str, str]] = field(default_factory=dict)  # bdev uuid → (reference, resource)

    def all(self, kind: type[T]) -> list[T]:
        objects = self.observed.objects
        return [objects[key] for key in sorted(objects) if isinstance(objects[key], kind)]  # type: ignore[misc]

    def name(self, kind: str, thing: str, said: str = "") -> str:
        """The name of the resource that stands for a thing, after what the thing is called (absent: as it is known)."""
        return self.names.setdefault(kind, Names()).of(thing, said or thing)

    def leave_out(self, what: str, why: str) -> None:
        self.left_out.append(f"{what}: {why}")

    def fits(self, what: str, manifest: Manifest) -> bool:
        """Whether a manifest is sound; where it is not, what it is for is left out."""
        problems = our_kinds()[manifest["kind"]].problems(manifest)
        if problems:
            self.leave_out(what, f"no manifest can say it: {problems[0].message}")
        return not problems

    def unsaid(self, thing: LiveObject) -> str:
        """What no manifest can say of an object, in words."""
        return ", ".join(self.odd.get(thing.key, ()))

    @cached_property
    def above(self) -> Mapping[str, str]:
        """What stands on a bdev, by the bdev's name; that of an lvol is its uuid."""
        found = {base: f"bdev {bdev.name}" for bdev in self.all(Bdev) for base in bdev.bases or () if base}
        return found | {store.bdev: f"lvol store {store.name}" for store in self.all(LvolStore)}

    @cached_property
    def lvols(self) -> Mapping[str, Lvol]:
        """By alias."""
        return {lvol.alias: lvol for lvol in self.all(Lvol)}


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "", *, adopt: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    if adopt:
        metadata["annotations"] = {ADOPT: adopt}
    return {"apiVersion": our_kinds()[kind].api_version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def given(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without what there is nothing to say about."""
    return {name: value for name, value in spec.items() if value not in (None, [], {})}
