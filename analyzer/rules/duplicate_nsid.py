from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import values_at
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import Path


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    first: dict[int, Path] = {}
    for path, _, nsid in values_at(manifest.resource.spec, ("namespaces", "[]", "nsid"), ("spec",)):
        if first.setdefault(nsid, path) != path:
            note = (manifest.position_of(first[nsid]), "first given here")
            message = f"namespace id {nsid} is given twice in {manifest.key}"
            yield hit(manifest, path, message, "take an id that was never used here before", note)


RULE = ResourceRule("duplicate-nsid", Severity.ERROR, ("Subsystem",), check, fixed=True)
