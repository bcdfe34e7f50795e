"""Findings about rendered resources: how sure they are, which roots show them, and each of them once."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from analyzer.finding import Confidence, Finding
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest
from analyzer.roots.substitute import has_variables
from analyzer.scope import Site
from schemas.resources import OUR_GROUP

_TEXTS = ("ConfigMap", "Secret")  # what is in them may be anything, and mean anything


def told(finding: Finding, site: Site, graph: ResourceGraph) -> Finding:
    """A finding with what is known of the root that it comes from."""
    manifest = graph.get(finding.resource) if finding.resource else None
    root = site.root_of(manifest) if manifest else None
    if manifest is None or root is None:
        return replace(finding, confidence=Confidence.LOW) if _is_beside(finding, site) else finding
    unsure = not root.sure or _templated(manifest) or (not root.rendered and _is_beside(finding, site))
    confidence = Confidence.LOW if unsure else finding.confidence
    roots = (root.name,) if root.rendered else ()
    if (confidence, roots) == (finding.confidence, finding.roots):
        return finding
    return replace(finding, confidence=confidence, roots=roots)


@functools.lru_cache(maxsize=1024)
def _templated(manifest: Manifest) -> bool:
    """Whether some of its values are not known yet. Of what is ours they are: it is applied as it is written."""
    passed_over = manifest.key.kind in _TEXTS or manifest.key.group == OUR_GROUP
    return not passed_over and has_variables(manifest.document.value)


def _is_beside(finding: Finding, site: Site) -> bool:
    """Whether it is about something that no root takes in, where there are roots: perhaps nobody deploys it."""
    ours = finding.resource is not None and finding.resource.group == OUR_GROUP
    return not ours and finding.location.path in site.beside


def once(found: Iterable[Sequence[Finding]]) -> tuple[Finding, ...]:
    """The findings of all clusters. What several roots show at one place is one mistake, told with all of them."""
    merged: dict[tuple[object, ...], Finding] = {}
    for findings in found:
        seen: dict[tuple[object, ...], int] = defaultdict(int)
        for finding in sorted(set(findings)):
            about = (finding.rule, finding.severity, finding.location, finding.path, bool(finding.roots))
            seen[about] += 1
            first = merged.setdefault((*about, seen[about]), finding)
            if first.roots != finding.roots:
                merged[(*about, seen[about])] = replace(first, roots=tuple(sorted({*first.roots, *finding.roots})))
    return tuple(sorted(merged.values()))
