"""What a change does, for people at a terminal: every change, worst first, why it matters, and whom it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from analyzer.access.questions import Answer
from analyzer.access.rows import AccessChange
from analyzer.access.storage import CONNECT, WHERE
from analyzer.hazards import FieldChange, Hazard
from analyzer.impact.budget import Reason, Verdict
from analyzer.impact.difference import Impact
from analyzer.impact.radius import Radius, Reached, ResourceChange
from analyzer.impact.usage import HostLoss, Live
from analyzer.render.apart import told_apart
from analyzer.render.text import COLOURS, WIDTH, Style
from analyzer.render.wording import apis, remark, shares, size_of
from schemas.quantity import counted, told_bytes
from schemas.resources import OUR_GROUP, UNKNOWN, ResourceKey

SHOWN = 5  # dependents of one change
ROWS = 10  # of one question
NAMED = 4  # who fare alike
VERDICTS = {
    "pass": ("pass", "safe"),
    "needs-approval": ("needs approval", "disruptive"),
    "blocked": ("blocked", "error"),
    "unknown": ("unknown", "error"),
}  # outcome → words, and what it is coloured like
TOLD = ("BudgetExceeded", "HostsConnected", "RetentionTightened")  # reasons that `holdfast explain` explains
APPROVE = "to let it through: holdfast approve ID, with the id that holdfast plan prints once the daemon holds it"


def render(impact: Impact, *, colour: bool = False, width: int = WIDTH) -> str:
    """Every change, worst first, with its reasons and whom it reaches, and a line that sums up."""
    style = Style(colour, width)
    if impact.unreadable:
        return "\n".join(_unreadable(impact, style)) + "\n"
    title = f"From {impact.base[:12]} to {_named(impact.head)}"
    blocks = [_change(change, style) for change in impact.changes]
    told = (
        chain(_verdict(impact.verdict, style), _rejection(impact, style)),
        *blocks,
        *(_answer(answer, style) for answer in impact.access),
        _totals(impact, style),
    )
    return "\n\n".join([title, *filter(None, map("\n".join, told))]) + "\n"


def _named(revision: str) -> str:
    """A commit in short; what no commit has, as it is called."""
    words, space, commit = revision.rpartition(" ")
    return f"the {words}{space}{commit[:12]}" if space else revision[:12]


def _verdict(verdict: Verdict | None, style: Style) -> Iterator[str]:
    """What becomes of it, why, and what could still hold it."""
    if verdict is None:
        return
    label, colour = VERDICTS[verdict.outcome]
    yield from style.labelled(f"{label}: ", COLOURS[colour], _in_short(verdict), "  ")
    for reason in verdict.reasons[1:]:
        yield from style.bulleted(_reason(reason))
    for target, name in sorted((verdict.approvals or {}).items()):
        yield from style.bulleted(f"on {target}, to let it through: holdfast approve {name}")
    if verdict.is_held and verdict.approvals is None:
        yield from style.bulleted(APPROVE)
    for proviso in verdict.provisos:
        yield from style.bulleted(f"not known here: {_reason(proviso)}")


def _in_short(verdict: Verdict) -> str:
    if verdict.reasons:
        return _reason(verdict.reasons[0])
    if not verdict.costs:
        return "Holdfast disturbs no subsystem, and destroys no bytes"
    budget = verdict.budget
    parts = (
        f"{share}{f' on {cost.target}' if cost.target else ''}"
        for cost in verdict.costs
        for share in shares(cost, budget)
    )
    return f"within the budget of {budget.window}: {', '.join(parts)}"


def _reason(reason: Reason) -> str:
    where = f"{reason.target}: " if reason.target else ""
    return f"{where}{reason.message}{f' [{reason.code}]' if reason.code in TOLD else ''}"


def _change(change: ResourceChange, style: Style) -> Iterator[str]:
    yield from style.labelled(f"{change.hazard}: ", COLOURS[change.hazard], f"{change.action} {change.key}", "  ")
    yield f"  {style.faint('-->')} {style.place(change.location)}"
    for field in change.fields:
        yield from style.bulleted(_field(field))
    if change.destroys:
        yield from style.bulleted(f"destroys {change.destroys}")
    if change.perhaps:
        yield from style.bulleted(_perhaps(change, change.perhaps))
    for dependent in change.dependents[:SHOWN]:
        yield from style.bulleted(_dependent(dependent))
    if len(change.dependents) > SHOWN:
        yield f"  - reaches {len(change.dependents) - SHOWN} more"


def _perhaps(change: ResourceChange, other: ResourceKey) -> str:
    """A guess, and for our own kinds how to make it a fact."""
    guess = f"perhaps renamed {'to' if change.action == 'delete' else 'from'} {other}, which says the same"
    ours = change.key.group == OUR_GROUP and change.key.namespace == other.namespace and change.action == "create"
    return f"{guess}; holdfast.dev/renamed-from would keep its identity" if ours else guess


def _field(field: FieldChange) -> str:
    if not field.path:
        return field.reason
    tail = remark(field)
    values = " -> ".join("nothing" if text is None else text for text in told_apart(field.before, field.after))
    return f"{field.name}: {values}{f' ({tail})' if tail else ''}"


def _dependent(dependent: Reached) -> str:
    named = zip(dependent.path, dependent.names, strict=True)
    return f"reaches {dependent.key} through {' < '.join(f'{step.target} ({name})' for step, name in named)}"


def _answer(answer: Answer, style: Style) -> Iterator[str]:
    """A question, and who it is that it concerns; those who fare alike are one line."""
    alike: dict[tuple[ResourceKey, str], list[str]] = {}
    for change in answer.rows:
        now = " (connected)" if answer.connected.get(change.row) else ""
        alike.setdefault((change.row.resource, _terms(change)), []).append(f"{change.row.principal}{now}")
    yield f"{answer.title}:"
    lines = [f"{_several(who)}: {resource}{terms}" for (resource, terms), who in alike.items()]
    for line in lines[:ROWS]:
        yield from style.bulleted(line)
    if len(lines) > ROWS:
        yield f"  - and {len(lines) - ROWS} more"


def _terms(change: AccessChange) -> str:
    """What differs, of a row that stays; else how it is, or was."""
    grant = change.after or change.before
    assert grant is not None  # noqa: S101  # a row that is on neither side differs from nothing
    right = f", {grant.right}" if grant.right.startswith(CONNECT) else ""
    if change.before and change.after:
        return right + "".join(f", {name} {old or 'none'} -> {new or 'none'}" for name, old, new in change.terms)
    told = [(name, value) for name, value in grant.terms if change.after or name in WHERE]
    return right + "".join(f", {name} {value}" for name, value in told)


def _several(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _totals(impact: Impact, style: Style) -> Iterator[str]:
    if not impact.changes:
        yield "Nothing changes."
        return
    worst_first: Mapping[Hazard, int] = {hazard: count for hazard, count in impact.tally().items() if count}
    for hazard, count in worst_first.items():
        reach = _radius(impact.radius[hazard]) if hazard in impact.radius else "never carried out"
        text = f"{counted(count, 'change')}: {reach}"
        yield from style.labelled(f"{hazard}: ", COLOURS[hazard], text, "  ")
    yield from _live(impact.live, style)


def _live(live: Live | None, style: Style) -> Iterator[str]:
    """Who is connected, and loses what."""
    if live is None:
        yield "Bytes in use and connected hosts: unknown (no live data)."
        return
    hosts = UNKNOWN if live.connected is None else counted(live.connected, "host")
    size = UNKNOWN if live.bytes_in_use is None else told_bytes(live.bytes_in_use)
    yield from style.wrap(f"Connected at {live.time}: {hosts}; bytes in use: {size}.", "  ")
    for key in live.unread:
        yield from style.bulleted(f"the hosts of {key} could not be read, so they count as connected")
    for loss in sorted(live.losses, key=lambda loss: bool(loss.keeps)):
        yield from style.bulleted(_loss(loss))


def _loss(loss: HostLoss) -> str:
    parts = []
    if loss.loses:
        rest = f"keeps {', '.join(loss.keeps)}" if loss.keeps else "which is all it has"
        parts.append(f"loses {', '.join(loss.loses)}, {rest}")
    if loss.namespaces:
        parts.append(f"loses {', '.join(f'nsid {nsid}' for nsid in loss.namespaces)}")
    return f"{loss.host} on {loss.subsystem} {'; '.join(parts)}"


def _radius(radius: Radius) -> str:
    tenants = f"tenants {', '.join(radius.tenants)}" if radius.tenants else ""
    stored = [] if apis(radius) and not (radius.volumes or radius.subsystems or radius.hosts) else _stored(radius)
    return f"reaches {', '.join(filter(None, (*stored, *apis(radius), tenants)))}"


def _stored(radius: Radius) -> list[str]:
    hosts = f"hosts {UNKNOWN} (any may connect)" if radius.hosts is None else counted(radius.hosts, "host")
    return [
        counted(radius.devices, "device") if radius.devices else "",
        counted(radius.pools, "pool") if radius.pools else "",
        counted(radius.volumes, "volume") + (f" ({size_of(radius)})" if radius.volumes else ""),
        counted(radius.subsystems, "subsystem"),
        hosts,
    ]


def _rejection(impact: Impact, style: Style) -> Iterator[str]:
    """The findings for which nothing of it would happen."""
    for finding in impact.rejected[:SHOWN]:
        yield from style.bulleted(f"{style.place(finding.location)}: {finding.message} [{finding.rule}]")
    if len(impact.rejected) > SHOWN:
        yield f"  - and {len(impact.rejected) - SHOWN} more"


def _unreadable(impact: Impact, style: Style) -> Iterator[str]:
    for place in impact.unreadable:
        yield from style.wrap(f"{place.side}: {place.because}", "  ")
        yield f"  {style.faint('-->')} {style.place(place.location)}"
    yield ""
    yield "No comparison: what cannot be made out is unknown, not deleted."
