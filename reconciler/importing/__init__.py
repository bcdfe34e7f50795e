"""Manifests of a target that was configured before Holdfast, such that the next plan has nothing to do. Pure.

What no manifest can say yet is named in `left_out`, and stays as it is on the target: it is foreign to us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from backends.contract import Observed
from backends.objects import ObjectKey
from reconciler.importing.devices import devices
from reconciler.importing.exports import hosts, subsystems, target
from reconciler.importing.site import Manifest, Site
from reconciler.importing.volumes import pools, volumes


@dataclass(frozen=True)
class Imported:
    """What was written down of a target: manifests by file, what was left out, and what to know of some, in words."""

    files: Mapping[str, Sequence[Mapping[str, Any]]]
    left_out: tuple[str, ...]
    notes: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by kind and name


def import_target(  # noqa: PLR0913  # what was seen, and what it is to be called
    observed: Observed,
    name: str,
    connection: Mapping[str, Any],
    namespace: str,
    *,
    odd: Mapping[ObjectKey, Sequence[str]] = MappingProxyType({}),
    unknown: Sequence[str] = (),
) -> Imported:
    """Everything on the target that a manifest can say. Volumes and subsystems go to one tenant's namespace.

    `odd` is what no manifest can say of single objects, `unknown` what is there besides.
    """
    site = Site(observed, name, namespace, odd)
    for gap in observed.gaps:
        site.leave_out(f"every {gap.kind} {gap.within}".rstrip(), f"could not be read: {gap.because}")
    made, stores = list(devices(site)), list(pools(site))
    kept, exported = list(volumes(site)), list(subsystems(site))
    node = target(site, connection)
    site.left_out += [f"{what}: nothing of the kind can be declared" for what in unknown]
    files: dict[str, Sequence[Manifest]] = {
        f"nodes/{name}.yaml": [node, *_of(made, "BlockDevice"), *stores],
        f"storage/{name}-images.yaml": _of(made, "Image"),
        "hosts/hosts.yaml": list(hosts(site, frozenset(str(m["spec"]["nqn"]) for m in exported))),
        f"{namespace}/volumes.yaml": _of(kept, "Volume"),
        f"{namespace}/snapshots.yaml": _of(kept, "VolumeSnapshot"),
        f"{namespace}/subsystems.yaml": exported,
    }
    return Imported({path: docs for path, docs in files.items() if docs}, tuple(site.left_out), site.notes)


def _of(manifests: Sequence[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]
