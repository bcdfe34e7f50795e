"""The check of a pull request and the daemon's gate are one engine: what one lets pass, the other accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from published import valid
from station import BAD, Station, station
from world import GENEROUS, manifest, removal, subsystem, volume

from reconciler.cli import main

Json = Mapping[str, Any]
UID = "a4074450-b6aa-48e8-819c-23987a12684c"
STRAY = volume("stray") | {"spec": {"poolRef": "nowhere", "size": "8Mi"}}
LONELY = volume("a"), volume("b"), subsystem("s", {1: "a"})
DOOMED = volume("a", reclaimPolicy="Delete")


@dataclass(frozen=True)
class Case:
    """What is accepted, and what is proposed on top of it; `beside` are files of the proposal."""

    before: tuple[Json, ...]
    after: tuple[Json, ...]
    policy: Json = field(default_factory=lambda: GENEROUS)  # of both, unless there is a new one
    new_policy: Json | None = None
    beside: Mapping[str, str] | None = None


CASES = {
    "nothing": Case((volume("a"),), (volume("a"),)),
    "a volume more": Case((volume("a"),), (volume("a"), volume("b"))),
    "an export": Case((volume("a"),), (volume("a"), subsystem("s", {1: "a"}))),
    "a dangling reference": Case((volume("a"),), (volume("a"), STRAY)),
    "the same, ignored": Case((volume("a"),), (volume("a"),), new_policy={"ignore": ["x"]}, beside={"x/y.yaml": BAD}),
    "another file that dangles": Case((volume("a"),), (volume("a"),), beside={"x/y.yaml": BAD}),
    "a retained volume goes": Case((volume("a"), volume("b")), (volume("a"),)),
    "bytes go without consent": Case((DOOMED, volume("b")), (volume("b"),)),
    "bytes go with consent": Case((DOOMED, volume("b")), (volume("b"), removal("a", UID))),
    "a larger volume": Case((volume("a", size="8Mi"),), (volume("a", size="16Mi"),)),
    "a smaller volume": Case((volume("a", size="16Mi"),), (volume("a", size="8Mi"),)),
    "a warning counts": Case(LONELY, (*LONELY, volume("c")), policy={**GENEROUS, "failOn": "warning"}),
    "a remark counts": Case(LONELY, LONELY, new_policy={**GENEROUS, "failOn": "info", "failOnLowConfidence": True}),
    "a remark that is not sure": Case(LONELY, LONELY, new_policy={**GENEROUS, "failOn": "info"}),
    "a severity": Case(
        LONELY,
        LONELY,
        new_policy={**GENEROUS, "severities": {"unexported-volume": "error"}, "failOnLowConfidence": True},
    ),
    "over the budget": Case((volume("a"), subsystem("s", {1: "a"})), (volume("a"),), policy={"budget": {}}),
    "no YAML": Case((volume("a"),), (volume("a"),), beside={"x.yaml": "a: ["}),
    "a broken policy": Case((volume("a"),), (volume("a"),), new_policy={"budgets": {}}),
    "an unknown kind": Case((volume("a"),), (volume("a"), manifest("Volum", "b", {}, "team"))),
    "a kind of others": Case(
        (volume("a"),),
        (volume("a"), {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}}),
    ),
    "two of one name": Case((volume("a"),), (volume("a"), volume("a", size="16Mi"))),
    "nothing at all": Case((volume("a"),), ()),
}


@pytest.fixture
def here() -> Iterator[Station]:
    """One target; nothing is pushed yet."""
    with station() as made:
        yield made


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_check_and_gate_agree(here: Station, case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Guards what a green check promises: the daemon rejects a commit exactly when the check fails for findings."""
    accepted = here.push(*case.before, policy=case.policy)
    assert here.accepted == accepted
    files = here.files(*case.after, policy=case.policy if case.new_policy is None else case.new_policy)
    proposed = here.forge.commit(files | dict(case.beside or {}))
    here.daemon.poll()
    rejected = here.daemon.gate.rejected
    assert (rejected is None) is (here.accepted == proposed)

    words = ["--repo", str(here.forge.path), "--as-of", here.world.today.isoformat(), "-o", "json"]
    capsys.readouterr()
    code = main(["check", f"{accepted}..{proposed}", *words])
    found = valid("check", capsys.readouterr().out)

    told = [finding.to_json() for finding in rejected.findings] if rejected else []
    assert json.loads(json.dumps(told)) == found["failing"]
    assert (found["outcome"] == "blocked") is (rejected is not None)
    assert code in ({1, 2, 3} if rejected else {0, 3, 4})


def test_the_cases_are_of_both_kinds(here: Station) -> None:
    """Guards the list above: some are rejected, some pass."""
    outcomes = set()
    for case in (CASES["a volume more"], CASES["a dangling reference"]):
        here.push(*case.after)
        outcomes.add(here.daemon.gate.rejected is None)
    assert outcomes == {True, False}
