"""What the repository wants of each target: the accepted revision's resources, resolved and sorted by target.

Pure. Identities that a manifest leaves out are derived here; which live object stands for a resource is the planner's
business, because only it knows the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from reconciler.desired import Consent, DesiredState, Placement
from reconciler.policy import Policy
from reconciler.resolving.catalogue import Catalogue
from reconciler.resolving.targets import Targets
from schemas.resources import OUR_GROUP, Resource, ResourceKey


def desired_state(
    revision: str,
    resources: Iterable[Resource],
    policy: Policy,
    site: str,
    placed: Mapping[ResourceKey, Placement] = MappingProxyType({}),
) -> DesiredState:
    """Resolve the resources of an accepted revision. They have passed the analyzer: every reference leads somewhere.

    Those of other groups are nobody's to apply, whatever they are called. What is placed already stays there: a
    StorageClass decides once, when a volume is created.
    """
    ours = {resource.key: resource for resource in resources if resource.key.group == OUR_GROUP}
    catalogue = Catalogue(ours, policy, site, placed)
    resolved = Targets(catalogue)
    return DesiredState(
        revision=revision,
        policy=policy,
        targets={target.name: target for target in map(resolved.target, catalogue.of("Target"))},
        consents=tuple(_consent(r) for r in catalogue.of("Removal")),
        declared=frozenset(catalogue.declared()),
        quotas=tuple(resolved.storage.quota(r) for r in catalogue.of("Quota")),
    )


def _consent(resource: Resource) -> Consent:
    spec: Any = resource.spec
    return Consent(
        key=resource.key,
        ref=ResourceKey(spec["ref"]["kind"], resource.key.namespace, spec["ref"]["name"]),
        uid=spec["uid"],
        reason=spec["reason"],
        expires=date.fromisoformat(spec["expires"]),
    )
