from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.finding import Note, Severity
from analyzer.manifest import Manifest
from analyzer.renames import former_name
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from schemas.resources import ResourceKey
from schemas.validation import Path


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    both = both_sound(before, after)
    if both is None or both[1].key.kind_name != "Subsystem":
        return
    old, new = both
    known = {entry["nsid"]: (_bytes(old, entry), path) for path, entry in _entries(old)}
    for path, entry in _entries(new):
        was, where = known.get(entry["nsid"], (None, path))
        now = _bytes(new, entry)
        if was and was != now and "reuses" not in entry and not _renamed(case, was, now):
            note = (case.was(old, (*where, "nsid")), "shown here before")
            yield _hit(new, (*path, "nsid"), f"namespace id {entry['nsid']} of {new.key} was that of {was}", note)


def _renamed(case: Case, was: ResourceKey, now: ResourceKey) -> bool:
    """Whether these are the same bytes under another name, or again under their former one."""
    return former_name(case.graph, now) == was or bool(case.base and former_name(case.base, was) == now)


def _entries(subsystem: Manifest) -> Iterator[tuple[Path, Any]]:
    for number, entry in enumerate(subsystem.spec["namespaces"]):
        yield ("spec", "namespaces", number), entry


def _bytes(subsystem: Manifest, entry: Any) -> ResourceKey:  # noqa: ANN401  # JSON
    """The resource whose bytes a namespace shows."""
    key = subsystem.key
    if "volumeRef" in entry:
        return ResourceKey("Volume", key.namespace, entry["volumeRef"], key.group)
    return ResourceKey("BlockDevice", "", entry["deviceRef"], key.group)


def _hit(subsystem: Manifest, path: Path, message: str, note: Note) -> Hit:
    advice = "take an id that was never used here, or declare `reuses` with the uuid that hosts knew there"
    return hit(subsystem, path, f"{message}; a host may take the new disk for the old", advice, note)


RULE = ChangeRule("nsid-reused", Severity.ERROR, check)
