from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from analyzer.finding import Confidence, Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from analyzer.volumes import full_spec, origin_of
from schemas.resources import canonical

KEY = ("spec", "encryption", "keyFrom")


def check(case: Case, volume: Manifest) -> Iterator[Hit]:
    if "source" not in volume.spec or not (own := _key(case.graph, volume)):
        return
    said = KEY if "encryption" in volume.resource.spec else ("spec", "storageClassName")
    if "imageRef" in volume.spec["source"]:
        message = f"{volume.key} begins as an image, which is not encrypted: read with a key it would be noise"
        yield hit(volume, said, message, "take the encryption out, or copy the image into a blank volume")
        return
    origin = origin_of(case.graph, volume)
    if origin is None or not origin.sound:
        return
    theirs, sure = _key(case.graph, origin), "encryption" in origin.resource.spec or not _has_class(origin)
    note = (origin.position_of(("metadata", "name")), f"{origin.key}, {'its key is another' if theirs else 'no key'}")
    if theirs is None:
        message = f"{volume.key} is a clone of {origin.key}, which is not encrypted: read with a key it would be noise"
        found = hit(volume, said, message, "take the encryption out, or copy it into a blank volume", note)
        yield found if sure else replace(found, confidence=Confidence.LOW)
    elif said == KEY and canonical(own) != canonical(theirs):
        message = f"a clone has the key of its source: that of {origin.key} is in another place"
        found = hit(volume, said, message, "name the key of its source, or none", note)
        yield replace(found, confidence=Confidence.LOW)  # the same key may stand in two places


def _key(graph: ResourceGraph, volume: Manifest) -> Mapping[str, Any] | None:
    """Where the key of a volume's bytes is, as its manifest and its class say."""
    encryption = full_spec(graph, volume).get("encryption")
    return encryption["keyFrom"] if encryption else None


def _has_class(volume: Manifest) -> bool:
    """Whether its class may have said something else when it was made."""
    return "storageClassName" in volume.resource.spec


RULE = ResourceRule("clone-key-mismatch", Severity.ERROR, ("Volume",), check)
