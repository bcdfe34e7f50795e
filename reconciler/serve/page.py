"""What the page at `/` says, cut to what a page can hold, and the same as JSON. Reads; decides nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from reconciler.daemon import Daemon
from reconciler.dates import iso
from reconciler.history import DriftRecord, Event
from reconciler.serve.says import PEACE, PEACE_BUT, Mood, Say, is_known, source_say, target_say
from reconciler.serve.timeline import Timeline, timeline
from reconciler.status import Condition, Conditions
from schemas.resources import ResourceKey

TARGETS = 100
HELD = 50
TASKS = 50
SCHEDULES = 50
NOT_READY = 50
OPEN_DRIFTS = 30
DRIFTS = 40
EVENTS = 60
FINDINGS = 20
RESOURCES = 400  # rows of the full lists, shared by all targets
JSON_DRIFTS = 200
JSON_EVENTS = 100
LOOKED_BACK = 300  # drifts, and events, that the timeline is drawn from

T = TypeVar("T")

KEPT: Mapping[str, str] = {  # Ready, and yet not what a manifest declares
    "KeptLarger": "kept larger than declared",
    "Retained": "retained without a manifest",
    "RestartRequired": "kept until a restart",
    "ClusterSizeDiffers": "kept with another cluster size",
}


@dataclass(frozen=True, slots=True)
class Cut(Generic[T]):
    """As much of a list as is shown, and how many it leaves out."""

    shown: Sequence[T]
    more: int

    @classmethod
    def of(cls, items: Sequence[T], most: int) -> Cut[T]:
        return cls(items[:most], max(0, len(items) - most))

    @property
    def total(self) -> int:
        return len(self.shown) + self.more


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A resource and what is said of its readiness."""

    key: ResourceKey
    target: str
    ready: Condition
    uid: str = ""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target, and its resources."""

    status: Mapping[str, Any]
    say: Say
    ready: int
    unknown: int
    total: int
    kept: Mapping[str, int]  # reason → how many of the ready ones
    resources: Cut[ResourceRow]

    @property
    def name(self) -> str:
        return str(self.status["name"])

    @property
    def version(self) -> str:
        """`v26.05` of `SPDK v26.05 git sha1 d519b163cb`."""
        return str(self.status["version"]).removeprefix("SPDK ").partition(" git ")[0]

    @property
    def known(self) -> bool:
        """Whether what was last seen of it still counts."""
        return is_known(self.status)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What one target withholds, and the command that lets it through."""

    target: str
    approval: str
    held: Cut[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, and what it is to this site."""

    id: str
    subject: str
    tags: Sequence[Say]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on it."""

    now: float
    status: Mapping[str, Any]
    source: Say
    says: Sequence[Say]  # what matters most first; the first is the headline
    revisions: Sequence[Revision]
    targets: Cut[TargetRow]
    ready: int
    unknown: int
    total: int
    open_drifts: Cut[DriftRecord]
    held: Sequence[HeldBack]
    tasks: Cut[tuple[str, Mapping[str, Any]]]  # each with its target
    schedules: Cut[tuple[str, Mapping[str, Any]]]
    not_ready: Cut[ResourceRow]
    kept: Cut[ResourceRow]
    findings: Cut[Mapping[str, Any]]
    timeline: Timeline | None
    drifts: Cut[DriftRecord]
    events: Cut[Event]


def document(daemon: Daemon) -> dict[str, Any]:
    """The page for programs."""
    history = daemon.house.history
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "SiteStatus",
        "time": iso(daemon.house.clock.now()),
        **daemon.status(),
        "drifts": [drift.to_json() for drift in history.drifts(limit=JSON_DRIFTS)],
        "events": [event.to_json() for event in history.events(JSON_EVENTS)],
    }


def page(daemon: Daemon) -> Page:
    """The page for people."""
    history, now = daemon.house.history, daemon.house.clock.now()
    status = daemon.status(resources=False)
    rows = _target_rows(daemon, status)
    names = {row.name for row in rows}
    not_ready = sum(row.total - row.ready for row in rows if row.known)
    opened = [drift for drift in history.drifts(open_only=True) if drift.target in names and drift.is_ours]
    drifts, events = history.drifts(limit=LOOKED_BACK + 1), history.events(LOOKED_BACK + 1)
    kept = sum((Counter(row.kept) for row in rows), Counter[str]())
    rejected = status["revision"]["rejected"]
    return Page(
        now=now,
        status=status,
        source=source_say(status["source"]),
        says=headlines(status, rows, not_ready, kept),
        revisions=_revisions(daemon, status, rows),
        targets=Cut.of(rows, TARGETS),
        ready=sum(row.ready for row in rows),
        unknown=sum(row.unknown for row in rows),
        total=sum(row.total for row in rows),
        open_drifts=Cut(opened[:OPEN_DRIFTS], max(0, sum(_drifting(rows)) - OPEN_DRIFTS)),
        held=[HeldBack(t["name"], t["approvalID"], Cut.of(t["held"], HELD)) for t in status["targets"] if t["held"]],
        tasks=Cut.of([(t["name"], task) for t in status["targets"] for task in t["tasks"]], TASKS),
        schedules=Cut.of([(t["name"], each) for t in status["targets"] for each in t["schedules"]], SCHEDULES),
        not_ready=_cut(_not_ready(daemon, rows), not_ready),
        kept=_cut(_kept(daemon, rows), kept.total()),
        findings=Cut.of(rejected["findings"] if rejected else (), FINDINGS),
        timeline=_timeline(drifts, events, now),
        drifts=Cut.of(drifts, DRIFTS),
        events=Cut.of(events, EVENTS),
    )


# --- targets and resources


def ready_say(row: ResourceRow) -> Say:
    """A resource's readiness in a word."""
    if row.ready.status == "True":
        return Say(Mood.GOOD, "Ready")
    return Say(Mood.UNKNOWN, "Unknown") if row.ready.status == "Unknown" else Say(Mood.ATTENTION, "Not Ready")


def _target_rows(daemon: Daemon, status: Mapping[str, Any]) -> list[TargetRow]:
    targets = status["targets"]
    share = max(5, RESOURCES // max(1, min(len(targets), TARGETS)))
    return [_target_row(daemon, target, status["revision"]["accepted"], share) for target in targets]


def _target_row(daemon: Daemon, target: Mapping[str, Any], accepted: str, share: int) -> TargetRow:
    name = target["name"]
    conditions = daemon.house.history.conditions(name)
    total = len(conditions)
    known = conditions.values() if is_known(target) else ()
    counted = Counter(value[0].status for value in known) if known else {"Unknown": total}
    kept = Counter(value[0].reason for value in known if _is_kept(value[0]))
    uids = {record.resource: record.uid for record in daemon.house.ledger.records(name) if record.uid}
    shown = [
        ResourceRow(key, name, _as_known(target, value), uids.get(key, ""))
        for key, value in islice(conditions.items(), share)
    ]
    say, rows = target_say(target, accepted), Cut(shown, total - len(shown))
    return TargetRow(target, say, counted.get("True", 0), counted.get("Unknown", 0), total, kept, rows)


def _not_ready(daemon: Daemon, rows: Iterable[TargetRow]) -> Iterator[ResourceRow]:
    return (row for row in _known(daemon, rows) if row.ready.status != "True")


def _kept(daemon: Daemon, rows: Iterable[TargetRow]) -> Iterator[ResourceRow]:
    return (row for row in _known(daemon, rows) if _is_kept(row.ready))


def _is_kept(ready: Condition) -> bool:
    return ready.status == "True" and ready.reason in KEPT


def _known(daemon: Daemon, rows: Iterable[TargetRow]) -> Iterator[ResourceRow]:
    """Nothing of a target that is not known: one line about the target says it for all."""
    for row in rows:
        if row.known:
            for key, value in daemon.house.history.conditions(row.name).items():
                yield ResourceRow(key, row.name, value[0])


def _as_known(target: Mapping[str, Any], conditions: Conditions) -> Condition:
    """Ready as far as it is known: what was so when the target was last seen is not what is so."""
    ready = conditions[0]
    if is_known(target) or ready.status == "Unknown":
        return ready
    return Condition("Ready", "Unknown", "NotSeenLately", f"it was {ready.reason} when the target was last seen")


# --- commits


def _revisions(daemon: Daemon, status: Mapping[str, Any], rows: Sequence[TargetRow]) -> list[Revision]:
    """The commits that matter, the newest first, each once."""
    still = status["revision"]["accepted"] == status["revision"]["converged"] and all(row.known for row in rows)
    revision, source = status["revision"], status["source"]
    rejected = revision["rejected"] or {"revision": "", "reason": "", "subject": ""}
    tags: defaultdict[str, list[Say]] = defaultdict(list)
    for name, say in (
        (source["head"], Say(Mood.MOVING, "head")),
        (rejected["revision"], Say(Mood.BAD, f"rejected: {rejected['reason']}")),
        (revision["accepted"], Say(Mood.MOVING, "accepted")),
        (revision["converged"], Say(Mood.GOOD, "converged") if still else Say(Mood.MOVING, "converged last")),
    ):
        if name:
            tags[name].append(say)
    subjects = {rejected["revision"]: rejected["subject"]}
    return [
        Revision(name, subjects.get(name) or daemon.house.ledger.subject(name), says) for name, says in tags.items()
    ]


# --- the headline


def headlines(
    status: Mapping[str, Any], rows: Sequence[TargetRow], not_ready: int, kept: Mapping[str, int]
) -> Sequence[Say]:
    """Everything that is not as it should be, worst first; or that all is well. What is kept on purpose comes last."""
    says = [*_about_targets(rows), *_about_resources(rows, not_ready), *_about_git(status, rows)]
    if not says:
        well = all(row.say.mood is Mood.GOOD for row in rows)
        peace = PEACE_BUT if kept else PEACE
        says = [peace if well else Say(Mood.ATTENTION, "Not everything is as declared", "#targets")]
    order = list(Mood)
    told = (Say(Mood.KEPT, f"{_count(kept[reason], 'resource')} {KEPT[reason]}", "#kept") for reason in sorted(kept))
    return [*sorted(says, key=lambda say: order.index(say.mood)), *told]


def _about_targets(rows: Sequence[TargetRow]) -> Iterator[Say]:
    for mood, before, after in (
        (Mood.BAD, "", " stalled: a person must act"),
        (Mood.UNKNOWN, "Nothing is known of ", ""),
        (Mood.MOVING, "", " under way"),
    ):
        names = [row.name for row in rows if row.say.mood is mood]
        if names:
            who = names[0] if len(names) == 1 else f"{len(names)} targets"
            verb = (" is" if len(names) == 1 else " are") if after else ""
            yield Say(mood, f"{before}{who}{verb}{after}", "#targets")


def _about_resources(rows: Sequence[TargetRow], not_ready: int) -> Iterator[Say]:
    held = sum(not item["waiting"] for row in rows for item in row.status["held"])
    if held:
        yield Say(Mood.ATTENTION, f"{_count(held, 'change')} held back", "#held")
    if drifting := sum(_drifting(rows)):
        yield Say(Mood.ATTENTION, f"{_count(drifting, 'drift')} open", "#drift")
    if not_ready:
        yield Say(Mood.ATTENTION, f"{_count(not_ready, 'resource')} not Ready", "#not-ready")


def _about_git(status: Mapping[str, Any], rows: Sequence[TargetRow]) -> Iterator[Say]:
    if status["revision"]["rejected"]:
        yield Say(Mood.ATTENTION, "The newest commit was rejected and changes nothing", "#revision")
    source = source_say(status["source"])
    if source.mood is not Mood.GOOD:
        yield Say(
            source.mood, f"The repository {'is ' if source.words.startswith('not') else ''}{source.words}", "#revision"
        )
    if not status["revision"]["accepted"]:
        yield Say(Mood.UNKNOWN, "No commit is enforced yet", "#revision")
    elif not rows:
        yield Say(Mood.UNKNOWN, "No target is declared", "#targets")


def _drifting(rows: Iterable[TargetRow]) -> Iterator[int]:
    return (int(row.status["openDrifts"]) for row in rows)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word} is" if number == 1 else f"{number:,} {word}s are"


def _cut(rows: Iterator[ResourceRow], total: int) -> Cut[ResourceRow]:
    """The first of them, without making the others."""
    return Cut([*islice(rows, NOT_READY)], max(0, total - NOT_READY))


def _timeline(drifts: Sequence[DriftRecord], events: Sequence[Event], now: float) -> Timeline | None:
    """What is drawn. A mark leads to its line where that is on the page; where the lists were cut the axis begins."""
    ends = [drifts[LOOKED_BACK - 1].detected] if len(drifts) > LOOKED_BACK else []
    ends += [events[LOOKED_BACK - 1].at] if len(events) > LOOKED_BACK else []
    shown = {f"#drift-{drift.id}" for drift in drifts[:DRIFTS]} | {f"#event-{event.id}" for event in events[:EVENTS]}
    return timeline(drifts[:LOOKED_BACK], events[:LOOKED_BACK], now, max(ends, default=None), shown)
