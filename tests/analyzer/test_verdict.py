"""Whether a change goes through: the budget of the base, in the daemon's units, and what is not known of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.impact.assess import assess
from analyzer.impact.budget import Verdict
from analyzer.impact.difference import impact
from analyzer.impact.verdict import costs_of
from analyzer.render import impact as text
from analyzer.report import Report
from reconciler.policy import BUILT_IN, policy_of
from schemas.quantity import parse_seconds

Lint = Callable[..., Report]
House = dict[str, str]
API = "apiVersion: storage.holdfast.dev/v1alpha1\n"

SECOND = """
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: Subsystem
metadata: {name: log, namespace: team-a}
spec:
  nqn: nqn.2026-01.com.example.team-a:log
  exports: [{targetRef: node-1, portals: [front]}]
  hosts: {refs: [web-1]}
"""
REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata: {name: db, namespace: team-a}
spec: {ref: {kind: Volume, name: old}, uid: a4074450-b6aa-48e8-819c-23987a12684c, reason: r, expires: 2026-12-31}
"""
SCHEDULE = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: SnapshotSchedule
metadata: {name: nightly, namespace: team-a}
spec: {selector: {matchLabels: {backup: nightly}}, cron: "0 2 * * *", timeZone: Etc/UTC, retain: {daily: %d}}
"""


def judged(lint: Lint, base: House, head: House) -> Verdict:
    verdict = assess(lint(base), lint(head, base)).verdict
    assert verdict
    return verdict


def moved(house: House) -> House:
    """The portal that every subsystem listens on has another port."""
    return house | {"target.yaml": house["target.yaml"].replace("4420", "4421")}


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def test_what_disturbs_nobody_passes(lint: Lint, house: House) -> None:
    """Guards quiet: a safe change costs nothing, and there is nothing that could hold it."""
    head = house | {"db.yaml": house["db.yaml"].replace("100Gi", "200Gi")}
    found = judged(lint, house, head)
    assert (found.outcome, found.costs, found.reasons, found.provisos) == ("pass", (), (), ())


def test_within_the_budget(lint: Lint, house: House) -> None:
    """Guards the units: one subsystem on one target, and what nobody here can know is said."""
    found = judged(lint, house, moved(house))
    (cost,) = found.costs
    assert (found.outcome, cost.target, [*map(str, cost.disturbed)]) == ("pass", "node-1", ["Subsystem team-a/db"])
    assert [proviso.code for proviso in found.provisos] == ["HostsConnected", "BudgetExceeded"]
    assert found.to_json()["approvals"] == []
    assert cost.to_json()["spentBefore"] == "unknown"


def test_no_commit_lifts_its_own_limit(lint: Lint, house: House) -> None:
    """Guards whose budget counts: a head that allows itself more is judged by its base."""
    base = house | {"log.yaml": SECOND}
    head = moved(base) | {".holdfast.yaml": "budget: {disruptiveSubsystems: 9}\n"}
    found = judged(lint, base, head)
    assert (found.outcome, codes(found), found.budget.disruptive) == ("needs-approval", ["BudgetExceeded"], 1)
    assert found.to_json()["approvals"] == "unknown"
    assert judged(lint, head, moved(base) | {".holdfast.yaml": head[".holdfast.yaml"]}).outcome == "pass"
    later = judged(lint, base | {".holdfast.yaml": head[".holdfast.yaml"]}, head)
    assert (later.outcome, len(later.costs[0].disturbed)) == ("pass", 2)


def test_bytes_count_for_themselves(lint: Lint, house: House) -> None:
    """Guards data loss: nothing may be destroyed unless the budget says so, and where the bytes are may be unknown."""
    head = house | {"r.yaml": REMOVAL}
    found = judged(lint, house, head)
    assert (found.outcome, [c.target for c in found.costs], codes(found)) == (
        "needs-approval",
        [""],
        ["BudgetExceeded"],
    )
    assert found.costs[0].to_json()["target"] == "unknown"
    allowed = {".holdfast.yaml": "budget: {dataLosingResources: 1}\n"}
    assert judged(lint, house | allowed, head | allowed).outcome == "pass"


def test_a_stricter_retention_waits_for_a_person(lint: Lint, house: House) -> None:
    """Guards snapshots: that a schedule keeps less is never within a budget."""
    allowed = {".holdfast.yaml": "budget: {dataLosingResources: 9}\n"}
    base, head = (house | allowed | {"s.yaml": SCHEDULE % daily} for daily in (7, 2))
    found = judged(lint, base, head)
    assert (found.outcome, codes(found)) == ("needs-approval", ["RetentionTightened"])


def test_what_does_not_pass_is_blocked(lint: Lint, house: House) -> None:
    """Guards the gate: a head that lint rejects is carried out by nobody, whatever it would cost."""
    head = house | {"db.yaml": house["db.yaml"].replace("volumeRef: db", "volumeRef: nope")}
    found = judged(lint, house, head)
    assert (found.outcome, codes(found), found.costs) == ("blocked", ["RevisionRejected"], ())


def test_what_cannot_be_made_out_is_unknown(lint: Lint, house: House) -> None:
    """Guards unknown: a base that cannot be read allows no verdict, neither good nor bad."""
    found = judged(lint, house | {"x.yaml": "a: ["}, house)
    assert (found.outcome, codes(found)) == ("unknown", ["Unreadable"])


def test_a_subsystem_on_two_targets_counts_where_it_is_disturbed(lint: Lint, house: House) -> None:
    """Guards targets: one export that goes is felt there alone, a new identity wherever the subsystem is."""
    node = {path: text for path, text in house.items() if path == "target.yaml"}
    other = node["target.yaml"].replace("node-1", "node-2").replace("spdk.sock", "other.sock").replace("10.0.", "10.9.")
    two = house["db.yaml"].replace(
        "[{targetRef: node-1, portals: [front]}]",
        "[{targetRef: node-1, portals: [front]}, {targetRef: node-2, portals: [front], attachAs: web-1}]",
    )
    base = house | {"other.yaml": other, "db.yaml": two}

    def where(head: House) -> list[str]:
        before = lint(base).graph
        return [cost.target for cost in costs_of(impact(before, lint(head).graph), before)]

    assert where(base | {"db.yaml": house["db.yaml"]}) == ["node-2"]
    assert where(base | {"db.yaml": two.replace("team-a:db", "team-a:other")}) == ["node-1", "node-2"]
    assert where(moved(base)) == ["node-1"]


def test_what_only_a_daemon_knows(lint: Lint, house: House) -> None:
    """Guards provisos: what is on a device, and which disk hosts knew under an id, stands in no repository."""
    initialize = (
        "initialize: {deviceUUID: 86b25858-0754-4031-8e53-7d936a7ab16c, sizeBytes: 1073741824, expires: 2031-01-01}"
    )
    pool = house["pool.yaml"].replace("lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c", initialize)
    without = {path: text for path, text in house.items() if path not in ("pool.yaml", "db.yaml")}
    made = judged(lint, without, without | {"pool.yaml": pool})
    assert (made.outcome, [proviso.code for proviso in made.provisos]) == ("pass", ["BlankUnproven"])
    large = pool.replace("1073741824", "1099511627776")
    again = judged(lint, house, {**house, "pool.yaml": large})
    assert [proviso.code for proviso in again.provisos] == ["BlankUnproven"]
    shown = house | {"db.yaml": house["db.yaml"].replace("[{nsid: 1, volumeRef: db}]", "[]")}
    added = judged(lint, shown, house)
    assert (added.outcome, [proviso.code for proviso in added.provisos]) == ("pass", ["IdentityReused"])


CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def test_bytes_that_others_look_after(lint: Lint, house: House) -> None:
    """Guards data that the daemon does not hold: its loss is no pass, and no approval is promised for it."""
    found = assess(lint(house | {"claim.yaml": CLAIM}), lint(house))
    assert found.hazard == "data-loss"
    assert found.verdict
    assert (found.verdict.outcome, codes(found.verdict)) == ("needs-approval", ["AppliedByOthers"])
    assert (found.verdict.costs, found.verdict.is_held) == ((), False)
    assert "holdfast approve" not in text.render(found)
    allowed = {".holdfast.yaml": "budget: {dataLosingResources: 1}\n"}
    assert judged(lint, house | allowed | {"claim.yaml": CLAIM}, house | allowed).outcome == "pass"


def test_discovery_costs_nothing(lint: Lint, house: House) -> None:
    """Guards a portal on which no subsystem listens: hosts that found what they use there stay connected."""
    base = house | {
        "target.yaml": house["target.yaml"] + "    - {name: find, address: 10.0.2.11, port: 8009, discovery: true}\n"
    }
    found = assess(lint(base), lint(house, base))
    assert (found.hazard, found.changes[0].fields[0].reason) == ("safe", "no subsystem listens there")
    assert judged(lint, base, house).costs == ()


@pytest.mark.parametrize("policy", ["", "budget: {window: 3d, disruptiveSubsystems: 4, dataLosingResources: 2}"])
def test_the_budget_is_read_as_the_daemon_reads_it(lint: Lint, house: House, policy: str) -> None:
    """Guards two readers of one file: what is not said is built in, for both."""
    base = lint(house | ({".holdfast.yaml": policy} if policy else {}))
    verdict = assess(base, base).verdict
    assert verdict
    budget, daemon = verdict.budget, policy_of(base.config.settings).budget
    assert (parse_seconds(budget.window), budget.disruptive, budget.data_losing) == (
        daemon.window,
        daemon.disruptive,
        daemon.data_losing,
    )
    assert policy or daemon == BUILT_IN.budget


def test_it_is_told_first(lint: Lint, house: House) -> None:
    """Guards the text: what becomes of it comes before all that it does, within 80 columns."""
    base = house | {"log.yaml": SECOND}
    shown = text.render(assess(lint(base), lint(moved(base), base)))
    assert shown.partition("\n\n")[2].startswith("""\
needs approval: node-1: 2 subsystems disturbed, 1 allowed within 24h
  [BudgetExceeded]
  - to let it through: holdfast approve ID, with the id that holdfast plan
    prints once the daemon holds it
  - not known here: a host that is connected and would lose its last path or a
    namespace is not disturbed unasked [HostsConnected]
  - not known here: what other changes cost within 24h counts as well
    [BudgetExceeded]

disruptive: update Target node-1
"""), shown
