"""The page: what it says, to whom, and in what form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from desk import REVISION, Desk, drift, ready, volume
from html_page import HOSTILE, OTHER, Html, held, shown

from analyzer.finding import Finding, Location, Severity
from backends.objects import ObjectKey, ObjectKind
from reconciler.gate import SourceState
from reconciler.history import Event
from reconciler.ledger.attempts import Failure
from reconciler.plan import Plan, ScheduleState, Task, TaskState
from reconciler.reconcile import Verdict
from reconciler.serve.page import EVENTS, LOOKED_BACK, page
from reconciler.status import CONVERGED
from schemas.resources import ResourceKey


def test_many_events_shorten_the_timeline_and_hide_nothing(site: Desk) -> None:
    """Guards a busy site: the axis begins where what was read begins, and no mark leads to a line that is not there."""
    site.well()
    for number in range(LOOKED_BACK + 50):
        site.clock.advance(1)
        site.house.history.emit([Event("Applied", f"step {number}", "node-1")], site.clock.now())
    site.target()

    line = page(site.daemon).timeline
    drawn = shown(site)

    assert line is not None
    assert line.end - line.start == LOOKED_BACK - 1
    (marks,) = [marks for name, marks in line.lanes if name == "node-1"]
    assert len(marks) == LOOKED_BACK
    assert sum(bool(mark.link) for mark in marks) == EVENTS
    ids = {e.attributes["id"] for e in drawn.elements if "id" in e.attributes}
    assert {e.attributes["href"][1:] for e in drawn.all("a") if e.attributes["href"][0] == "#"} <= ids


def test_the_footer_names_every_address_for_programs(site: Desk) -> None:
    """Guards the way to the JSON: every address is there, and none leads nowhere."""
    site.well()
    with site.serving() as client:
        links = [e.attributes["href"] for e in Html(client.ask("/").text).all("a") if "footer" in e.parents]
        answers = {link: client.ask(link).status for link in links if link != "/live"}  # that one never ends
    assert links == ["/?output=json", "/status", "/drift", "/events?limit=1000", "/plan", "/live"]
    assert answers.pop("/plan") == 409  # nothing real to plan for stands behind this desk
    assert set(answers.values()) == {200}


def test_a_site_at_peace_says_so(site: Desk) -> None:
    """Guards the page when all is well: the commit short with the full id, its subject, targets, version, times."""
    site.well()

    page = shown(site)

    assert page.headline == "Storage is as Git declares"
    assert page.id("headline").attributes["class"] == "good"
    commits = [e for e in page.all("code") if "commit" in e.attributes.get("class", "")]
    assert {(e.text, e.attributes["title"]) for e in commits} == {(REVISION[:12], REVISION)}
    assert "Two volumes" in page.id("revision").text
    assert page.id("target-node-1").text.startswith("node-1 as declared 2 of 2 none 0123456789ab v26.05 12:00:00")
    assert {e.attributes["datetime"] for e in page.all("time")} == {"2026-11-21T12:00:00Z"}
    assert "Nothing is held back" in page.id("held").text
    assert "All 2 resources are Ready" in page.id("not-ready").text


def test_a_daemon_that_has_just_started_says_that_nothing_is_known(site: Desk) -> None:
    """Guards the first second: no commit, no target, and no green."""
    page = shown(site)

    assert page.headline == "The repository is not read yet"
    assert "No commit is enforced yet" in page.id("summary").text
    assert page.marks("good") == []


def test_open_drift_shows_fields_window_and_action(site: Desk) -> None:
    """Guards the drift record: class, resource, want and have of each field, the onset window and what is done."""
    site.well()
    clean = site.clock.now() - 30
    site.drifts(drift("a", ("spec.qos.iops", 20000, 1000), ("spec.pinned", None, "x"), action="Warned"), clean=clean)
    site.clock.advance(65)
    site.target()

    page = shown(site)

    text = page.id("drift").text
    assert "Modified Volume team/a on node-1" in text
    assert "spec.qos.iops 20000 1000" in text
    assert "spec.pinned not set x" in text
    assert "between 11:59:30 (last clean) and 12:00:00 (detected 1 min 5 s ago)" in text
    assert "Action Warned" in text
    assert page.headline == "1 drift is open"
    assert "drifted" in page.id("target-node-1").text
    assert "open, Warned" in page.id("drift-1").text


def test_closed_drift_is_in_the_history_with_its_duration(site: Desk) -> None:
    """Guards the timeline: a drift that was closed keeps want and have, its commit, and how long it took."""
    site.well()
    site.drifts(drift("a", ("spec.size", "1Gi", "2Gi")))
    site.clock.advance(3.25)
    site.drifts()

    page = shown(site)

    assert page.headline == "Storage is as Git declares"
    assert "None" in page.id("drift").text
    text = page.id("drift-1").text
    assert "spec.size want 1Gi have 2Gi" in text
    assert "closed after 3.2 s" in text
    assert REVISION[:12] in text
    assert [e.attributes["class"] for e in page.all("rect") if "svg" in e.parents and e.attributes.get("x")] == [
        "closed"
    ]
    assert "DriftDetected" in page.id("events").text


def test_what_is_held_shows_the_command_that_lets_it_through(site: Desk) -> None:
    """Guards approving: the page prints the id of exactly the held changes, and which of them it covers."""
    site.accept()
    back = [held("a"), held("b", "waits", approvable=False)]
    site.target(resources={volume("a"): CONVERGED}, verdict=Verdict.HELD, held=back)

    page = shown(site)

    text = page.id("held").text
    assert f"holdfast approve {Plan('node-1', REVISION, held=tuple(back)).approval_id}" in text
    assert "delete lvol pool/a Volume team/a data-loss BudgetExceeded: 1 of 1 disturbed approval" in text
    assert "BudgetExceeded: waits a person" in text
    assert page.headline == "2 changes are held back"


def test_a_rejected_commit_shows_where_and_why(site: Desk) -> None:
    """Guards the gate's answer: the commit and its subject, why, file:line:column, the cure, and what goes on."""
    site.well()
    place = Location("team/volumes.yaml", 7, 12)
    site.reject(OTHER, [Finding("dangling-reference", Severity.ERROR, "no such pool", place, help="declare it")])

    page = shown(site)

    text = page.id("rejected").text
    assert f"{OTHER[:12]} Oops was rejected: RevisionRejected" in text
    assert f"{OTHER[:12]} Oops head rejected" in page.id("revision").text
    assert "team/volumes.yaml:7:12 no such pool [dangling-reference]declare it" in text
    assert f"{REVISION[:12]} goes on" in text
    assert page.headline == "The newest commit was rejected and changes nothing"


def test_a_rejection_without_findings_shows_its_message(site: Desk) -> None:
    """Guards revisions that are refused for their history, which no file is to blame for."""
    site.well()
    site.reject(OTHER, reason="NotDescendant")

    assert "NotDescendant it does not pass" in shown(site).id("rejected").text


def test_resources_that_are_not_ready_come_with_reason_and_message(site: Desk) -> None:
    """Guards that a person need not open the full list to see what is wrong."""
    site.accept()
    wrong = ready("False", "DataMissing", "the bytes are gone")
    site.target(resources={volume("a"): CONVERGED, volume("b"): wrong}, verdict=Verdict.WAITING)

    page = shown(site)

    assert "Volume team/b Not Ready node-1 DataMissing: the bytes are gone" in page.id("not-ready").text
    assert "Volume team/a" not in page.id("not-ready").text
    assert "Volume team/a Ready" in page.id("all-node-1").text
    assert "1 resource is not Ready" in page.id("summary").text


def test_what_is_kept_on_purpose_is_counted_apart(site: Desk) -> None:
    """Guards the headline: a volume that never shrank and bytes without a manifest are Ready, and not as declared."""
    site.well()
    larger, retained = ready("True", "KeptLarger", "10Gi, declared 5Gi"), ready("True", "Retained", "uid 42")
    foreign = ready("True", "ForeignObjects", "not ours")
    names = {volume("a"): larger, volume("b"): retained, volume("c"): retained, volume("d"): foreign}
    site.target(resources=names | {volume("e"): CONVERGED})

    page = shown(site)

    assert page.headline == "Storage is as Git declares, but for what is kept as it is"
    assert (
        "1 resource is kept larger than declared 2 resources are retained without a manifest" in page.id("summary").text
    )
    assert "Volume team/a KeptLarger node-1 10Gi, declared 5Gi" in page.id("kept").text
    assert page.id("kept").text.count("uid 42") == 2
    assert "team/d" not in page.id("kept").text
    assert "5 of 5, 3 kept" in page.id("target-node-1").text
    assert "5 of 5 Ready, 3 of them kept as is" in page.id("revision").text


def test_what_is_kept_does_not_outshout_what_is_wrong(site: Desk) -> None:
    """Guards the order: trouble makes the headline, what is kept follows it."""
    site.accept()
    names = {volume("a"): ready("True", "Retained", "kept"), volume("b"): ready("False", "DataMissing", "gone")}
    site.target(resources=names, verdict=Verdict.WAITING)

    page = shown(site)

    assert page.headline == "1 resource is not Ready"
    assert "node-1 is under way 1 resource is retained" in page.id("summary").text


def _unreachable(site: Desk) -> None:
    site.target(verdict=Verdict.UNREACHABLE, message="connection refused")


def _stalled(site: Desk) -> None:
    site.target(verdict=Verdict.STALLED, message="wrong password")


def _silent(site: Desk) -> None:
    site.clock.advance(1000)
    site.daemon.gate.source_state = SourceState(REVISION, site.clock.now())


@pytest.mark.parametrize(
    ("befalls", "state"),
    [(_unreachable, "unreachable"), (_stalled, "stalled"), (_silent, "not seen lately")],
    ids=["unreachable", "stalled", "silent"],
)
def test_what_is_not_seen_is_never_green(site: Desk, befalls: Callable[[Desk], None], state: str) -> None:
    """Guards staleness: a target that was well and is not seen now is unknown, with everything on it."""
    site.well()
    befalls(site)

    page = shown(site)

    row = page.id("target-node-1")
    assert f"node-1 {state}" in row.text
    assert "unknown, of 2" in row.text
    assert page.marks("good") == ["answers"]  # the repository does
    assert "of 2 resources nothing is known" in page.id("not-ready").text
    assert page.all("details")[0].text.count("Unknown") == 2
    assert "0 of 2 Ready, 2 unknown" in page.id("revision").text


def test_a_target_at_an_older_commit_is_not_green(site: Desk) -> None:
    """Guards the seconds after a commit: converged at the former one is not converged."""
    site.well()
    site.accept(OTHER, "Grow")

    page = shown(site)

    assert page.headline == "node-1 is under way"
    assert page.id("headline").attributes["class"] == "moving"
    assert "Grow accepted" in page.id("revision").text.replace("head ", "")


def test_the_headline_is_green_only_when_every_target_is(site: Desk) -> None:
    """Guards the summary: a verdict that nothing else on the page explains still keeps it from being green."""
    site.well()
    site.target("node-2", {}, verdict=Verdict.HELD)

    page = shown(site)

    assert page.headline == "Not everything is as declared"
    assert page.id("target-node-2").text.split()[:3] == ["node-2", "needs", "a"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (SourceState(REVISION, None, "no route to host"), "The repository does not answer"),
        (SourceState(REVISION, 1.0), "The repository is not read lately"),
    ],
    ids=["error", "stale"],
)
def test_a_repository_that_is_not_read_is_said(site: Desk, state: SourceState, words: str) -> None:
    """Guards against a daemon that looks fine because it has not heard of anything new."""
    site.well()
    site.daemon.gate.source_state = state

    page = shown(site)

    assert page.headline == words
    assert state.error in page.id("revision").text


def test_what_takes_long_and_what_runs_by_the_clock_is_shown(site: Desk) -> None:
    """Guards tasks and schedules on the page: how far, why held, when next; and hostile words stay words."""
    site.well()
    kept = site.daemon.fleet._targets["node-1"]
    assert kept.last is not None
    key = ObjectKey(ObjectKind.PROVISIONING, "pool/a")
    tasks = (
        Task("inflate", volume("a"), key, TaskState.RUNNING, "copying", 42, site.clock.now() - 60),
        Task("decouple", volume("b"), key, TaskState.HELD, HOSTILE),
    )
    nightly = ScheduleState(ResourceKey("SnapshotSchedule", "team", "nightly"), 2, 5, site.clock.now() - 3600, None)
    plan = dataclasses.replace(kept.last.plan, tasks=tasks, schedules=(nightly,))
    kept.last = dataclasses.replace(kept.last, plan=plan)
    site.house.ledger.note_failures("node-1", {nightly.key: Failure(site.clock.now(), "No space left on device")})

    rows = [element.text for element in shown(site).elements if element.tag == "tr"]

    assert any("inflate Volume team/a" in row and "running 42 %" in row for row in rows)
    assert any("decouple Volume team/b" in row and "held" in row and "<script>" in row for row in rows)
    assert any("SnapshotSchedule team/nightly" in row and "No space left" in row for row in rows)
