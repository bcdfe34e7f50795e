"""What is known of a revision, and what is done again for the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from analyzer.analyze import analyze
from analyzer.incremental.layers import DEEPEST
from analyzer.incremental.state import State
from analyzer.report import Report
from analyzer.snapshot import Snapshot
from schemas.resources import ResourceKey

AS_OF = date(2026, 6, 1)
House = dict[str, str]
Make = Callable[..., Snapshot]

SNAPSHOT = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: VolumeSnapshot
metadata: {name: now, namespace: team-a}
spec: {volumeRef: db}
"""


def state_of(report: Report) -> State:
    assert isinstance(report.state, State)
    return report.state


def test_who_looked_at_references_is_asked_again(snapshot: Make, house: House) -> None:
    """Guards aggregates: a snapshot of a thick volume fills the pool, whose own manifest stays as it is."""
    house["db.yaml"] = house["db.yaml"].replace("size: 100Gi", "size: 100Gi, thin: false")
    house["pool.yaml"] = house["pool.yaml"].replace("spec: {", "spec: {size: 150Gi, overcommitRatio: 1, ")
    before = analyze(snapshot(house), as_of=AS_OF, keep=True)
    after = analyze(snapshot(house | {"now.yaml": SNAPSHOT}), as_of=AS_OF, base=before)
    assert [finding.rule for finding in before.findings] == []
    assert [finding.rule for finding in after.findings] == ["pool-overcommitted"]


def test_only_what_differs_is_touched(snapshot: Make, house: House) -> None:
    """Guards that work follows the change: of unchanged files nothing is asked again, nor anything kept twice."""
    first = analyze(snapshot(house), as_of=AS_OF, keep=True)
    house["host.yaml"] += "# more\n"
    second = analyze(snapshot(house), as_of=AS_OF, base=first)
    state = state_of(second)
    assert state.touched == {ResourceKey("Host", "", "web-1")}
    assert set(state.layer.units) == {"host.yaml"}
    assert not {key.kind for key in state.layer.entries} & {"Target", "StoragePool", "BlockDevice", "Volume"}


def test_another_policy_is_another_beginning(snapshot: Make, house: House) -> None:
    """Guards against stale answers: under another policy nothing that was found before counts."""
    first = analyze(snapshot(house), as_of=AS_OF, keep=True)
    house[".holdfast.yaml"] = "ignore: [db.yaml]\n"
    second = analyze(snapshot(house), as_of=AS_OF, base=first, keep=True)
    assert state_of(second).layer.below is None
    assert second.counts.files == 4


def test_layers_are_folded(snapshot: Make, house: House) -> None:
    """Guards the memory and speed of a daemon: after any number of revisions there are few layers."""
    report = analyze(snapshot(house), as_of=AS_OF, keep=True)
    for number in range(3 * DEEPEST):
        house["new.yaml"] = house["host.yaml"].replace("web-1", f"web-{number}")
        report = analyze(snapshot(house), as_of=AS_OF, base=report)
    assert state_of(report).layer.depth <= DEEPEST
    assert report.counts.resources == 7
