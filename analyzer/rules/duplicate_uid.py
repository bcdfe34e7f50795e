from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit

PATHS = {"Volume": ("spec", "uid"), "BlockDevice": ("spec", "uuid")}


def check(case: Case) -> Iterator[Hit]:
    first: dict[str, Manifest] = {}
    for kind, path in PATHS.items():
        for manifest in case.graph.sound(kind):
            uid = manifest.resource.spec.get(path[-1])
            if not uid:
                continue
            other = first.setdefault(str(uid).lower(), manifest)
            if other is not manifest:
                note = (other.position_of(PATHS[other.key.kind]), f"{other.key} has it")
                message = f"the same identity as {other.key}: a host would take one disk for the other"
                yield hit(manifest, path, message, "leave it out, unless these bytes bring it with them", note)


RULE = Rule("duplicate-uid", Severity.ERROR, check)
