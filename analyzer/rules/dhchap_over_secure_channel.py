from __future__ import annotations

from collections.abc import Iterator

from analyzer.exports import hosts_of, portals_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    portals = [portal for _, _, portal in portals_of(case.graph, subsystem)]
    if not portals or not all(portal["secureChannel"] for portal in portals):
        return
    for path, host in hosts_of(case.graph, subsystem):
        if "dhchap" in host.spec and "tls" in host.spec:
            message = f"{host.key} is to prove itself by DH-HMAC-CHAP, which SPDK does not do over TLS"
            note = (host.position_of(("spec", "dhchap")), "its key")
            advice = "export it on a plain portal, too, or take spec.dhchap out: its key for TLS proves as much"
            yield hit(subsystem, path, message, advice, note)


RULE = ResourceRule("dhchap-over-secure-channel", Severity.WARNING, ("Subsystem",), check)
