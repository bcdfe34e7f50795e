from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

PATHS = {"Volume": ("spec", "uid"), "BlockDevice": ("spec", "uuid")}


def _uid(manifest: Manifest) -> Iterator[str]:
    uid = manifest.resource.spec.get(PATHS[manifest.key.kind][-1])
    if uid:
        yield str(uid).lower()


UIDS = Index("uid", tuple(PATHS), _uid)


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for uid in _uid(manifest):
        other, *_ = case.graph.sharing(UIDS, uid)
        if other is not manifest:
            note = (other.position_of(PATHS[other.key.kind]), f"{other.key} has it")
            message = f"the same identity as {other.key}: a host would take one disk for the other"
            path, advice = PATHS[manifest.key.kind], "leave it out, unless these bytes bring it with them"
            yield hit(manifest, path, message, advice, note)


RULE = ResourceRule("duplicate-uid", Severity.ERROR, tuple(PATHS), check)
