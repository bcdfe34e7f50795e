from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import former_key
from analyzer.manifest import Manifest
from analyzer.renames import former_name
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.annotations import RENAMED_FROM
from schemas.kinds import names_of_ours
from schemas.resources import ResourceKey

PATH = ("metadata", "annotations", RENAMED_FROM)
DERIVED = {"Subsystem": ("nqn", "serialNumber"), "BlockDevice": ("uuid",)}  # identities that follow the name


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    former = former_key(manifest.resource)
    if former is None:
        return
    missing = [field for field in DERIVED.get(manifest.key.kind, ()) if field not in manifest.resource.spec]
    if former_name(case.graph, manifest.key) is None:
        why = _refusal(case, manifest.key, former)
        yield hit(manifest, PATH, why, "name one that is gone from this namespace, or none")
    elif missing:
        why = f"{' and '.join(missing)} would follow the new name, and hosts would meet another device"
        yield hit(manifest, PATH, why, "declare what it has now")


def _refusal(case: Case, key: ResourceKey, former: ResourceKey) -> str:
    if case.graph.get(former):
        return f"{former} is still declared: its bytes have one owner"
    if former.namespace != key.namespace:
        return f"{former} is in another namespace: bytes do not pass from tenant to tenant by a name"
    return f"another resource says that it was {former}, too"


RULE = ResourceRule("invalid-rename", Severity.ERROR, names_of_ours(), check)
