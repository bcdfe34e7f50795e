from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from analyzer.finding import Severity
from analyzer.roots.deployment import is_stray
from analyzer.roots.problem import place_of
from analyzer.roots.tree import Origin
from analyzer.rule import Case, CaseRule, Hit

_NO_MANIFEST = "no manifest, and no root takes it in; nothing will come of it"
_NO_MANIFEST_ADVICE = "add the path to `ignore` in .holdfast.yaml, or give it apiVersion and kind"
_LEFT_OUT_ADVICE = "name its folder under `roots` in .holdfast.yaml, or the path under `ignore`"


def check(case: Case) -> Iterator[Hit]:
    for root in case.roots:
        for _, strays in groupby(root.strays, key=lambda stray: stray.file):
            yield _told([*strays])


def _told(strays: list[Origin]) -> Hit:
    """What one file comes to, at the first document of which nothing comes."""
    manifests = [stray for stray in strays if not is_stray(stray.document)]
    if not manifests:
        return Hit(place_of(strays[0]), _NO_MANIFEST, help=_NO_MANIFEST_ADVICE)
    what = "this manifest" if len(manifests) == 1 else f"the {len(manifests)} manifests of this file"
    return Hit(place_of(manifests[0]), f"no root takes in {what}; nothing will come of it", help=_LEFT_OUT_ADVICE)


RULE = CaseRule("undeployed-file", Severity.INFO, check)
