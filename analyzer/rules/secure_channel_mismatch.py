from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.exports import hosts_of, portals_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

SECURE = "secureChannel"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if manifest.key.kind == "Target":
        yield from _portals(manifest)
    else:
        yield from _open(case, manifest)
        yield from _hosts(case, manifest)


def _portals(target: Manifest) -> Iterator[Hit]:
    for place, portal in enumerate(target.spec["portals"]):
        path = ("spec", "portals", place, SECURE)
        if portal[SECURE] and portal["discovery"]:
            message = f"portal {portal['name']} takes TLS only, and discovery lets every host in, with no key"
            yield _refused(hit(target, path, message, "let discovery listen on a portal of its own"))
        if portal[SECURE] and portal["transport"] != "TCP":
            message = f"portal {portal['name']} takes TLS only, which {portal['transport']} does not have"
            yield _refused(hit(target, path, message, f"take {SECURE} away, or declare a portal with transport TCP"))


def _open(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    """SPDK refuses a TLS listener where any host may connect."""
    if not subsystem.spec["hosts"]["any"]:
        return
    for path, _, portal in portals_of(case.graph, subsystem):
        if portal[SECURE]:
            message = f"portal {portal['name']} takes TLS only, and SPDK does not open it where any host may connect"
            yield _refused(hit(subsystem, path, message, "list the hosts, each with spec.tls, or use another portal"))


def _hosts(case: Case, subsystem: Manifest) -> Iterator[Hit]:
    """Hosts that no portal fits: with a key where all is plain, and without one where all is TLS."""
    secure = {portal[SECURE] for _, _, portal in portals_of(case.graph, subsystem)}
    if len(secure) != 1 or subsystem.spec["hosts"]["any"]:
        return
    for path, host in hosts_of(case.graph, subsystem):
        has_key = "tls" in host.spec
        if has_key and secure == {False}:
            message = f"{host.key} has a key for TLS, but no portal of {subsystem.key} takes TLS: it sends in clear"
            advice = f"export it on a portal with {SECURE}: true"
            note = (host.position_of(("spec", "tls")), "its key")
            yield hit(subsystem, path, message, advice, note)
        if not has_key and secure == {True}:
            message = f"{host.key} has no key for TLS, and every portal of {subsystem.key} takes nothing else"
            yield hit(subsystem, path, message, "give the host spec.tls.pskFrom, or export on a plain portal")


def _refused(found: Hit) -> Hit:
    """What SPDK does not do, and a host could not."""
    return replace(found, severity=Severity.ERROR)


RULE = ResourceRule("secure-channel-mismatch", Severity.WARNING, ("Subsystem", "Target"), check)
