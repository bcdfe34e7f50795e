from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.finding import Note, Severity
from analyzer.hazards import former_names
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, Rule, hit
from schemas.resources import ResourceKey
from schemas.validation import Path


def check(case: Case) -> Iterator[Hit]:
    former = former_names(case.graph.resources)
    reverted = former_names(case.base.resources) if case.base else {}  # of a rename that is taken back
    for before, after in case.updated("Subsystem"):
        known = {entry["nsid"]: (_bytes(before, entry), path) for path, entry in _entries(before)}
        for path, entry in _entries(after):
            was, where = known.get(entry["nsid"], (None, path))
            now = _bytes(after, entry)
            same = was in (None, now, former.get(now)) or (was and reverted.get(was) == now)
            if not same and "reuses" not in entry:
                note = (case.was(before, (*where, "nsid")), "shown here before")
                yield _hit(
                    after, (*path, "nsid"), f"namespace id {entry['nsid']} of {after.key} was that of {was}", note
                )


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


RULE = Rule("nsid-reused", Severity.ERROR, check)
