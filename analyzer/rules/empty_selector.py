from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import choosers_of, has_selectors
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.resources import unqualified
from schemas.selector import is_empty


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for each in choosers_of(manifest):
        if is_empty(each.chosen):
            where = f" of namespace {manifest.key.namespace}" if manifest.key.namespace else ""
            message = f"an empty selector picks every {unqualified(each.wanted)[1]}{where}, also those to come"
            yield hit(manifest, each.path, message, "name the labels that are meant, or name the resources one by one")


RULE = ResourceRule("empty-selector", Severity.WARNING, (), check, has=has_selectors)
