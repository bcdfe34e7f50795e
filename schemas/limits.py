"""Which QoSPolicy limits a volume. The analyzer and the reconciler both ask here, so that they mean the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.kinds import our_kinds
from schemas.resources import JsonObject, Resource


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a selector matches: every label that it names is there with that value."""
    wanted: Any = selector.get("matchLabels") if isinstance(selector, Mapping) else None
    return (
        isinstance(wanted, Mapping)
        and bool(wanted)
        and all(labels.get(name) == value for name, value in wanted.items())
    )


def allows(resource: Resource, namespace: str) -> bool:
    """Whether a cluster-scoped resource may be used by a tenant, as its `allowedNamespaces` say."""
    allowed: Any = our_kinds()[resource.key.kind].with_defaults(resource.spec)["allowedNamespaces"]
    return "*" in allowed or namespace in allowed


def picks(selector: object, namespace: str, resource: Resource) -> bool:
    """Whether a tenant's selector names a cluster-scoped resource: by its labels, where that allows the tenant."""
    return selects(selector, resource.labels) and allows(resource, namespace)


class Policies:
    """The QoS policies of one revision."""

    def __init__(self, policies: Iterable[Resource]) -> None:
        self._by_key = {(policy.key.namespace, policy.key.name): policy for policy in policies}
        self._selecting: dict[str, list[Resource]] = defaultdict(list)
        for place in sorted(self._by_key):
            policy = self._by_key[place]
            if "selector" in policy.spec:
                self._selecting[policy.key.namespace].append(policy)

    def of(self, volume: Resource, storage_class: JsonObject) -> Sequence[Resource]:
        """The policies that would limit a volume without limits of its own: one that it names, else those that select
        it, else its class's. More than one is a conflict; then the first counts.
        """
        if "qosPolicyRef" in volume.spec:
            return self._named(volume.key.namespace, volume.spec["qosPolicyRef"])
        places = ("", volume.key.namespace) if self._selecting else ()
        found = [p for place in places for p in self._selecting.get(place, ()) if _picks(p, volume)]
        return found or self._named("", storage_class.get("qosPolicyRef"))

    def _named(self, namespace: str, name: object) -> Sequence[Resource]:
        policy = self._by_key.get((namespace, str(name)))
        return [policy] if policy else []


def _picks(policy: Resource, volume: Resource) -> bool:
    return selects(policy.spec["selector"], volume.labels)


def limiting(volume: Resource, policies: Sequence[Resource]) -> JsonObject:
    """The limits of a volume: its own, else those of the first of these policies; in the words of `spec.qos`."""
    own: Any = volume.spec.get("qos")
    if own is not None:
        return dict(own)
    return policies[0].spec if policies else {}
