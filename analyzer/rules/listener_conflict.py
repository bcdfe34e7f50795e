from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

Place = tuple[Manifest, int]
ADVICE = "give each portal an address or a port of its own"


def check(case: Case, target: Manifest) -> Iterator[Hit]:
    for index, place in enumerate(_places(target)):
        first, *_ = case.graph.sharing(PLACES, place)
        at = _places(first).index(place)
        if (first, at) != (target, index):
            yield _hit((target, index), (first, at))


def _places(target: Manifest) -> list[str]:
    """Where each portal of a target listens, whatever the address is written like."""
    addresses = [(str(ip_address(portal["address"])), portal["port"]) for portal in target.spec["portals"]]
    return [f"{_machine(target, address)} {address} {port}" for address, port in addresses]


PLACES = Index("listener", ("Target",), _places)


def _machine(target: Manifest, address: str) -> str:
    """Whose address it is: every machine has its own loopback; all sockets are on the machine of the daemon."""
    ip = ip_address(address)
    if not (ip.is_loopback or ip.is_unspecified or ip.is_link_local):
        return "the network"
    return "this machine" if "unixSocket" in target.spec["connection"] else str(target.key)


def _hit(here: Place, other: Place) -> Hit:
    (target, index), (first, at) = here, other
    portal, taken = target.spec["portals"][index], first.spec["portals"][at]
    where = f"{portal['address']} port {portal['port']}"
    message = f"{where} is portal {taken['name']} of {first.key} already; one process can listen there"
    note = (first.position_of(("spec", "portals", at, "address")), f"portal {taken['name']} of {first.key}")
    return hit(target, ("spec", "portals", index, "address"), message, ADVICE, note)


RULE = ResourceRule("listener-conflict", Severity.ERROR, ("Target",), check)
