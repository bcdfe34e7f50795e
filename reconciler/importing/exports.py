"""The target itself, its subsystems and their hosts → manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backends.ana_states import ana_states
from backends.objects import DISCOVERY, AllowedHost, Listener, Namespace, Referral, Subsystem, Transport, VisibleHost
from reconciler import identity
from reconciler.importing.site import Manifest, Site, given, manifest


def target(site: Site, connection: Mapping[str, Any]) -> Manifest:
    spec: dict[str, Any] = {
        "connection": dict(connection),
        "transports": list(_transports(site)),
        "portals": list(_portals(site)),
        "referrals": _referrals(site),
    }
    named = {"transports": spec["transports"]}  # none is not the same as nothing said
    return manifest("Target", site.target, given(spec) | named)


def _transports(site: Site) -> Iterator[dict[str, Any]]:
    for found in site.all(Transport):
        if found.type not in ("TCP", "RDMA", "VFIOUSER"):
            site.leave_out(f"transport {found.type}", "transports of this type cannot be declared")
            continue
        if odd := site.unsaid(found):
            site.leave_out(f"options of transport {found.type}", f"no manifest can say {odd}")
        yield given(
            {
                "type": found.type,
                "maxQueueDepth": found.max_queue_depth,
                "maxIOQpairsPerController": found.max_io_qpairs_per_ctrlr,
                "inCapsuleDataSize": found.in_capsule_data_size,
                "maxIOSize": found.max_io_size,
                "maxAQDepth": found.max_aq_depth,
                "abortTimeout": found.abort_timeout_sec,
                "c2hSuccess": found.c2h_success,
                "zeroCopy": found.zcopy,
            }
        )


def _portals(site: Site) -> Iterator[dict[str, Any]]:
    """Every address on which something listens, once."""
    listeners = [at for at in site.all(Listener) if not _no_portal(site, at)]
    for name, at in sorted({_portal(at): at for at in listeners}.items()):
        portal = {"name": site.name("portal", name), "transport": at.transport, "address": at.address, "port": at.port}
        portal |= {"secureChannel": True} if at.secure_channel else {}
        discovers = any(_portal(other) == name and other.nqn == DISCOVERY for other in listeners)
        yield portal | ({"discovery": True} if discovers else {})


def _no_portal(site: Site, listener: Listener) -> str:
    """Why a listener's address cannot be a portal."""
    where = f"{listener.transport} {listener.address}"
    if listener.transport not in ("TCP", "RDMA") or not listener.port:
        return f"it listens on {where}, which no portal can say"
    at = (listener.transport, listener.address, listener.port)
    plain = any(
        (o.transport, o.address, o.port) == at and not o.secure_channel for o in site.all(Listener) if o is not listener
    )
    return f"it listens on {where} with TLS, and others without" if listener.secure_channel and plain else ""


def _portal(listener: Listener) -> str:
    return f"{listener.transport}-{listener.address}-{listener.port}{'-tls' if listener.secure_channel else ''}"


def _referrals(site: Site) -> list[dict[str, Any]]:
    """All of them or none: a list that leaves one out would have it removed."""
    odd = [r for r in site.all(Referral) if r.transport not in ("TCP", "RDMA") or not r.port]
    for referral in odd:
        site.leave_out(
            f"referral {referral.address}", "no manifest can say its transport or port; nor are the others said"
        )
    return [] if odd else [_referral(referral) for referral in site.all(Referral)]


def _referral(referral: Referral) -> dict[str, Any]:
    return {
        "transport": referral.transport,
        "address": referral.address,
        "port": referral.port,
        "subsystemNQN": referral.subsystem,
        "secureChannel": referral.secure_channel,
    }


def subsystems(site: Site) -> Iterator[Manifest]:
    for subsystem in site.all(Subsystem):
        nqn = subsystem.nqn
        if why := _unspeakable(site, subsystem):
            site.leave_out(f"subsystem {nqn}", why)
            continue
        namespaces = [namespace for namespace in site.all(Namespace) if namespace.nqn == nqn]
        spec: dict[str, Any] = {
            "nqn": nqn,
            "serialNumber": subsystem.serial_number,
            "modelNumber": subsystem.model_number,
            "maxNamespaces": subsystem.max_namespaces,
            "anaReporting": subsystem.ana_reporting or None,
            "exports": [_export(site, subsystem)],
            "namespaces": [_namespace(site, namespace) for namespace in namespaces],
            "hosts": _hosts(site, subsystem),
        }
        name = site.name("Subsystem", nqn, nqn.partition(":")[2])
        found = manifest("Subsystem", name, given(spec), site.namespace, adopt="true")
        if site.fits(f"subsystem {nqn}", found):
            yield found


def hosts(site: Site, imported: frozenset[str]) -> Iterator[Manifest]:
    """The hosts of the subsystems with these NQNs."""
    named = {host.host for host in site.all(AllowedHost) if host.nqn in imported}
    named |= {host.host for host in site.all(VisibleHost) if host.nqn in imported}
    for nqn in sorted(named):
        yield manifest("Host", _host_name(site, nqn), {"nqn": nqn, "allowedNamespaces": [site.namespace]})


def _host_name(site: Site, nqn: str) -> str:
    """What tells one host NQN from another, after the part that they have in common."""
    prefix, _, end = nqn.rpartition(":")
    return site.name("Host", nqn, f"host-{end}" if prefix.endswith("uuid") else end)


def _export(site: Site, subsystem: Subsystem) -> dict[str, Any]:
    portals = sorted({_portal(at) for at in site.all(Listener) if at.nqn == subsystem.nqn})
    export: dict[str, Any] = {"targetRef": site.target, "portals": [site.name("portal", name) for name in portals]}
    if subsystem.min_cntlid and subsystem.max_cntlid:
        export["cntlidRange"] = [subsystem.min_cntlid, subsystem.max_cntlid]
    return export | _ana(site, subsystem)


def _ana(site: Site, subsystem: Subsystem) -> dict[str, Any]:
    """The states of the paths, where they are not what they are by themselves; the same on every listener."""
    told = next((at.ana for at in site.all(Listener) if at.nqn == subsystem.nqn and at.ana), "")
    if subsystem.ana_reporting and not told:
        site.leave_out(f"ANA states of {subsystem.nqn}", "they could not be read, and are declared as optimized")
    if not (subsystem.ana_reporting and told):
        return {}
    states = [state.replace("_", "-") for state in ana_states(told, subsystem.max_namespaces or 1)]
    most = max(sorted(set(states)), key=states.count)
    others = [{"group": at, "state": state} for at, state in enumerate(states, 1) if state != most]
    return given({"anaState": most if most != "optimized" else None, "anaGroups": others})


def _unspeakable(site: Site, subsystem: Subsystem) -> str:
    """Why a subsystem cannot be imported without changing what its hosts see."""
    things: list[Listener | AllowedHost | Namespace] = []
    things += site.all(Listener)
    things += site.all(AllowedHost)
    things += site.all(Namespace)
    inside = [thing for thing in things if thing.nqn == subsystem.nqn]
    whole: tuple[Subsystem | Listener | AllowedHost | Namespace, ...] = (subsystem, *inside)
    if odd := next(((thing, said) for thing in whole if (said := site.unsaid(thing))), None):
        return f"no manifest can say of {odd[0].key}: {odd[1]}"
    listeners = [thing for thing in inside if isinstance(thing, Listener)]
    reasons = [_no_portal(site, at) for at in listeners] if listeners else ["it listens nowhere"]
    reasons += [_no_namespace(site, thing) for thing in inside if isinstance(thing, Namespace)]
    reasons += [_keyed(thing) for thing in inside if isinstance(thing, AllowedHost)]
    if len({at.ana for at in listeners}) > 1:
        reasons.append("its listeners have different ANA states, which no manifest can say of one target")
    return next(filter(None, reasons), "")


def _keyed(host: AllowedHost) -> str:
    names = ", ".join(filter(None, (host.dhchap_key, host.dhchap_controller_key, host.psk)))
    return f"host {host.host} proves itself with keys ({names}), which are declared by hand" if names else ""


def _no_namespace(site: Site, namespace: Namespace) -> str:
    if namespace.bdev not in site.exportable:
        what = "an Image" if namespace.bdev in site.images else "left out"
        return f"namespace {namespace.nsid} shows bdev {namespace.bdev}, which is {what}"
    reference, name = site.exportable[namespace.bdev]
    shown = namespace.uuid or namespace.bdev
    if namespace.nguid not in (None, identity.nguid_of(shown)):
        return f"namespace {namespace.nsid} has NGUID {namespace.nguid}, which its uuid {shown} does not give"
    if reference == "deviceRef" and (shown != namespace.bdev or name in site.volatile):
        return f"namespace {namespace.nsid} shows device {name} under an identity that cannot be declared"
    return ""


def _namespace(site: Site, namespace: Namespace) -> dict[str, Any]:
    reference, name = site.exportable[namespace.bdev]
    found: dict[str, Any] = {"nsid": namespace.nsid, reference: name}
    if namespace.masked:
        seen = (h.host for h in site.all(VisibleHost) if (h.nqn, h.nsid) == (namespace.nqn, namespace.nsid))
        found["visibleTo"] = [_host_name(site, host) for host in sorted(seen)]
    if namespace.anagrpid not in (None, 0, namespace.nsid):
        found["anaGroup"] = namespace.anagrpid
    return found


def _hosts(site: Site, subsystem: Subsystem) -> dict[str, Any]:
    listed = [_host_name(site, host.host) for host in site.all(AllowedHost) if host.nqn == subsystem.nqn]
    return ({"refs": listed} if listed else {}) | ({"any": True} if subsystem.allow_any_host else {})
