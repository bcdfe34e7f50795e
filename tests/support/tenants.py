"""A repository with an operator, a tenant and policies, for tests of who may change what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from forge import Forge
from signing import Signer, signed

from analyzer.analyze import analyze
from analyzer.authority.history import Commit
from analyzer.finding import Finding, Severity
from analyzer.git import read_snapshot
from reconciler.lineage import history_of, proposal_of

AS_OF = date(2026, 6, 1)
API = "storage.holdfast.dev/v1alpha1"
ACCESS = {"history-rewritten", "unsigned-change", "access-denied"}


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def quota(volumes: int, namespace: str = "team-a", name: str = "all") -> dict[str, Any]:
    return manifest("Quota", name, {"volumes": volumes}, namespace)


def policy(by: Signer, *allow: Mapping[str, Any], name: str = "operators") -> dict[str, Any]:
    return manifest("AccessPolicy", name, {"subjects": [{"name": name, "sshKey": by.public}], "allow": list(allow)})


@dataclass
class Repository:
    """One repository with an operator, who may do everything, and a tenant, who may change quotas of team-a."""

    folder: Path
    forge: Forge = field(init=False)
    operator: Signer = field(init=False)
    tenant: Signer = field(init=False)
    stranger: Signer = field(init=False)

    def __post_init__(self) -> None:
        self.forge = Forge(self.folder / "site.git")
        self.operator, self.tenant, self.stranger = (Signer.new(self.folder, n) for n in ("ops", "team", "eve"))

    def policies(self) -> list[dict[str, Any]]:
        tenant = {"kinds": ["Quota"], "namespaces": ["team-a"], "changes": ["create", "update"]}
        return [policy(self.operator, {"kinds": ["*"]}), policy(self.tenant, tenant, name="team-a")]

    def files(self, *manifests: Mapping[str, Any], **others: str) -> dict[str, str]:
        """Each manifest in a file of its own, the policies beside them."""
        found = [*self.policies(), *manifests]
        named = {f"{m['kind']}-{m['metadata'].get('namespace', '')}-{m['metadata']['name']}.yaml": m for m in found}
        return {name: json.dumps(m) for name, m in named.items()} | others

    def begin(self, *manifests: Mapping[str, Any]) -> str:
        return signed(self.forge, self.files(*manifests), self.operator, parents=[])

    def judged(self, base: str, head: str) -> list[Finding]:
        """What the gate would say of access."""
        before = analyze(read_snapshot(self.forge.path, base), as_of=AS_OF)
        history = history_of(self.forge.path, base, head, "", before.graph)
        report = analyze(read_snapshot(self.forge.path, head), as_of=AS_OF, base=before, history=history)
        assert {finding.rule for finding in report.at_least(Severity.ERROR)} <= ACCESS
        return [finding for finding in report.findings if finding.rule in ACCESS]

    def proposed(self, base: str, head: str, left: str) -> tuple[Commit, ...]:
        """The commits of a branch that left the base there."""
        before = analyze(read_snapshot(self.forge.path, left), as_of=AS_OF)
        return proposal_of(self.forge.path, base, head, "", left, before.graph).commits

    def rules(self, base: str, head: str) -> list[str]:
        return sorted(finding.rule for finding in self.judged(base, head))
