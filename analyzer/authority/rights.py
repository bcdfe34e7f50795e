"""Who may change what, as AccessPolicies say. Pure.

A key is known by its fingerprint. What a broken policy says grants nothing, and yet it is a policy: where there is one,
nobody may do what none allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.authority.history import Act
from analyzer.hazards import Action
from analyzer.manifest import Manifest
from schemas.keys import ssh_fingerprint
from schemas.resources import ResourceKey

KIND = "AccessPolicy"
ANY = "*"


@dataclass(frozen=True, slots=True)
class Subject:
    """A key that policies name. `signer` identifies it: `SHA256:…` of an SSH key, or a GPG fingerprint."""

    signer: str
    name: str = ""
    ssh_key: str = ""  # type and blob; empty for a GPG key


def subjects(policies: Iterable[Manifest]) -> Iterator[Subject]:
    """The keys of all sound policies."""
    for policy in policies:
        if policy.sound:
            yield from map(subject, policy.spec["subjects"])


def subject(entry: Mapping[str, Any]) -> Subject:
    """An entry of `spec.subjects`."""
    name = str(entry.get("name", ""))
    if "sshKey" in entry:
        written = str(entry["sshKey"])
        return Subject(ssh_fingerprint(written), name, " ".join(written.split(" ")[:2]))
    return Subject(str(entry["gpgFingerprint"]).upper(), name)


def whose(signer: str, policies: Iterable[Manifest]) -> str:
    """A key in words: its owner, where a policy tells, and its fingerprint."""
    names = sorted({known.name for known in subjects(policies) if known.signer == signer and known.name})
    return f"{' or '.join(names)} ({signer})" if names else signer


def may(signer: str, act: Act, policies: Iterable[Manifest]) -> bool:
    """Whether some policy lets the holder of a key do this."""
    return any(_grants(right, act.action, act.key) for right in _rights(signer, policies))


def may_everything(signer: str, policies: Iterable[Manifest]) -> bool:
    """Whether one right of a key covers whatever there is."""
    whole: set[Action] = {"create", "update", "delete"}
    rights = _rights(signer, policies)
    return any(ANY in r["kinds"] and ANY in r["namespaces"] and whole <= set(r["changes"]) for r in rights)


def _rights(signer: str, policies: Iterable[Manifest]) -> Iterator[Mapping[str, Any]]:
    for policy in policies:
        if policy.sound and any(subject(entry).signer == signer for entry in policy.spec["subjects"]):
            yield from policy.spec["allow"]


def _grants(right: Mapping[str, Any], action: Action, key: ResourceKey) -> bool:
    places = right["namespaces"]
    kinds = right["kinds"]
    somewhere = ANY in places or (key.namespace != "" and key.namespace in places)
    return somewhere and action in right["changes"] and (ANY in kinds or key.kind_name in kinds)
