"""The gate: what passes is enforced; what does not changes nothing, is told once, and is judged again when it may."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date

import pytest
from forge import BRANCH
from station import BAD, Station, station
from world import manifest, volume

from analyzer.authority.history import History
from analyzer.baseline import baseline_of
from analyzer.report import Report
from analyzer.snapshot import Snapshot
from reconciler import gate
from reconciler.gate import NotReady

DAY = 86400.0
IDS = tuple(f"A-{number:032x}" for number in range(1, 5))


@pytest.fixture
def here() -> Iterator[Station]:
    """One target; nothing is pushed yet."""
    with station() as made:
        yield made


def spoil(here: Station, message: str = "A mistake") -> str:
    """Push a commit that does not pass, and let the daemon look; its id."""
    revision = here.forge.commit(here.files(volume("a")) | {"disks/new.yaml": BAD}, message)
    assert not here.daemon.poll()
    return revision


def test_the_last_good_revision_goes_on(here: Station) -> None:
    """Guards targets against mistakes: nothing changes, and the event says which file and line to mend."""
    good = here.push(volume("a"))
    here.settle()
    before = here.world.mutations()

    bad = spoil(here)
    here.settle()

    assert (here.accepted, here.daemon.gate.desired and here.daemon.gate.desired.revision) == (good, good)
    assert here.world.mutations() == before
    event = here.last("RevisionRejected")
    assert event.message.startswith('disks/new.yaml:5:14: Target "nowhere" is not declared')
    assert (event.warning, event.revision) == (True, bad)
    assert here.daemon.gate.trouble()["rejected"] == here.daemon.status()["revision"]["rejected"]


def test_who_sees_a_rejection_finds_its_event(here: Station) -> None:
    """Guards scripts that wait for status and then ask for events, also between the two: the event is there."""
    here.push(volume("a"))
    seen: list[str] = []

    def watch() -> None:
        while not here.daemon.gate.rejected:
            pass
        seen.extend(here.told())

    watcher = threading.Thread(target=watch)
    watcher.start()
    spoil(here)
    watcher.join()
    assert "RevisionRejected" in seen


def test_a_bad_revision_is_told_once(here: Station) -> None:
    """Guards people against noise: neither another look, nor a restart, nor another day tells it again."""
    here.push(volume("a"))
    spoil(here)
    here.daemon.poll()
    here.restart()
    here.daemon.poll()
    assert here.daemon.gate.rejected
    here.world.clock.advance(DAY)
    here.daemon.poll()
    assert here.told().count("RevisionRejected") == 1


def test_many_findings_are_counted_and_the_first_are_quoted(here: Station) -> None:
    """Guards the event's length: five findings in words, the rest as a number, all of them in the status."""
    here.push(volume("a"))
    files = {f"disks/{number}.yaml": BAD.replace("disk}", f"disk-{number}}}") for number in range(8)}
    here.forge.commit(here.files(volume("a")) | files)
    here.daemon.poll()
    message = here.last("RevisionRejected").message
    assert message.count("[dangling-reference]") == 5
    assert message.endswith("; and 3 more")
    assert here.daemon.gate.rejected
    assert len(here.daemon.gate.rejected.findings) == 8


def test_a_mistake_that_is_taken_back_is_forgotten(here: Station) -> None:
    """Guards the status: when the branch is back at the revision in force nothing is rejected; a return is news."""
    good = here.push(volume("a"))
    bad = spoil(here)
    here.forge.move(good)
    here.daemon.poll()
    assert here.daemon.gate.rejected is None

    here.forge.move(bad)
    here.daemon.poll()
    assert here.daemon.gate.rejected
    assert here.told().count("RevisionRejected") == 2


def test_a_mistake_that_is_mended_is_forgotten(here: Station) -> None:
    """Guards the way out of a mistake: a commit on top that passes is enforced."""
    here.push(volume("a"))
    spoil(here)
    mended = here.push(volume("a"), volume("b"))
    assert (here.accepted, here.daemon.gate.rejected) == (mended, None)


def test_the_first_revision_may_be_a_mistake(here: Station) -> None:
    """Guards a site's first minutes: nothing is enforced, and why is said in one sentence, until something passes."""
    spoil(here)
    missing = here.daemon.gate.nothing_accepted()
    assert missing.rejected
    assert str(missing).startswith("no revision is accepted yet: RevisionRejected: disks/new.yaml:5:14: ")
    good = here.push(volume("a"))
    assert here.accepted == good


def test_a_rewritten_history_is_not_followed(here: Station) -> None:
    """Guards "older never overwrites newer": a forced push is refused and told; allowRewind lifts it."""
    first = here.push(volume("a"))
    second = here.push(volume("a"), volume("b"))
    other = here.forge.commit(here.files(volume("c")), parents=[first])
    here.daemon.poll()
    assert here.accepted == second
    assert here.last("NotDescendant").message == (
        f"{other[:12]} does not descend from the applied {second[:12]}: history was rewritten or rewound"
    )

    here.forge.move(first)
    here.daemon.poll()
    assert here.accepted == second
    assert here.told().count("NotDescendant") == 2

    here.restart(allow_rewind=True)
    here.daemon.poll()
    assert here.accepted == first
    assert here.daemon.gate.rejected is None


def test_another_reason_for_the_same_revision_is_told(here: Station) -> None:
    """Guards allowRewind: once the rewind is allowed, what else is wrong with that revision must not stay unsaid."""
    first = here.push(volume("a"))
    here.push(volume("a"), volume("b"))
    here.forge.commit(here.files(volume("c")) | {"bad.yaml": BAD}, parents=[first])
    here.daemon.poll()
    here.restart(allow_rewind=True)
    here.daemon.poll()
    assert here.told()[-2:] == ["NotDescendant", "RevisionRejected"]


def test_a_revision_is_judged_against_the_one_in_force(here: Station) -> None:
    """Guards rules about changes after a restart too: the base is what was accepted, not what came last."""
    kept = here.push(volume("a", reclaimPolicy="Delete"))
    spoil(here)
    here.restart()
    here.push()
    assert here.accepted == kept
    assert "data-loss-without-removal" in here.last("RevisionRejected").message


def test_a_rejected_revision_is_judged_again_another_day(here: Station) -> None:
    """Guards dates: what passes by itself once a day has come is enforced then, without another commit."""
    kept = here.push(volume("a", reclaimPolicy="Delete"))
    here.settle()
    soon = date(2026, 11, 22)
    spec = {"ref": {"kind": "Volume", "name": "a"}, "uid": here.world.uid("a"), "reason": "test", "expires": str(soon)}
    here.world.clock.advance(2 * DAY)
    here.push(manifest("Removal", "rm-a", spec, "team"))
    assert here.accepted == kept
    here.world.clock.advance(-2 * DAY)
    assert here.daemon.poll()


def test_only_the_root_is_read(here: Station) -> None:
    """Guards [source] path: manifests and policy of that folder count, mistakes elsewhere do not."""
    inside = {f"sites/berlin/{name}": text for name, text in here.files(volume("a")).items()}
    revision = here.forge.commit(inside | {"site.yaml": BAD, "sites/paris/a.yaml": BAD})
    here.restart(path="sites/berlin")
    here.daemon.poll()
    assert here.accepted == revision
    assert here.daemon.targets == ("n1",)

    gone = here.forge.commit({"sites/paris/a.yaml": BAD})
    here.daemon.poll()
    assert here.accepted == revision
    assert (
        f"{gone} has no folder sites/berlin; the last good revision goes on" in here.last("SourceUnreachable").message
    )


def test_the_repository_decides_what_fails(here: Station) -> None:
    """Guards failOn: the policy of the revision itself is what it is judged by."""
    foreign = {"app.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"}
    here.forge.commit(here.files(volume("a")) | foreign)
    assert here.daemon.poll()
    strict = here.files(volume("a"), policy={"failOn": "warning"})
    here.forge.commit(strict | foreign)
    assert not here.daemon.poll()
    assert "[unknown-kind]" in here.last("RevisionRejected").message


# --- approvals by commit


def test_every_commit_that_came_may_approve(here: Station) -> None:
    """Guards the trailer Holdfast-Approve: in each of several commits pushed at once, the rejected one included."""
    here.push(volume("a"))
    files = here.files(volume("a"), volume("b"))
    here.forge.commit(files, f"One\n\nHoldfast-Approve: {IDS[0]}\nHoldfast-Approve: {IDS[1]}\n")
    here.forge.commit(files | {"bad.yaml": BAD}, f"Two\n\nHoldfast-Approve: {IDS[2]}\n")
    here.daemon.poll()
    assert here.world.house.ledger.approvals(here.world.clock.now()) == frozenset()

    here.push(volume("a"), message=f"Holdfast-Approve: {IDS[3]}\n\nA sentence that mentions it approves nothing.\n")
    assert here.world.house.ledger.approvals(here.world.clock.now()) == set(IDS[:3])


def test_the_past_approves_nothing(here: Station) -> None:
    """Guards a ledger that was lost: all of history is new to it, and none of its old consents may count again."""
    here.forge.commit(here.files(volume("a")), f"Long ago\n\nHoldfast-Approve: {IDS[0]}\n")
    here.forge.commit(here.files(volume("a")))
    here.daemon.poll()
    assert here.world.house.ledger.approvals(here.world.clock.now()) == frozenset()


def test_an_approval_is_granted_anew(here: Station) -> None:
    """Guards consent: once spent or expired it is gone, and a person who says it again is heard again."""
    ledger, clock = here.world.house.ledger, here.world.clock
    asked = here.hold_something()
    here.daemon.approve(asked, "ada")
    ledger.spend_approval(asked, clock.now())
    assert ledger.approvals(clock.now()) == frozenset()
    here.daemon.approve(asked, "ada")
    assert ledger.approvals(clock.now()) == {asked}
    clock.advance(DAY)
    assert ledger.approvals(clock.now()) == frozenset()
    here.push(volume("b"), message=f"Again\n\nHoldfast-Approve: {asked}\n")
    assert ledger.approvals(clock.now()) == {asked}


def test_only_what_waits_can_be_approved(here: Station) -> None:
    """Guards people against typing errors: an id that no plan asks for is refused, now and for later."""
    asked = here.hold_something()
    with pytest.raises(NotReady, match=f"nothing waits for approval {IDS[0]}"):
        here.daemon.approve(IDS[0], "ada")
    assert here.world.house.ledger.approvals(here.world.clock.now()) == frozenset()
    here.daemon.approve(asked, "ada")
    here.settle()
    assert here.world.subsystems() == {}
    with pytest.raises(NotReady):
        here.daemon.approve(asked, "ada")


# --- mishaps


def test_a_revision_that_could_not_be_judged_is_judged_again(here: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards a mishap while reading it (a full disk, a defect), which must not make the daemon skip it for a day."""
    revision = here.forge.commit(here.files(volume("a")))
    judge, mishaps = gate.analyze, [ValueError("a defect, once")]

    def once(snapshot: Snapshot, *, as_of: date, base: Report | None, history: History | None, keep: bool) -> Report:
        if mishaps:
            raise mishaps.pop()
        return judge(snapshot, as_of=as_of, base=base, history=history, keep=keep)

    monkeypatch.setattr(gate, "analyze", once)
    with pytest.raises(ValueError, match="a defect"):
        here.daemon.poll()
    assert here.daemon.poll()
    assert here.accepted == revision
    assert not here.daemon.poll()


def test_a_lost_copy_is_fetched_again(here: Station) -> None:
    """Guards the state directory: without its copy the daemon waits for the remote, says so, and goes on from there."""
    import shutil  # noqa: PLC0415  # beside its only use

    revision = here.push(volume("a"))
    here.settle()
    here.daemon.stop()
    shutil.rmtree(here.world.folder / "copy.git")
    with here.forge.gone():
        here.restart()
        here.daemon.poll()
        assert here.daemon.targets == ()
        assert str(here.daemon.gate.nothing_accepted()).endswith("there is no such folder")
    second = here.push(volume("a"), volume("b"))
    assert here.accepted == second != revision
    assert here.daemon.targets == ("n1",)


def test_a_lost_copy_does_not_weaken_the_rules_about_changes(here: Station) -> None:
    """Guards data after source.git was lost: the first commit that comes is judged against the one in force."""
    import shutil  # noqa: PLC0415  # see above

    kept = here.push(volume("a", reclaimPolicy="Delete"))
    here.settle()
    here.daemon.stop()
    shutil.rmtree(here.world.folder / "copy.git")
    here.restart()
    here.push()
    assert here.accepted == kept
    assert "data-loss-without-removal" in here.last("RevisionRejected").message
    assert here.daemon.gate.desired
    assert here.daemon.gate.desired.revision == kept


def test_a_lost_copy_of_a_rewritten_history(here: Station) -> None:
    """Guards the corner of both: refused in words while rewinds are not allowed, followed when they are; no defect."""
    import shutil  # noqa: PLC0415  # see above

    here.push(volume("a"))
    shutil.rmtree(here.world.folder / "copy.git")
    new = here.forge.commit(here.files(volume("b")), parents=[])
    here.restart()
    assert not here.daemon.poll()
    here.restart(allow_rewind=True)
    assert here.daemon.poll()
    assert here.accepted == new
    assert here.forge.head(BRANCH) == new


def test_what_people_allow_counts_alike(here: Station) -> None:
    """Guards that the daemon blocks what the check blocks: comments, policy and baseline make the same difference."""
    here.push(volume("a"))
    strict = here.files(volume("a")) | {".holdfast.yaml": "failOn: warning\n"}
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    entry = {"rules": ["unknown-kind"], "kinds": ["example.com/Widget"], "reason": "Helm applies it"}
    allowed = json.dumps({"failOn": "warning", "suppressions": [entry]})
    here.forge.commit(strict | {"a.yaml": foreign})
    here.daemon.poll()
    assert here.daemon.gate.rejected
    for files in (
        {"a.yaml": f"# holdfast: allow[unknown-kind] Helm applies it\n{foreign}"},
        {"a.yaml": foreign, ".holdfast.yaml": allowed},
        {"a.yaml": foreign, ".holdfast-baseline.json": baseline_of(here.daemon.gate.rejected.findings)},
    ):
        accepted = here.forge.commit(strict | files)
        here.daemon.poll()
        assert here.daemon.gate.rejected is None
        assert here.daemon.gate.desired
        assert here.daemon.gate.desired.revision == accepted
    here.forge.commit(strict | {"a.yaml": f"# holdfast: allow[unknown-kind] later, until 2000-01-01\n{foreign}"})
    here.daemon.poll()
    assert here.daemon.gate.rejected
