from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, ChangeRule, Hit, both_sound, hit
from schemas.quantity import parse_bytes


def check(case: Case, before: Manifest | None, after: Manifest | None) -> Iterator[Hit]:
    both = both_sound(before, after)
    if both is None or both[1].key.kind_name != "Volume":
        return
    old, new = (str(manifest.spec["size"]) for manifest in both)
    if parse_bytes(new) < parse_bytes(old):
        note = (case.was(both[0], ("spec", "size")), f"{old} before")
        message = f"shrinking {old} → {new} is never done; the volume stays at {old} (KeptLarger)"
        yield hit(both[1], ("spec", "size"), message, f"declare {old}", note)


RULE = ChangeRule("volume-shrink", Severity.WARNING, check)
