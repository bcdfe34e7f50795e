from __future__ import annotations

from collections.abc import Iterator

from analyzer.finding import Severity
from analyzer.rule import Case, Hit, Rule, hit
from schemas.quantity import parse_bytes


def check(case: Case) -> Iterator[Hit]:
    for before, after in case.updated("Volume"):
        old, new = before.spec["size"], after.spec["size"]
        if parse_bytes(new) < parse_bytes(old):
            note = (case.was(before, ("spec", "size")), f"{old} before")
            message = f"shrinking {old} → {new} is never done; the volume stays at {old} (KeptLarger)"
            yield hit(after, ("spec", "size"), message, f"declare {old}", note)


RULE = Rule("volume-shrink", Severity.WARNING, check)
