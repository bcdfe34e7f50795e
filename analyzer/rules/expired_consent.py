from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from analyzer.edges import values_at
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

CONSENTS = {  # kind → where its date is, what an expired one means, what to do
    "StoragePool": (
        ("spec", "initialize", "expires"),
        "initialize expired on {day}; the pool is not made any more",
        "replace initialize by lvstoreUUID if the pool is there, or set a later day",
    ),
    "Removal": (
        ("spec", "expires"),
        "this Removal expired on {day}; it destroys nothing any more",
        "take it out, or set a later day",
    ),
}


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    path, message, advice = CONSENTS[manifest.key.kind]
    for _, _, day in values_at(manifest.spec, path[1:]):
        if date.fromisoformat(day) < case.as_of:
            yield hit(manifest, path, message.format(day=day), advice)


RULE = ResourceRule("expired-consent", Severity.WARNING, tuple(CONSENTS), check)
