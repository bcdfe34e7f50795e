"""Where a subsystem is served, and to whom, as a graph that is asked one thing at a time tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from schemas.resources import ResourceKey
from schemas.validation import Path


def portals_of(graph: ResourceGraph, subsystem: Manifest) -> Iterator[tuple[Path, Manifest, Any]]:
    """The portals that a sound subsystem listens on: where it says so, the target, and the portal."""
    for number, export in enumerate(subsystem.spec["exports"]):
        target = graph.get(ResourceKey("Target", "", export["targetRef"]))
        if target and target.sound:
            portals = {portal["name"]: portal for portal in target.spec["portals"]}
            for place, name in enumerate(export["portals"]):
                if name in portals:
                    yield ("spec", "exports", number, "portals", place), target, portals[name]


def hosts_of(graph: ResourceGraph, subsystem: Manifest) -> Iterator[tuple[Path, Manifest]]:
    """The sound hosts that a subsystem names or picks, and where it does."""
    for reference in graph.references(subsystem.key):
        host = graph.get(reference.target) if reference.path[:2] == ("spec", "hosts") else None
        if host and host.sound:
            yield reference.path, host


def subsystems_of(graph: ResourceGraph, host: ResourceKey) -> Iterator[Manifest]:
    """The sound subsystems that name or pick a host, in order of their keys."""
    admitting = {r.source for r in graph.incoming_to(host) if r.path[:2] == ("spec", "hosts")}
    for key in sorted(admitting):
        subsystem = graph.get(key)
        if subsystem and subsystem.sound and key.kind_name == "Subsystem":
            yield subsystem
