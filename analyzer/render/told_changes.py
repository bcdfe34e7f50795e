"""Changes as sections of a pull request's report: what is destroyed first, what is safe folded, and whom it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from analyzer.access.questions import Answer
from analyzer.access.rows import AccessChange
from analyzer.access.storage import CONNECT
from analyzer.hazards import FieldChange
from analyzer.impact.difference import Impact
from analyzer.impact.radius import Radius, Reached, ResourceChange
from analyzer.impact.usage import HostLoss
from analyzer.render.apart import told_apart
from analyzer.render.home import Home
from analyzer.render.markup import code, header, prose, row
from analyzer.render.sections import Section
from analyzer.render.wording import apis, remark, size_of
from schemas.quantity import counted
from schemas.resources import UNKNOWN, ResourceKey

SHOWN = 4  # fields, dependents or principals in one row


def unreadable(impact: Impact, home: Home) -> Section:
    rows = [row((place.side, home.place(place.location), prose(place.because))) for place in impact.unreadable]
    return Section("What cannot be made out, so that nothing can be compared", rows, header("side", "where", "why"))


def grave(impact: Impact, home: Home) -> Iterator[Section]:
    """What a reviewer has to know."""
    yield _changes("What is destroyed", impact, "data-loss", home)
    yield _losses(impact)
    yield from (_answer(answer) for answer in impact.access)
    yield _changes("What is disturbed", impact, "disruptive", home)
    yield _changes("What is never carried out", impact, "refused", home)


def harmless(impact: Impact, home: Home) -> Iterator[Section]:
    """What a reviewer may want to know."""
    count = impact.tally()["safe"]
    yield _changes(f"{counted(count, 'safe change')}", impact, "safe", home, folded=True)
    yield _reach(impact)
    yield _ways(impact)


def _changes(title: str, impact: Impact, hazard: str, home: Home, *, folded: bool = False) -> Section:
    rows = [_change(change, home) for change in impact.changes if change.hazard == hazard]
    return Section(title, rows, header("resource", "change", "reaches"), folded)


def _change(change: ResourceChange, home: Home) -> str:
    subject = f"{change.action} {code(str(change.key))}<br>{home.place(change.location)}"
    told = [*map(_field, change.fields[:SHOWN])]
    if (left := len(change.fields) - SHOWN) > 0:
        told.append(f"and {counted(left, 'more field')}")
    if change.destroys:
        told.append(f"<strong>destroys {code(str(change.destroys))}</strong>")
    if change.perhaps:
        told.append(f"perhaps renamed {'to' if change.action == 'delete' else 'from'} {code(str(change.perhaps))}")
    reached = [code(str(one.key)) for one in change.dependents[:SHOWN]]
    if (left := len(change.dependents) - SHOWN) > 0:
        reached.append(f"and {left:,} more")
    return row((subject, "<br>".join(filter(None, told)) or " ", "<br>".join(reached) or "–"))


def _field(field: FieldChange) -> str:
    if not field.path:
        return prose(field.reason)
    tail = remark(field)
    values = " → ".join(map(_value, told_apart(field.before, field.after)))
    return f"{code(field.name)} {values}{f' ({prose(tail)})' if tail else ''}"


def _value(text: str | None) -> str:
    return "nothing" if text is None else code(text)


# --- who may do what


def _answer(answer: Answer) -> Section:
    """A question, with a row for those who fare alike."""
    alike: dict[tuple[ResourceKey, str, str], list[str]] = {}
    for change in answer.rows:
        now = " (connected)" if answer.connected.get(change.row) else ""
        alike.setdefault((change.row.resource, *_terms(change)), []).append(f"{change.row.principal}{now}")
    sides = [side for side in (0, 1) if any(terms[side] for _, *terms in alike)]  # nothing is told of an empty side
    rows = [
        row((_several(who), code(str(resource)), *(terms[side] or "–" for side in sides)))
        for (resource, *terms), who in alike.items()
    ]
    return Section(prose(answer.title), rows, header("who", "what", *(("before", "after")[side] for side in sides)))


def _terms(change: AccessChange) -> tuple[str, str]:
    """How it was and how it is; of what stays only what differs."""
    right = f"{prose(change.row.right)}<br>" if change.row.right.startswith(CONNECT) else ""
    if change.before and change.after:
        before = "<br>".join(f"{prose(name)} {code(old or 'none')}" for name, old, _ in change.terms)
        return f"{right}{before}", "<br>".join(f"{prose(name)} {code(new or 'none')}" for name, _, new in change.terms)
    grant = change.before or change.after
    told = right + ("<br>".join(f"{prose(name)} {code(value)}" for name, value in grant.terms) if grant else "")
    told = told.removesuffix("<br>") or "yes"
    return (told, "") if change.before else ("", told)


def _several(names: list[str]) -> str:
    more = f"<br>and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return "<br>".join(map(code, names[:SHOWN])) + more


# --- whom it reaches


def _losses(impact: Impact) -> Section:
    live = impact.live
    losses = sorted(live.losses, key=lambda loss: bool(loss.keeps)) if live else []
    title = f"Which connected hosts lose something (asked at {code(live.time)})" if live else ""
    return Section(title, [_loss(loss) for loss in losses], header("host", "on", "loses", "keeps"))


def _loss(loss: HostLoss) -> str:
    loses = [*loss.loses, *(f"nsid {nsid}" for nsid in loss.namespaces)]
    keeps = "<br>".join(map(code, loss.keeps)) if loss.keeps or not loss.loses else "<strong>nothing</strong>"
    return row((code(loss.host), code(str(loss.subsystem)), "<br>".join(map(code, loses)), keeps or "its paths"))


def _reach(impact: Impact) -> Section:
    tally = impact.tally()
    rows = [row((hazard, *_radius(radius))) for hazard, radius in impact.radius.items() if tally[hazard]]
    return Section(
        "Whom it reaches", rows, header("changes that are", "storage", "hosts", "APIs", "tenants"), folded=True
    )


def _radius(radius: Radius) -> Iterator[str]:
    parts = (
        counted(radius.devices, "device") if radius.devices else "",
        counted(radius.pools, "pool") if radius.pools else "",
        f"{counted(radius.volumes, 'volume')} ({size_of(radius)})" if radius.volumes else "",
        counted(radius.subsystems, "subsystem") if radius.subsystems else "",
    )
    yield "<br>".join(filter(None, parts)) or "–"
    yield f"{UNKNOWN} (any may connect)" if radius.hosts is None else str(radius.hosts)
    yield "<br>".join(apis(radius)) or "–"
    yield _several(list(radius.tenants)) or "–"


def _ways(impact: Impact) -> Section:
    """Why somebody is reached: the references that lead there."""
    pairs: Iterable[tuple[ResourceChange, Reached]] = chain.from_iterable(
        ((change, reached) for reached in change.dependents) for change in impact.changes
    )
    rows = [row((code(str(reached.key)), _way(reached))) for _, reached in pairs]
    return Section(f"Why ({len(rows):,})", rows, header("reached", "through"), folded=True)


def _way(reached: Reached) -> str:
    steps = zip(reached.path[:SHOWN], reached.names, strict=False)
    more = f" ← {len(reached.path) - SHOWN} more" if len(reached.path) > SHOWN else ""
    return " ← ".join(f"{code(str(step.target))} {prose(name, 120)}" for step, name in steps) + more
