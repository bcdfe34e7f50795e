"""What a manifest says of itself, whatever its kind: drift policy, annotations, former names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.desired import Wish
from reconciler.resolving.catalogue import Catalogue
from reconciler.resolving.placing import Placing
from schemas.annotations import ADOPT, DRIFT_IGNORE, REQUESTED_AT
from schemas.resources import Resource


class Common:
    """What the wishes of every kind have in common."""

    def __init__(self, catalogue: Catalogue, placing: Placing) -> None:
        self._all, self._placing = catalogue, placing

    def wish(self, resource: Resource, spec: Mapping[str, Any]) -> Wish:
        notes = resource.annotations
        return Wish(
            key=resource.key,
            drift_policy=spec.get("driftPolicy") or self._kind_policy(resource, spec),
            drift_ignore=frozenset(notes.get(DRIFT_IGNORE, "").replace(",", " ").split()),
            adopt=notes.get(ADOPT, ""),
            requested_at=notes.get(REQUESTED_AT, ""),
            reclaim=spec.get("reclaimPolicy", ""),
            aliases=self._all.aliases(resource.key),
        )

    def _kind_policy(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """What the repository says about the kind; the Target's policy where it says nothing."""
        return self._all.policy.kind_policies.get(resource.key.kind) or self._target_policy(resource, spec)

    def _target_policy(self, resource: Resource, spec: Mapping[str, Any]) -> str:
        """The Target's drift policy; the repository's where the Target says nothing."""
        if resource.key.kind == "Target":
            return str(resource.spec.get("driftPolicy") or self._all.policy.drift_policy)
        names = [export["targetRef"] for export in spec.get("exports", ())] or [self._placing.target_of(resource.key)]
        return self._target_policy(self._all.get("Target", "", names[0]), {})
