from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Confidence, Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule


def _tenants(subsystem: Manifest) -> Iterator[str]:
    """Namespaces in which somebody exports volumes."""
    if any("volumeRef" in entry for entry in subsystem.spec["namespaces"]):
        yield subsystem.key.namespace


EXPORTING = Index("exporting-tenant", ("Subsystem",), _tenants)


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    if case.graph.incoming_to(volume.key) or not case.graph.sharing(EXPORTING, volume.key.namespace):
        return
    yield Hit(
        volume.position_of(("metadata", "name")),
        f"no subsystem shows {volume.key}, and nothing is made of it: no host can reach it",
        volume.key,
        ("metadata", "name"),
        help="show it in a Subsystem, or take it out; its bytes stay (Retain)",
        follows=True,
        confidence=Confidence.LOW,
    )


RULE = ResourceRule("unexported-volume", Severity.INFO, ("Volume",), check)
