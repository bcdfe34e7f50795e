from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from analyzer.edges import values_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.selector import faults


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for field in manifest.kind.label_selectors if manifest.kind else ():
        for path, _, selector in values_of(manifest, field):
            for fault in faults(selector):
                yield hit(manifest, (*path, *fault.path), fault.message, fault.advice)


RULE = ResourceRule("invalid-selector", Severity.ERROR, (), check, has=attrgetter("label_selectors"))
