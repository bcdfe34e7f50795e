"""A pull request for people at a terminal: its findings, what it does, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

from analyzer.check import Check
from analyzer.render import impact, text
from analyzer.render.text import COLOURS, WIDTH, Style
from schemas.quantity import counted

_COLOURS = {"passes": "safe", "needs-approval": "warning", "blocked": "error", "unknown": "warning"}


def render(check: Check, *, colour: bool = False, width: int = WIDTH) -> str:
    """First what is wrong, then what changes; the last line says how it ends."""
    style = Style(colour, width)
    parts = [text.render(check.report, colour=colour, width=width)]
    if check.impact:
        # Why the head would be rejected stands above, with the lines themselves.
        parts.append(impact.render(replace(check.impact, rejected=()), colour=colour, width=width))
    lead = f"{check.outcome.replace('-', ' ')}: "
    parts.append("\n".join(style.labelled(lead, COLOURS[_COLOURS[check.outcome]], _summary(check), "  ")) + "\n")
    return "\n".join(parts)


def _summary(check: Check) -> str:
    if check.report.policy_is_broken:
        return "the policy is broken"
    counts = f"{len(check.new)} new, {len(check.known)} known before, {len(check.fixed)} fixed"
    found = f" ({counts})" if check.before else ""
    failing = f"{counted(len(check.failing), 'finding')} at {check.fail_on} or above"
    return f"{failing}{found}"
