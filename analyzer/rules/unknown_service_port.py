from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.kind import Kind
from schemas.validation import did_you_mean, quoted

RULE_ID = "unknown-service-port"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for reference in case.graph.references(manifest.key):
        if reference.rule != RULE_ID or not case.graph.dangles(reference):
            continue
        service = case.graph[reference.target]
        known = case.graph.alternatives(reference)
        if service.sound and (known or service.spec.get("type") != "ExternalName"):
            ports = f"; its ports are {', '.join(known)}" if known else ""
            message = (
                f"{service.key} has no port {quoted(reference.part)}{did_you_mean(reference.part, known) or ports}"
            )
            note = (service.position_of(("spec", "ports")), "its ports")
            found = hit(manifest, reference.path, message, "name a port of the Service, by number or by name", note)
            yield found if _is_sure(case, service) else replace(found, confidence=Confidence.LOW)


def _is_sure(case: Case, service: Manifest) -> bool:
    """Some proxies take any port of another host's name; and of several declarations another may be what counts."""
    return service.spec.get("type") != "ExternalName" and not case.graph.duplicates_of(service.key)


def _names_ports(kind: Kind) -> bool:
    return any(field.reference and field.reference.rule == RULE_ID for field in kind.references)


RULE = ResourceRule(RULE_ID, Severity.ERROR, (), check, has=_names_ports)
