from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from analyzer.exports import portals_of, subsystems_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit


def check(case: Case, host: Manifest) -> Iterator[Hit]:
    if "dhchap" in host.spec or _is_a_front(case, host):
        return
    for subsystem in subsystems_of(case.graph, host.key):
        portals = [*portals_of(case.graph, subsystem)]
        if "tls" in host.spec and not any(portal["secureChannel"] for _, _, portal in portals):
            continue  # its key is of no use here: that is secure-channel-mismatch
        for path, target, portal in portals:
            if not _is_local(portal) and not ("tls" in host.spec and portal["secureChannel"]):
                place = f"portal {portal['name']} of {target.key} ({portal['address']})"
                message = f"{subsystem.key} lets {host.key} in by its NQN alone, over {place}"
                note = (subsystem.position_of(path), "over this portal")
                yield hit(host, ("metadata", "name"), message, "give the host spec.dhchap, or TLS", note)
                return


def _is_a_front(case: Case, host: Manifest) -> bool:
    """Whether a target attaches under this name; it has no key to show."""
    return any(r.path[:2] == ("spec", "exports") for r in case.graph.incoming_to(host.key))


def _is_local(portal: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether nobody outside the machine reaches it."""
    return ipaddress.ip_address(portal["address"]).is_loopback


RULE = ResourceRule("unauthenticated-host", Severity.INFO, ("Host",), check)
