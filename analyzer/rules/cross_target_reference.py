from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import target_of
from schemas.resources import ResourceKey

STORED = ("Volume", "StoragePool", "BlockDevice")


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.kind == "Subsystem":
        return _elsewhere(case.graph, manifest)
    return _stacked(case.graph, manifest)


def _elsewhere(graph: ResourceGraph, subsystem: Manifest) -> Iterator[Hit]:
    """What lies on another target than the one that exports it."""
    references = graph.references(subsystem.key)
    exports = [r for r in references if r.target.kind == "Target" and not r.part and not _is_front(subsystem, r)]
    for reference in references:
        home = target_of(graph, reference.target) if reference.target.kind in STORED else None
        for export in exports:
            if home and export.target != home:
                yield _hit(graph, reference, export, home)


def _is_front(subsystem: Manifest, export: Reference) -> bool:
    """Whether an export is that of a front target, which attaches what lies elsewhere."""
    return "attachAs" in subsystem.spec["exports"][export.path[2]]


def _stacked(graph: ResourceGraph, device: Manifest) -> Iterator[Hit]:
    """Devices underneath that are on another target."""
    own = graph.named(device.key, "Target")
    for reference in graph.references(device.key):
        home = target_of(graph, reference.target) if reference.target.kind == "BlockDevice" else None
        if home and home != own:
            message = f"{reference.target} is on {home}, and {device.key} on {own}"
            advice = f"take a device of {own.name if own else 'the same target'}, or attach the other over NVMe-oF"
            yield hit(device, reference.path, message, advice)


def _hit(graph: ResourceGraph, reference: Reference, export: Reference, home: ResourceKey) -> Hit:
    subsystem = graph[reference.source]
    note = (subsystem.position_of(export.path), "exported here")
    message = f"{reference.target} is on {home}, and the subsystem is exported on {export.target}"
    advice = f"export the subsystem on {home.name}, or take a volume of {export.target.name}; a front has attachAs"
    return hit(subsystem, reference.path, message, advice, note)


RULE = ResourceRule("cross-target-reference", Severity.ERROR, ("BlockDevice", "Subsystem"), check)
