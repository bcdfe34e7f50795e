"""What a reviewer reads below a pull request: the verdict first, then what is destroyed, then the rest. Markdown.

It stays within what GitHub takes (65,536 characters of a comment, 1 MiB of a job summary), and says what it left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.check import Check
from analyzer.impact.difference import Impact
from analyzer.render import told_changes, told_findings
from analyzer.render.home import Home
from analyzer.render.markup import code
from analyzer.render.sections import Section, fit
from analyzer.render.verdicts import verdict
from schemas.quantity import counted, told_bytes
from schemas.resources import OUR_GROUP, UNKNOWN

COMMENT = 65_536
SUMMARY = 1_048_576

_SIGNS = {"passes": "✅", "needs-approval": "✋", "blocked": "⛔", "unknown": "❓"}
_EFFECTS = (
    ("data-loss", "destroys data"),
    ("disruptive", "disturbs its users"),
    ("refused", "asks for what is never done"),
    ("safe", "every change is safe"),
)  # the worst first


def render(check: Check, home: Home | None = None, budget: int = COMMENT) -> str:
    """The report of a check, in at most so many bytes."""
    place = replace(home or Home(), root=check.report.root)
    sections = [section for section in _sections(check, place) if section.rows]
    return fit("\n".join(_lead(check, place)), sections, _foot(check, place), budget, place.whole)


def headline(check: Check) -> str:
    """The verdict in one line."""
    if check.report.policy_is_broken:
        return "blocked, the policy .holdfast.yaml is broken"
    if check.failing:
        return f"blocked by {_blame(check)}"
    if check.outcome == "unknown":
        return "cannot say what this change does"
    return f"{check.outcome.replace('-', ' ')}{_effect(check.impact)}"


def _blame(check: Check) -> str:
    count, new = len(check.failing), len(set(check.failing) & set(check.new))
    if check.before is None or count > 1:
        brought = f", {new or 'none'} of them new" if check.before else ""
        return f"{counted(count, 'finding')}{brought}"
    return "1 new finding" if new else "1 finding that was there before"


def _effect(impact: Impact | None) -> str:
    if impact is None:
        return ""
    found = {change.hazard for change in impact.changes}
    effect = next((words for hazard, words in _EFFECTS if hazard in found), "")
    return f", and {effect}" if effect else ", nothing changes"


def _lead(check: Check, home: Home) -> Iterator[str]:
    yield f"### {_SIGNS[check.outcome]} Holdfast: {headline(check)}"
    yield ""
    yield from _numbers(check, home)
    yield ""
    if not check.failing:
        yield from verdict(check.impact)
    elif check.impact and check.impact.changes:
        yield "As long as that is so, the daemon carries out nothing of the changes below."
        yield ""


def _numbers(check: Check, home: Home) -> Iterator[str]:
    impact, counts = check.impact, check.report.counts
    scope = f"{code(check.report.root)} " if check.report.root else ""
    base, head = code(home.base[:12]), code((home.head or check.report.revision)[:12])
    compared = f"{base} → {head}: " if home.base else f"{head}: " if home.head or check.report.revision else ""
    yield f"{scope}{compared}{counted(counts.resources, 'resource')} in {counted(counts.files, 'file')}"
    if impact and not impact.unreadable:
        changes = [f"{count:,} {hazard}" for hazard, count in impact.tally().items() if count]
        yield f"<br>Changes: {', '.join(changes) or 'none'}"
    if impact and impact.live:
        hosts = UNKNOWN if impact.live.connected is None else counted(impact.live.connected, "host")
        size = UNKNOWN if impact.live.bytes_in_use is None else told_bytes(impact.live.bytes_in_use)
        yield f"<br>Connected at {code(impact.live.time)}: {hosts}; bytes in use: {size}"
    if check.before:
        yield f"<br>Findings: {len(check.new):,} new, {len(check.known):,} known before, {len(check.fixed):,} fixed"


def _sections(check: Check, home: Home) -> Iterator[Section]:
    compared = check.impact if check.impact and not check.impact.unreadable else None
    if check.impact:
        yield told_changes.unreadable(check.impact, home)
    yield told_findings.blocking(check, home)
    if compared:
        yield from told_changes.grave(compared, home)
    yield from told_findings.others(check, home)
    if compared:
        yield from told_changes.harmless(compared, home)


def _foot(check: Check, home: Home) -> str:
    impact = check.impact
    stored = impact is not None and any(change.key.group == OUR_GROUP for change in impact.changes)
    unasked = impact is not None and impact.live is None and stored
    known = "Bytes in use and connected hosts: unknown (nobody was asked)." if unasked else ""
    whole = f"All of it is in {home.whole}." if home.whole else ""
    return f"<sub>{' '.join(filter(None, (known, whole)))}</sub>\n" if known or whole else ""
