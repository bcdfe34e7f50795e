from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from analyzer.exports import hosts_of, portals_of
from analyzer.finding import Note, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import target_of
from schemas.resources import ResourceKey
from schemas.validation import Path

Need: TypeAlias = tuple[Path, str, str]  # where, since which release, what
GROWS, COPIES_IMAGES, TLS = "22.09", "23.05", "23.05"
SUPERBLOCKS, REFERRALS, MASKS = "24.01", "24.01", "24.05"
KEYS, ANA_GROUPS = "24.09", "24.09"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for target in _targets(case.graph, manifest):
        has = target.spec.get("spdkVersion") if target.sound else None
        for path, since, what in _needs(case.graph, manifest) if has else ():
            if _number(str(has)) < _number(since):
                note: Note = (target.position_of(("spec", "spdkVersion")), f"{target.key} runs SPDK {has}")
                message = f"{what} needs SPDK {since}, and {target.key} runs {has}"
                yield hit(manifest, path, message, "upgrade the target first, or do without", note)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _targets(graph: ResourceGraph, manifest: Manifest) -> Iterator[Manifest]:
    """The targets on which it would be."""
    if manifest.key.kind == "Target":
        yield manifest
        return
    if manifest.key.kind == "Subsystem":
        keys = dict.fromkeys(ResourceKey("Target", "", export["targetRef"]) for export in manifest.spec["exports"])
        yield from (found for key in keys if (found := graph.get(key)))
        return
    target = target_of(graph, manifest.key)
    found = graph.get(target) if target else None
    if found:
        yield found


def _needs(graph: ResourceGraph, manifest: Manifest) -> Iterator[Need]:
    match manifest.key.kind:
        case "Target":
            yield from _of_target(manifest)
        case "BlockDevice" if manifest.spec.get("raid", {}).get("superblock"):
            yield ("spec", "raid", "superblock"), SUPERBLOCKS, "an array that knows its members"
        case "StoragePool" if "size" in manifest.spec:
            yield ("spec", "size"), GROWS, "a pool that grows"
        case "Volume" if "imageRef" in manifest.spec.get("source", {}):
            yield ("spec", "source", "imageRef"), COPIES_IMAGES, "a volume that begins as an image"
        case "Subsystem":
            yield from _of_subsystem(graph, manifest)


def _of_target(target: Manifest) -> Iterator[Need]:
    for place, portal in enumerate(target.spec["portals"]):
        if portal["secureChannel"]:
            yield ("spec", "portals", place, "secureChannel"), TLS, "a portal that takes TLS"
    if target.spec.get("referrals"):
        yield ("spec", "referrals"), REFERRALS, "a referral"


def _of_subsystem(graph: ResourceGraph, subsystem: Manifest) -> Iterator[Need]:
    for place, entry in enumerate(subsystem.spec["namespaces"]):
        if "visibleTo" in entry:
            yield ("spec", "namespaces", place, "visibleTo"), MASKS, "a namespace that only some hosts see"
    for place, export in enumerate(subsystem.spec["exports"]):
        if export["anaGroups"]:
            yield ("spec", "exports", place, "anaGroups"), ANA_GROUPS, "a state for each ANA group"
    plain = not all(portal["secureChannel"] for _, _, portal in portals_of(graph, subsystem))
    for path, host in hosts_of(graph, subsystem):
        if "dhchap" in host.spec and plain:
            yield path, KEYS, f"DH-HMAC-CHAP, by which {host.key} proves itself,"


KINDS = ("Target", "BlockDevice", "StoragePool", "Volume", "Subsystem")
RULE = ResourceRule("unsupported-by-target", Severity.ERROR, KINDS, check)
