"""What the daemon says of itself, asked as the command line asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.cli import daemon_client
from reconciler.cli.exits import CommandError
from reconciler.config import Config


@dataclass(frozen=True, slots=True)
class DaemonView:
    """One daemon over its HTTP interface. Every question raises CommandError when it does not answer."""

    config: Config

    @property
    def answers(self) -> bool:
        try:
            return bool(self.status())
        except CommandError:
            return False

    def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = daemon_client.ask(self.config, "/status")
        return status

    def targets(self) -> Sequence[Mapping[str, Any]]:
        targets: Sequence[Mapping[str, Any]] = self.status()["targets"]
        return targets

    def converged(self, revision: str) -> bool:
        """Everything is as this revision declares, as seen since the daemon started."""
        status = self.status()
        seen = [target["settled"] and target["revision"] == revision for target in status["targets"]]
        return status["revision"]["converged"] == revision and all(seen)

    def unfinished(self) -> str:
        """What is not as declared, in a few words."""
        status = self.status()
        said = [status["source"]["error"], (status["revision"]["rejected"] or {}).get("message")]
        said += [
            f"{name} {ready['reason']}: {ready['message']}"
            for name, ready in self.readiness().items()
            if ready["status"] != "True"
        ]
        said += [event["message"] for event in self.events() if event["reason"] == "Defect"][:1]
        said += [f"{t['name']} {t['verdict']} {t['message']}".rstrip() for t in status["targets"] if not t["settled"]]
        return "; ".join(filter(None, said)) or "nothing is known to be wrong"

    def readiness(self) -> Mapping[str, Mapping[str, str]]:
        """The condition Ready of every resource, by `Kind namespace/name`."""
        return {_name(resource): resource["conditions"][0] for resource in self._resources()}

    def uid(self, name: str) -> str:
        """The identity of a resource's bytes. Raises CommandError when none is shown."""
        uid = next((str(resource["uid"]) for resource in self._resources() if _name(resource) == name), "")
        if not uid:
            raise CommandError(f"status shows no uid for {name}")
        return uid

    def rejected(self) -> Mapping[str, str]:
        """The revision that the gate turned down last, why, and what it said; empty when it is none."""
        return self.status()["revision"]["rejected"] or {}

    def events(self, after: int = 0) -> Sequence[Mapping[str, Any]]:
        """Newest first."""
        answer = daemon_client.ask(self.config, "/events", after=str(after), limit="1000")
        events: Sequence[Mapping[str, Any]] = answer["events"]
        return events

    def newest_event(self) -> int:
        return max((int(event["id"]) for event in self.events()), default=0)

    def drifts(self, after: int = 0) -> Sequence[Mapping[str, Any]]:
        """Newest first."""
        drifts: Sequence[Mapping[str, Any]] = daemon_client.ask(self.config, "/drift")["drifts"]
        return [drift for drift in drifts if drift["id"] > after]

    def newest_drift(self) -> int:
        return max((int(drift["id"]) for drift in self.drifts()), default=0)

    def _resources(self) -> Sequence[Mapping[str, Any]]:
        return [resource for target in self.targets() for resource in target["resources"]]


def _name(resource: Mapping[str, Any]) -> str:
    inside = f"{resource['namespace']}/" if resource["namespace"] else ""
    return f"{resource['kind']} {inside}{resource['name']}"
