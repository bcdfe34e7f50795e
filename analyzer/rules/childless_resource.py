from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

NAME = ("metadata", "name")


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for held in manifest.kind.holds if manifest.kind else ():
        if not any(_is_given(manifest.resource.spec.get(field)) for field in held.fields):
            names = " or ".join(filter(None, [", ".join(held.fields[:-1]), held.fields[-1]]))
            yield hit(manifest, NAME, f"{manifest.key} {held.because}", f"fill in {names}, or remove it")


def _is_given(value: object) -> bool:
    """A selector that is there may pick something, an empty list cannot."""
    return value is not None and value != []


RULE = ResourceRule("childless-resource", Severity.WARNING, (), check, has=attrgetter("holds"))
