"""The gate: which revision is enforced. One that does not pass changes nothing; the last good one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer import git
from analyzer.analyze import analyze
from analyzer.authority.history import History
from analyzer.finding import Finding
from analyzer.report import Report
from analyzer.snapshot import SnapshotError
from reconciler.dates import day_of
from reconciler.desired import DesiredState
from reconciler.history import Event
from reconciler.house import House
from reconciler.lineage import APPROVAL_TRAILER, history_of
from reconciler.policy import DAY, policy_of
from reconciler.resolving import desired_state
from reconciler.source import GitSource
from schemas.resources import Json

APPROVAL_LASTS = DAY  # seconds
SHOWN = 5  # findings that an event quotes


class NotReady(Exception):
    """There is no accepted revision yet (perhaps because what there is was `rejected`), or no such target."""

    def __init__(self, message: str, *, rejected: bool = False) -> None:
        super().__init__(message)
        self.rejected = rejected


@dataclass
class SourceState:
    """How the last look at the repository went."""

    head: str = ""
    at: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Rejected:
    """A revision that is not enforced, and why."""

    revision: str
    reason: str
    message: str
    findings: Sequence[Finding] = ()
    subject: str = ""  # the first line of the commit message

    def to_json(self) -> dict[str, Json]:
        return {
            "revision": self.revision,
            "subject": self.subject,
            "reason": self.reason,
            "message": self.message,
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass
class Gate:
    """Decides about revisions of one source. Remembers the last decision, so that nothing is judged twice a day."""

    source: GitSource
    house: House
    desired: DesiredState | None = None
    rejected: Rejected | None = None
    report: Report | None = None  # of the accepted revision
    source_state: SourceState = field(default_factory=SourceState)
    _judged: tuple[str, object] = ("", None)

    def resume(self) -> None:
        """After a restart of the daemon: go on with the revision that was accepted last, without judging it again."""
        revision = self.house.ledger.accepted()
        if revision and self.desired is None:
            self._enforce(self._read(revision, None))

    def consider(self, revision: str) -> bool:
        """Judge a revision; whether it is news that is now enforced. Raises git.GitError when it cannot be read."""
        today = day_of(self.house.clock.now())
        if self.desired is None and self._is_at_hand(self.house.ledger.accepted()):
            self.resume()  # the copy was lost, and has come back with what was fetched
        if self.desired and self.desired.revision == revision:
            self._forgive()
            return False
        if self._judged == (revision, today):
            return False
        news = self._judge(revision)
        self._judged = (revision, today)  # not before: a revision that could not be read is to be looked at again
        return news

    def rehearse(self, revision: str) -> DesiredState:
        """What would be wanted were a revision accepted. Nothing is decided. Raises NotReady, GitError, SourceError."""
        if self.report is None:
            raise self.nothing_accepted()
        if not self._is_at_hand(revision):
            self.source.bring(revision)
        report = analyze(
            git.read_snapshot(self.source.copy, revision, self.source.config.path),
            as_of=day_of(self.house.clock.now()),
            base=self.report,
            history=self._history(revision),
        )
        if report.blocks:
            raise NotReady(f"{revision[:12]} would not be accepted; holdfast lint says why", rejected=True)
        policy, placed = policy_of(report.config.settings), self.house.ledger.placements()
        resources = report.graph.resources.values()
        return desired_state(report.revision, resources, policy, self.house.site, placed)

    def nothing_accepted(self) -> NotReady:
        """Why no revision is enforced yet."""
        rejected = self.rejected
        because = f"{rejected.reason}: {rejected.message}" if rejected else self.source_state.error
        return NotReady(
            f"no revision is accepted yet: {because or 'the repository has not been read'}", rejected=bool(rejected)
        )

    def trouble(self) -> dict[str, Json]:
        """Why what is enforced may not be what the repository says now, as JSON: nothing of it when all is well."""
        rejected = self.rejected
        return {"error": self.source_state.error or None, "rejected": rejected.to_json() if rejected else None}

    def _judge(self, revision: str) -> bool:
        accepted = self.house.ledger.accepted()
        if accepted and not self.source.config.allow_rewind and not self._descends(accepted, revision):
            message = (
                f"{revision[:12]} does not descend from the applied {accepted[:12]}: history was rewritten or rewound"
            )
            self._reject(Rejected(revision, "NotDescendant", message, subject=self._subject(revision)))
            return False
        report = self._read(revision, self.report, self._history(revision))
        if report.blocks:
            found = report.blocking
            quoted = "; ".join(f"{f.location}: {f.message} [{f.rule}]" for f in found[:SHOWN])
            more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            self._reject(Rejected(revision, "RevisionRejected", f"{quoted}{more}", found, self._subject(revision)))
            return False
        self._accept(report, accepted)
        return True

    def _subject(self, revision: str) -> str:
        return git.subject(self.source.copy, revision)

    def _is_at_hand(self, revision: str) -> bool:
        try:
            return bool(revision and self._subject(revision) is not None)
        except SnapshotError:
            return False

    def _descends(self, older: str, newer: str) -> bool:
        return git.is_ancestor(self.source.copy, older, newer)

    def _history(self, revision: str) -> History | None:
        """Who made what is new. None: it is taken as it is, being the first, or trusted by the machine."""
        if self.report is None or self.source.config.trusted == revision:
            return None
        applied = self.report
        return history_of(self.source.copy, applied.revision, revision, self.source.config.path, applied.graph)

    def _read(self, revision: str, base: Report | None, history: History | None = None) -> Report:
        snapshot = git.read_snapshot(self.source.copy, revision, self.source.config.path)
        return analyze(snapshot, as_of=day_of(self.house.clock.now()), base=base, history=history, keep=True)

    def _accept(self, report: Report, before: str) -> None:
        now, ledger = self.house.clock.now(), self.house.ledger
        policy = policy_of(report.config.settings)
        subject = self._subject(report.revision)
        with self.house.store.writing():
            for commit in self.source.between(before, report.revision):
                for name, value in git.trailers(self.source.copy, commit):
                    by = f"commit {commit[:12]}"
                    if name == APPROVAL_TRAILER and ledger.approver(value) != by:  # one commit approves once
                        ledger.approve(value, by, now, now + APPROVAL_LASTS)
            ledger.accept(report.revision, subject, policy, now)
        self._forgive()
        self._enforce(report)
        message = f"{report.revision[:12]} {subject}"
        self.house.history.emit([Event("RevisionAccepted", message, revision=report.revision)], now)

    def resolve_again(self) -> None:
        """The ledger has learned where bytes lie: what is wanted of which target may follow from that."""
        if self.report:
            self._enforce(self.report)

    def _enforce(self, report: Report) -> None:
        policy = policy_of(report.config.settings)
        self.report = report
        resources, placed = report.graph.resources.values(), self.house.ledger.placements()
        self.desired = desired_state(report.revision, resources, policy, self.house.site, placed)

    def _reject(self, rejected: Rejected) -> None:
        """Told once. Nobody reads events between: whoever sees that it is rejected finds the event, too."""
        told = f"{rejected.revision} {rejected.reason}"
        event = Event(rejected.reason, rejected.message, warning=True, revision=rejected.revision)
        with self.house.store.writing():
            self.rejected = rejected
            if self.house.ledger.get("rejected") != told:  # else told, perhaps before the daemon was started again
                self.house.ledger.set("rejected", told)
                self.house.history.emit([event], self.house.clock.now())

    def _forgive(self) -> None:
        """What was rejected is no longer what the repository asks for; should it come back, that is news."""
        self.rejected, self._judged = None, ("", None)
        if self.house.ledger.get("rejected"):
            self.house.ledger.set("rejected", "")
