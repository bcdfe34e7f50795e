"""Who uses storage right now, as `holdfast usage -o json` writes it, and what connected hosts would lose. Values only.

A document of kind `Usage` (schemas/output/usage.schema.json) holds, for each target: why it could not be asked
(`error`, else null); its `subsystems`, each with its resource and its `hosts` (NQN and paths `TCP:ADDRESS:PORT`; null
where they could not be read); and its `volumes`, each with its resource and the bytes that are allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.resources import Json, ResourceKey


class UsageError(ValueError):
    """The document is no Usage; the message says how it differs."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way of a host to a subsystem."""

    target: str
    listener: str  # TCP:ADDRESS:PORT

    def __str__(self) -> str:
        return f"{self.target}/{self.listener}"


@dataclass(frozen=True, slots=True)
class Usage:
    """Connected hosts with their paths, by subsystem, and bytes allocated by volume. None: it could not be read."""

    time: str
    hosts: Mapping[ResourceKey, Mapping[str, tuple[Path, ...]] | None]
    allocated: Mapping[ResourceKey, int]
    unread: Mapping[str, str]  # target → why
    rehearsal: Rehearsal | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the daemon would hold were a revision accepted: a plan for each target, or why there is none."""

    revision: str
    held: tuple[tuple[str, str, str], ...] = ()  # target, reason, message
    approvals: Mapping[str, str] = field(default_factory=dict)  # target → id that lets it all through
    unplanned: Mapping[str, str] = field(default_factory=dict)  # target → why; of all under an empty name


@dataclass(frozen=True, slots=True)
class HostLoss:
    """A connected host, and what a change would take from it."""

    subsystem: ResourceKey
    host: str  # NQN
    loses: tuple[str, ...]  # paths, `TARGET/TCP:ADDRESS:PORT`
    keeps: tuple[str, ...]
    namespaces: tuple[int, ...] = ()  # nsids that go, or become another disk

    def to_json(self) -> dict[str, Json]:
        return {
            "subsystem": self.subsystem.to_json(),
            "host": self.host,
            "loses": [*self.loses],
            "keeps": [*self.keeps],
            "namespaces": [*self.namespaces],
        }


@dataclass(frozen=True, slots=True)
class Live:
    """What a change means to who uses storage right now. None: it could not be read."""

    time: str
    connected: int | None  # hosts on the subsystems that it touches
    bytes_in_use: int | None  # of the volumes that it touches
    losses: tuple[HostLoss, ...]
    unread: tuple[str, ...]  # subsystems whose hosts could not be read: they count as connected


def usage_of(document: object) -> Usage:
    """Raises UsageError for anything but a Usage."""
    try:
        return _usage(document)
    except (KeyError, TypeError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        message = f"it is no Usage, as `holdfast usage -o json` writes one ({why})"
        raise UsageError(message) from error


def _usage(document: Any) -> Usage:  # noqa: ANN401  # JSON
    if document["kind"] != "Usage":
        raise TypeError(f"its kind is {document['kind']!r:.40}")
    hosts: dict[ResourceKey, dict[str, tuple[Path, ...]] | None] = {}
    allocated: dict[ResourceKey, int] = {}
    for target in document["targets"]:
        for entry in target["subsystems"]:
            key = _key(entry["resource"])
            hosts[key] = _joined(hosts.get(key, {}), target["name"], entry["hosts"])
        allocated |= {_key(entry["resource"]): int(entry["allocatedBytes"]) for entry in target["volumes"]}
    unread = {target["name"]: target["error"] for target in document["targets"] if target["error"] is not None}
    rehearsal = document.get("rehearsal")
    return Usage(str(document["time"]), hosts, allocated, unread, _rehearsal(rehearsal) if rehearsal else None)


def _rehearsal(told: Any) -> Rehearsal:  # noqa: ANN401  # JSON
    plans = told["plans"]
    return Rehearsal(
        str(told["revision"]),
        tuple((p["target"], str(h["reason"]), str(h["message"])) for p in plans for h in p["held"]),
        {p["target"]: str(p["approvalID"]) for p in plans if p["approvalID"]},
        {p["target"]: str(p["error"]) for p in plans if p["error"] is not None}
        | ({} if told["error"] is None else {"": str(told["error"])}),
    )


def _joined(
    known: dict[str, tuple[Path, ...]] | None,
    target: str,
    hosts: Any,  # noqa: ANN401  # JSON
) -> dict[str, tuple[Path, ...]] | None:
    """The hosts of a subsystem with those that another target tells of; nobody knows when one of them cannot tell."""
    if known is None or hosts is None:
        return None
    found = dict(known)
    for host in hosts:
        paths = tuple(Path(target, str(listener)) for listener in host["paths"])
        found[str(host["nqn"])] = (*found.get(str(host["nqn"]), ()), *paths)
    return found


def _key(resource: Mapping[str, str]) -> ResourceKey:
    return ResourceKey(resource["kind"], resource["namespace"], resource["name"])
