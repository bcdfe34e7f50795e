"""What a reviewer reads below a pull request: the verdict first, then what is destroyed, then the rest. Markdown.

It stays within what GitHub takes (65,536 characters of a comment, 1 MiB of a job summary), and says what it left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from analyzer.check import Check
from analyzer.finding import Finding, Location
from analyzer.hazards import FieldChange
from analyzer.impact import Impact
from analyzer.radius import UNKNOWN, Radius, ResourceChange
from analyzer.render.markup import address, code, header, link, prose, row
from analyzer.render.sections import Section, fit
from analyzer.render.text import dotted, plural
from analyzer.render.verdicts import verdict
from analyzer.usage import HostLoss
from schemas.quantity import format_bytes
from schemas.resources import canonical

COMMENT = 65_536
SUMMARY = 1_048_576
SHOWN = 4  # fields or dependents in one row

_SIGNS = {"passes": "✅", "needs-approval": "✋", "blocked": "⛔", "unknown": "❓"}
_SEVERITIES = {"error": "🔴 error", "warning": "🟡 warning", "info": "🔵 info"}


@dataclass(frozen=True)
class Home:
    """Where the repository can be looked at, so that places become links; without an address they are text."""

    url: str = ""  # https://github.com/OWNER/NAME
    base: str = ""  # commit ids
    head: str = ""
    whole: str = ""  # where the whole report is, as Markdown

    def link(self, root: str, place: Location) -> str:
        """`path:line`, leading to that line of that revision."""
        path = f"{root}/{place.path}" if root else place.path
        revision = place.revision or self.head
        url = f"{self.url}/blob/{revision}/{address(path)}#L{place.line}" if self.url and revision else ""
        return link(code(f"{path}:{place.line}"), url)


def render(check: Check, home: Home | None = None, budget: int = COMMENT) -> str:
    """The report of a check."""
    told = _Report(check, home or Home())
    return fit("\n".join(told.lead()), [s for s in told.sections() if s.rows], told.foot(), budget, told.home.whole)


@dataclass(frozen=True)
class _Report:
    check: Check
    home: Home

    @property
    def root(self) -> str:
        return self.check.report.root

    def lead(self) -> Iterator[str]:
        yield f"### {_SIGNS[self.check.outcome]} Holdfast: {headline(self.check)}"
        yield ""
        yield from self._numbers()
        yield ""
        yield from verdict(self.check.impact)

    def _numbers(self) -> Iterator[str]:
        check, impact = self.check, self.check.impact
        compared = f"{code(self.home.base[:12])} → " if self.home.base else ""
        head = code((self.home.head or check.report.revision)[:12])
        looked_at = (
            f"{plural(check.report.counts.resources, 'resource')} in {plural(check.report.counts.files, 'file')}"
        )
        scope = f"{code(self.root)}, " if self.root else ""
        yield f"{scope}{compared}{head}: {looked_at}"
        if impact and not impact.unreadable:
            counts = [f"{count} {hazard}" for hazard, count in impact.tally().items() if count]
            yield f"<br>Changes: {', '.join(counts) or 'none'}"
        if check.before:
            yield f"<br>Findings: {len(check.new)} new, {len(check.known)} known before, {len(check.fixed)} fixed"

    def sections(self) -> Iterator[Section]:
        check, impact = self.check, self.check.impact
        if impact and impact.unreadable:
            yield self._unreadable(impact)
        failing = set(check.failing)
        yield self._findings("What blocks it", sorted(check.failing))
        if impact and not impact.unreadable:
            yield from self._changes(impact)
        rest = sorted(set(check.new) - failing)
        yield self._findings("New findings" if check.before else "Findings", rest)
        if impact and not impact.unreadable:
            yield self._safe(impact)
            yield self._reach(impact)
        yield self._findings("Findings from before", sorted(set(check.known) - failing), folded=True)
        yield self._findings("Fixed", sorted(check.fixed), folded=True)

    def _unreadable(self, impact: Impact) -> Section:
        rows = [row((place.side, self._place(place.location), prose(place.because))) for place in impact.unreadable]
        return Section("What cannot be made out, so that nothing can be compared", rows, header("side", "where", "why"))

    def _findings(self, title: str, findings: Iterable[Finding], *, folded: bool = False) -> Section:
        rows = [self._finding(finding) for finding in findings]
        title = f"{title} ({len(rows):,})" if folded or len(rows) > 1 else title
        return Section(title, rows, header("", "what", "where"), folded)

    def _finding(self, finding: Finding) -> str:
        about = f"<br>{_subject(finding)}" if finding.resource else ""
        advice = f"<br>💡 {prose(finding.help)}" if finding.help else ""
        sure = "" if str(finding.confidence) == "high" else " (perhaps)"
        what = f"{prose(finding.message)} {code(finding.rule)}{about}{advice}"
        return row((f"{_SEVERITIES[str(finding.severity)]}{sure}", what, self._place(finding.location)))

    def _changes(self, impact: Impact) -> Iterator[Section]:
        worst = [change for change in impact.changes if change.hazard == "data-loss"]
        yield self._table("What is destroyed", worst)
        yield self._losses(impact)
        yield self._table("What is disturbed", [c for c in impact.changes if c.hazard == "disruptive"])
        yield self._table("What is never carried out", [c for c in impact.changes if c.hazard == "refused"])

    def _safe(self, impact: Impact) -> Section:
        safe = [change for change in impact.changes if change.hazard == "safe"]
        return self._table(f"{plural(len(safe), 'safe change')}", safe, folded=True)

    def _table(self, title: str, changes: Iterable[ResourceChange], *, folded: bool = False) -> Section:
        return Section(
            title, [self._change(change) for change in changes], header("resource", "change", "reaches"), folded
        )

    def _change(self, change: ResourceChange) -> str:
        subject = f"{change.action} {code(str(change.key))}<br>{self._place(change.location)}"
        fields = [_field(field) for field in change.fields[:SHOWN]]
        if change.destroys:
            fields.append(f"<strong>destroys {code(str(change.destroys))}</strong>")
        if (left := len(change.fields) - SHOWN) > 0:
            fields.append(f"and {plural(left, 'more field')}")
        return row((subject, "<br>".join(filter(None, fields)) or " ", _reached(change)))

    def _losses(self, impact: Impact) -> Section:
        live = impact.live
        losses = sorted(live.losses, key=lambda loss: bool(loss.keeps)) if live else []
        title = f"Which connected hosts lose something (asked at {prose(live.time)})" if live else ""
        return Section(title, [_loss(loss) for loss in losses], header("host", "on", "loses", "keeps"))

    def _reach(self, impact: Impact) -> Section:
        rows = [row((hazard, *_radius(radius))) for hazard, radius in impact.radius.items() if impact.tally()[hazard]]
        head = header("changes that are", "volumes", "subsystems", "hosts", "tenants")
        return Section("Whom it reaches", rows, head, folded=True)

    def _place(self, place: Location) -> str:
        return self.home.link(self.root, place)

    def foot(self) -> str:
        live = self.check.impact.live if self.check.impact else None
        asked = (
            "" if live or not self.check.impact else "Bytes in use and connected hosts: unknown (nobody was asked). "
        )
        return f"<sub>{asked}{self.home.whole}</sub>\n"


def headline(check: Check) -> str:
    """The verdict in one line."""
    if check.report.policy_is_broken:
        return "blocked, the policy `.holdfast.yaml` is broken"
    if check.failing:
        new = len(set(check.failing) & set(check.new))
        brought = f", {new or 'none'} of them new" if check.before and len(check.failing) > 1 else ""
        return f"blocked by {_counted(check, new)}{brought}"
    if check.outcome == "unknown":
        return "cannot say what this change does"
    if check.outcome == "needs-approval":
        return f"needs approval{_effect(check.impact)}"
    return f"passes{_effect(check.impact)}"


def _counted(check: Check, new: int) -> str:
    alone = len(check.failing) == 1 and check.before
    return plural(len(check.failing), f"{'new ' if new else 'known '}finding" if alone else "finding")


def _effect(impact: Impact | None) -> str:
    if impact is None:
        return ""
    if not impact.changes:
        return ", nothing changes"
    tally = impact.tally()
    words = {"data-loss": "destroys data", "disruptive": "disturbs hosts", "refused": "asks for what is never done"}
    return f", and {next((words[h] for h in words if tally.get(h)), 'every change is safe')}"  # type: ignore[call-overload]


def _subject(finding: Finding) -> str:
    return code(", ".join(filter(None, (str(finding.resource), dotted(finding.path)))))


def _field(field: FieldChange) -> str:
    if not field.path:
        return prose(field.reason)
    verdict = {"refuse": "refused", "restart": "waits for a restart", "recreate": "made anew"}.get(field.update, "")
    tail = ": ".join(filter(None, (verdict, field.reason)))
    values = f"{_value(field.before)} → {_value(field.after)}"
    return f"{code(field.name)}: {values}{f' ({prose(tail)})' if tail else ''}"


def _value(value: object) -> str:
    return "nothing" if value is None else code(value if isinstance(value, str) else canonical(value), 60)


def _reached(change: ResourceChange) -> str:
    told = []
    for reached in change.dependents[:SHOWN]:
        way = " ← ".join(f"{step.target} ({name})" for step, name in zip(reached.path, reached.names, strict=True))
        told.append(f"{code(str(reached.key))} through {prose(way)}")
    if (left := len(change.dependents) - SHOWN) > 0:
        told.append(f"and {left:,} more")
    return "<br>".join(told) or "nobody"


def _loss(loss: HostLoss) -> str:
    loses = [*loss.loses, *(f"nsid {nsid}" for nsid in loss.namespaces)]
    keeps = (
        ", ".join(map(code, loss.keeps)) if loss.keeps else "<strong>nothing</strong>" if loss.loses else "its paths"
    )
    return row((code(loss.host), code(str(loss.subsystem)), ", ".join(map(code, loses)), keeps))


def _radius(radius: Radius) -> Iterator[str]:
    size = f"size {UNKNOWN}" if radius.bytes is None else format_bytes(radius.bytes)
    yield f"{radius.volumes}{f' ({size})' if radius.volumes else ''}"
    yield str(radius.subsystems)
    yield f"{UNKNOWN} (any may connect)" if radius.hosts is None else str(radius.hosts)
    yield ", ".join(map(code, radius.tenants[:SHOWN])) + (" …" if len(radius.tenants) > SHOWN else "") or "none"
