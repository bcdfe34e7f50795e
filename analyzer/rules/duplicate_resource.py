from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.finding import Confidence, Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import OUR_GROUP


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    for other in case.graph.duplicates_of(manifest.key):
        message = f"{manifest.key} is declared twice"
        advice = "remove one of the two, or rename it"
        note = (manifest.position_of(("metadata", "name")), "first declared here")
        found = hit(other, ("metadata", "name"), message, advice, note)
        yield replace(found, confidence=_confidence(manifest, other))


def _confidence(one: Manifest, other: Manifest) -> Confidence:
    """What is not ours may be applied file by file, as variants or to different clusters, without a word of it here."""
    together = one.key.group == OUR_GROUP or one.path == other.path
    return Confidence.HIGH if together else Confidence.LOW


RULE = ResourceRule("duplicate-resource", Severity.ERROR, (), check, fixed=True, sound=False)
