from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.hazards import former_key, former_names
from analyzer.rule import Case, Hit, Rule, hit
from schemas.annotations import RENAMED_FROM
from schemas.kinds import our_kinds
from schemas.resources import ResourceKey

PATH = ("metadata", "annotations", RENAMED_FROM)
DERIVED = {"Subsystem": ("nqn", "serialNumber"), "BlockDevice": ("uuid",)}  # identities that follow the name


def check(case: Case) -> Iterator[Hit]:
    named = former_names(case.graph.resources)
    for kind in our_kinds():
        for manifest in case.graph.sound(kind):
            former = former_key(manifest.resource)
            missing = [field for field in DERIVED.get(kind, ()) if field not in manifest.resource.spec]
            if former and manifest.key not in named:
                why = _refusal(case, manifest.key, former)
                yield hit(manifest, PATH, why, "name one that is gone from this namespace, or none")
            elif former and missing:
                why = f"{' and '.join(missing)} would follow the new name, and hosts would meet another device"
                yield hit(manifest, PATH, why, "declare what it has now")


def _refusal(case: Case, key: ResourceKey, former: ResourceKey) -> str:
    if former in case.graph.resources:
        return f"{former} is still declared: its bytes have one owner"
    if former.namespace != key.namespace:
        return f"{former} is in another namespace: bytes do not pass from tenant to tenant by a name"
    return f"another resource says that it was {former}, too"


RULE = Rule("invalid-rename", Severity.ERROR, check)
