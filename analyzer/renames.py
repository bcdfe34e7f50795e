"""Who was called otherwise before, asked of a graph one resource at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from analyzer.graph import ResourceGraph
from analyzer.hazards import FieldChange, former_key
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from schemas.kinds import names_of_ours
from schemas.resources import ResourceKey


def _claims(manifest: Manifest) -> Iterator[str]:
    if former := former_key(manifest.resource):
        yield former.text


FORMER = Index("former-key", names_of_ours(), _claims)


def former_name(graph: ResourceGraph, key: ResourceKey) -> ResourceKey | None:
    """The key that a resource had before, where that name is free: nobody bears it, and one resource lays claim to it.

    Of several that lay claim to it the first has it.
    """
    manifest = graph.get(key)
    former = former_key(manifest.resource) if manifest else None
    if former is None or former.namespace != key.namespace or graph.get(former):
        return None
    claims = graph.sharing(FORMER, former.text)  # of a manifest that is not sound no claim counts
    return former if claims and claims[0].key == key else None


def later_name(graph: ResourceGraph, former: ResourceKey) -> ResourceKey | None:
    """What a resource of this key is called now, where it was renamed."""
    claims = (manifest.key for manifest in graph.sharing(FORMER, former.text))
    return next((key for key in claims if former_name(graph, key) == former), None)


def compared(
    base: ResourceGraph, head: ResourceGraph, keys: Collection[ResourceKey] | None = None
) -> Iterator[tuple[Manifest | None, Manifest | None]]:
    """The resources that differ, at both revisions, in order of their keys. One renamed stays one resource.

    `keys`: those that may differ, where that is known.
    """
    for key in sorted(keys if keys is not None else base.manifests.keys() | head.manifests.keys()):
        before, after = base.get(key), head.get(key)
        if after and not before:
            former = former_name(head, key)
            before = base.get(former) if former else None
        later = later_name(head, key) if before and not after else None
        if before is not after and not (later and base.get(later) is None):
            yield before, after


def follows_rename(graph: ResourceGraph, after: Manifest, change: FieldChange) -> bool:
    """Whether a field names what it named before, which is called otherwise now."""
    named = (reference.target for reference in graph.references(after.key) if reference.path == change.path)
    former = (former_key(manifest.resource) for key in named if (manifest := graph.get(key)))
    return any(key is not None and key.name == change.before for key in former)
