"""What becomes of a change, as the first thing that a reviewer reads: why it waits, and how to let it through."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.impact.budget import Cost, Reason, Verdict
from analyzer.impact.difference import Impact
from analyzer.render.markup import code, prose
from analyzer.render.wording import shares

SHOWN = 10


def verdict(impact: Impact | None) -> Iterator[str]:
    """Why a change waits, what to do about that, and what a repository cannot tell."""
    found = impact.verdict if impact else None
    if found is None or found.outcome not in {"pass", "needs-approval"}:
        return
    yield from _bulleted(map(_reason, found.reasons))
    if found.is_held:
        yield from _way_out(found)
    elif found.costs:
        yield from (*_bulleted(_cost(cost, found) for cost in found.costs), "")
    if found.provisos:
        yield "<details>"
        yield "<summary>What could still hold it, and cannot be told from here</summary>"
        yield ""
        yield from _bulleted(map(_reason, found.provisos))
        yield ""
        yield "</details>"
        yield ""


def _way_out(found: Verdict) -> Iterator[str]:
    yield ""
    if found.approvals:
        yield "To let it through, one of:"
        yield ""
        for target, name in sorted(found.approvals.items()):
            where = f" for {code(target)}" if target else ""
            yield f"- {code(f'holdfast approve {name}')}, or the trailer {code(f'Holdfast-Approve: {name}')}{where}"
    else:
        yield (
            "Merged, the daemon carries out what is safe and holds the rest. To let that through: "
            f"{code('holdfast approve ID')}, or a commit with the trailer {code('Holdfast-Approve: ID')}, with the id "
            f"that {code('holdfast plan')} prints once it is held."
        )
    yield ""


def _bulleted(texts: Iterator[str]) -> Iterator[str]:
    listed = list(texts)
    yield from (f"- {text}" for text in listed[:SHOWN])
    if (left := len(listed) - SHOWN) > 0:
        yield f"- and {left:,} more"


def _reason(reason: Reason) -> str:
    where = f"{code(reason.target)}: " if reason.target else ""
    return f"{where}{prose(reason.message)} ({code(reason.code)})"


def _cost(cost: Cost, found: Verdict) -> str:
    where = f" on {code(cost.target)}" if cost.target else ""
    return f"Within the budget of {prose(found.budget.window)}{where}: {', '.join(shares(cost, found.budget))}"
