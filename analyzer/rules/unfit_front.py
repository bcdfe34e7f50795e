from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import ResourceKey

EXPORTS = ("spec", "exports")


def check(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    exports: Any = subsystem.spec["exports"]
    fronts = [at for at, export in enumerate(exports) if "attachAs" in export]
    yield from _owners(subsystem, len(exports) - len(fronts))
    for at in fronts if len(exports) > len(fronts) else ():
        yield from _judge(case.graph, subsystem, at)
        yield from _cntlids(subsystem, at)
    if fronts:
        yield from _inaccessible(subsystem)
    if fronts and not subsystem.spec["anaReporting"]:
        message = "two targets export it, and hosts are not told over which of them each namespace is best reached"
        yield hit(subsystem, EXPORTS, message, "set spec.anaReporting: true, and the front's anaState: non-optimized")


def _owners(subsystem: Manifest, owners: int) -> Iterator[Hit]:
    if owners == 1:
        return
    message = (
        "every target attaches, and none has the bytes" if not owners else f"{owners} targets would have the bytes"
    )
    advice = "all but the target that the namespaces lie on need attachAs"
    yield hit(subsystem, EXPORTS, f"{message} of {subsystem.key}", advice)


def _inaccessible(subsystem: Manifest) -> Iterator[Hit]:
    """What the owner keeps from hosts it keeps from the front as well, which attaches as a host does."""
    for at, export in enumerate(subsystem.spec["exports"]):
        states = [export["anaState"], *(entry["state"] for entry in export["anaGroups"])]
        if "attachAs" not in export and "inaccessible" in states:
            message = "what is inaccessible at the target that has the bytes cannot be reached through a front either"
            advice = "make it non-optimized, and the front optimized"
            yield hit(subsystem, (*EXPORTS, at), message, advice)


def _judge(graph: ResourceGraph, subsystem: Manifest, at: int) -> Iterator[Hit]:
    """The host as which a front attaches must be let in, see everything, and need no secrets."""
    path = (*EXPORTS, at, "attachAs")
    name = subsystem.spec["exports"][at]["attachAs"]
    host = graph.get(ResourceKey("Host", "", name, subsystem.key.group))
    invited = {r.target for r in graph.references(subsystem.key) if r.path[:2] == ("spec", "hosts")}
    if host is None or not host.sound:
        return
    if host.key not in invited and not subsystem.spec["hosts"]["any"]:
        message = f"{host.key} may not connect to {subsystem.key}, so nothing can be attached"
        yield hit(subsystem, path, message, f"add {name} to spec.hosts.refs")
    if {"dhchap", "tls"} & host.resource.spec.keys():
        message = f"{host.key} has secrets, and a front attaches without any"
        yield hit(subsystem, path, message, "attach as a Host without dhchap and tls")
    for number, entry in enumerate(subsystem.spec["namespaces"]):
        if name not in entry.get("visibleTo", [name]):
            message = f"namespace {entry['nsid']} is hidden from {host.key}, so the front could not export it"
            yield hit(subsystem, ("spec", "namespaces", number, "visibleTo"), message, f"add {name} to visibleTo")


def _cntlids(subsystem: Manifest, at: int) -> Iterator[Hit]:
    """Two controllers of one subsystem must never have the same id."""
    declared: Any = subsystem.resource.spec["exports"]
    ranges = [export["cntlidRange"] for export in subsystem.spec["exports"]]
    first, last = ranges[at]
    clash = next((o for number, o in enumerate(ranges) if number != at and o[0] <= last and first <= o[1]), None)
    if clash:
        message = f"controller ids {first} to {last} overlap {clash[0]} to {clash[1]} of the other target"
        path = (*EXPORTS, at, "cntlidRange") if "cntlidRange" in declared[at] else (*EXPORTS, at)
        yield hit(
            subsystem, path, message, "give each target a cntlidRange of its own, such as [1, 32000], [32001, 65519]"
        )


RULE = ResourceRule("unfit-front", Severity.ERROR, ("Subsystem",), check, fixed=True)
