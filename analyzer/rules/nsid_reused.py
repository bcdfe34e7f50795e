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
    if both and both[1].key.kind_name == "Volume":
        yield from _repinned(case, *both)
    elif both and both[1].key.kind_name == "Subsystem":
        yield from _exchanged(case, *both)


def _exchanged(case: Case, old: Manifest, new: Manifest) -> Iterator[Hit]:
    """Namespaces that show other bytes than before."""
    known = {entry["nsid"]: (_bytes(old, entry), path) for path, entry in _entries(old)}
    for path, entry in _entries(new):
        was, where = known.get(entry["nsid"], (None, path))
        now = _bytes(new, entry)
        if was and was != now and "reuses" not in entry and not _renamed(case, was, now):
            note = (case.was(old, (*where, "nsid")), "shown here before")
            yield _hit(new, (*path, "nsid"), f"namespace id {entry['nsid']} of {new.key} was that of {was}", note)


def _repinned(case: Case, old: Manifest, new: Manifest) -> Iterator[Hit]:
    """A volume that stays in its namespaces under another uuid. (Whether one that is pinned first is the lvol's own,
    manifests do not tell.)
    """
    was, now = old.resource.spec.get("uid"), new.resource.spec.get("uid")
    if None in (was, now) or was == now or case.base is None or new.resource.spec.get("recreate") == was:
        return
    for reference in case.graph.incoming_to(new.key):
        subsystem, former = case.graph.get(reference.source), case.base.get(reference.source)
        if subsystem and subsystem.key.kind_name == "Subsystem" and subsystem.sound and former and former.sound:
            entry = subsystem.spec["namespaces"][reference.path[2]]
            if "reuses" not in entry and (entry["nsid"], old.key.name) in _shown(former):
                note = (subsystem.position_of(reference.path), f"nsid {entry['nsid']}")
                message = f"namespace id {entry['nsid']} of {subsystem.key} showed {was}, and would show {now}"
                yield _hit(new, ("spec", "uid"), message, note)


def _shown(subsystem: Manifest) -> set[tuple[int, str]]:
    return {(entry["nsid"], entry.get("volumeRef", "")) for _, entry in _entries(subsystem)}


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


def _hit(manifest: Manifest, path: Path, message: str, note: Note) -> Hit:
    advice = "take an id that was never used here, or declare `reuses` with the uuid that hosts knew there"
    return hit(manifest, path, f"{message}; a host may take the new disk for the old", advice, note)


RULE = ChangeRule("nsid-reused", Severity.ERROR, check)
