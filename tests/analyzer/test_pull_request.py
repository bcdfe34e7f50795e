"""What a reviewer reads below a pull request."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from analyzer.check import Check
from analyzer.impact.assess import assess
from analyzer.impact.usage import Path, Rehearsal, Usage
from analyzer.render.home import Home
from analyzer.render.pull_request import COMMENT, render
from analyzer.render.sections import size
from analyzer.report import Report
from schemas.resources import ResourceKey

Lint = Callable[..., Report]
House = dict[str, str]

DOOMED = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: scratch, namespace: team-a}
spec: {poolRef: fast, size: 1Gi, reclaimPolicy: Delete}
"""
REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata: {name: scratch, namespace: team-a}
spec:
  ref: {kind: Volume, name: scratch}
  uid: a4074450-b6aa-48e8-819c-23987a12684c
  reason: it was an experiment
  expires: 2026-07-01
"""
STRAY = DOOMED.replace("poolRef: fast", "poolRef: nowhere")


@pytest.fixture
def check(lint: Lint) -> Callable[[House, House], Check]:
    """Files before and after → Check."""

    def judge(before: House, after: House, usage: Usage | None = None) -> Check:
        base, head = lint(before), lint(after, base=before)
        found = Check(head, head.config.fail_on, base)
        return Check(head, head.config.fail_on, base, assess(base, head, usage, found.failing))

    return judge


def headings(told: str) -> list[str]:
    """The titles of sections, in order."""
    return re.findall(r"^(?:#### |<summary>)(.*?)(?:</summary>)?$", told, re.MULTILINE)


def test_destroy_first(check: Callable[..., Check], house: House) -> None:
    """Guards the order: the verdict and what to do about it, then what is destroyed, then who loses what."""
    after = {name: text for name, text in house.items() if name != "host.yaml"} | {"removal.yaml": REMOVAL}
    after["db.yaml"] = house["db.yaml"].replace("refs: [web-1]", "refs: []")
    told = render(check(house | {"scratch.yaml": DOOMED}, after))
    first = told.splitlines()[0]
    assert first == "### ✋ Holdfast: needs approval, and destroys data"
    assert told.index("BudgetExceeded") < told.index("Holdfast-Approve") < told.index("#### What is destroyed")
    found = headings(told)
    assert (
        found.index("What is destroyed") < found.index("Which hosts lose a volume") < found.index("What is disturbed")
    )
    assert "<strong>destroys <code>Volume team-a/scratch</code></strong>" in told


def test_who_is_connected_and_what_to_approve(check: Callable[..., Check], house: House) -> None:
    """Guards what a daemon that was asked knows: who loses what now, and the very id that lets it through."""
    nqn = "nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0051-4d10-8052-b7c04f4d3432"
    path = Path("node-1", "TCP:10.0.0.11:4420")
    held = Rehearsal("head", (("node-1", "HostsConnected", "web-1 loses all"),), {"node-1": "A-" + "1" * 32})
    db = ResourceKey("Subsystem", "team-a", "db")
    asked = Usage(
        "2026-06-01T09:00:00Z", {db: {nqn: (path,)}}, {ResourceKey("Volume", "team-a", "db"): 1 << 30}, {}, held
    )
    told = render(check(house, house | {"db.yaml": house["db.yaml"].replace("refs: [web-1]", "refs: []")}, asked))
    assert told.startswith("### ✋ Holdfast: needs approval")
    assert f"<code>Holdfast-Approve: A-{'1' * 32}</code>" in told
    assert "Connected at <code>2026-06-01T09&#58;00&#58;00Z</code>: 1 host; bytes in use: 1Gi" in told
    assert "nobody was asked" not in told
    assert "<code>host web-1 (connected)</code>" in told
    assert "<strong>nothing</strong>" in told


def test_what_blocks_it(check: Callable[..., Check], house: House) -> None:
    """Guards a blocked change: what blocks it comes first, and nothing says that it needs approval."""
    told = render(check(house, house | {"scratch.yaml": STRAY}))
    assert told.startswith("### ⛔ Holdfast: blocked by 1 new finding\n")
    assert headings(told)[0] == "What blocks it"
    assert "Holdfast-Approve" not in told


def test_new_known_and_fixed(check: Callable[..., Check], house: House) -> None:
    """Guards the three kinds of findings: what was there before, and what is mended, is folded and counted."""
    loose = DOOMED.replace("scratch", "loose")
    stray, third = STRAY.replace("scratch", "stray"), STRAY.replace("scratch", "third")
    told = render(check(house | {"s.yaml": DOOMED, "t.yaml": stray}, house | {"s.yaml": DOOMED, "l.yaml": loose}))
    found = headings(told)
    assert {"Remarks (1)", "Findings from before (1)"} <= set(found)
    told = render(check(house | {"t.yaml": stray, "u.yaml": third}, house | {"t.yaml": stray}))
    assert told.startswith("### ⛔ Holdfast: blocked by 2 findings, 1 of them new\n")
    assert "Fixed (2)" in headings(told)


def test_nothing_changes(check: Callable[..., Check], house: House) -> None:
    """Guards the clean case: a verdict, what was looked at, and no empty sections."""
    told = render(check(house, house | {"notes.yaml": ""}))
    assert told.startswith("### ✅ Holdfast: passes, nothing changes\n")
    assert "Changes: none" in told
    assert headings(told) == []


def test_a_side_that_cannot_be_read(check: Callable[..., Check], house: House) -> None:
    """Guards honesty: what could not be read is named, and nothing is shown as destroyed or lost."""
    told = render(check(house | {"disk.yaml": "a: ["}, house))
    assert told.startswith("### ❓ Holdfast: cannot say what this change does\n")
    assert "What cannot be made out, so that nothing can be compared" in headings(told)
    assert {"What is destroyed", "What is disturbed"}.isdisjoint(headings(told))


def test_places_lead_to_their_lines(check: Callable[..., Check], house: House) -> None:
    """Guards links: a place of the head leads to the head, one that is gone to the base, each at its line."""
    home = Home("https://github.example.com/o/r", base="b" * 40, head="h" * 40)
    told = render(
        check(house | {"s/a b.yaml": DOOMED}, house | {"stray.yaml": STRAY.replace("scratch", "other")}), home
    )
    assert f"](https://github.example.com/o/r/blob/{'h' * 40}/stray.yaml#L4)" in told
    assert "](https://github.example.com/o/r/blob/base/s/a%20b.yaml#L3)" in told


@pytest.mark.parametrize("count", [1, 50, 5000])
def test_it_fits(check: Callable[..., Check], house: House, count: int) -> None:
    """Guards the size of a comment: of many findings it tells as many as there is room for, and how many are left."""
    many = "---\n".join(STRAY.replace("scratch", f"{'long-' * 10}{number}") for number in range(count))
    told = render(check(house, house | {"many.yaml": many}), Home(whole="the summary"))
    assert size(told) <= COMMENT
    shown = told.count("🔴 error")
    assert shown == count or f"… and {count - shown:,} more: see the summary." in told
    assert shown >= min(count, 100)


def test_hostile_names(check: Callable[..., Check], house: House) -> None:
    """Guards reviewers: labels and values of manifests become neither markup nor tables, links or mentions."""
    evil = "@octocat|</td>[x](http://e.example)`<img src=x onerror=y>`\u202e"
    labelled = DOOMED.replace("namespace: team-a", f"namespace: team-a, annotations: {{note: '{evil}'}}")
    told = render(check(house | {"s.yaml": DOOMED}, house | {"s.yaml": labelled}))
    html = MarkdownIt("commonmark").enable(["table"]).render(told)
    tags = set(re.findall(r"</?([a-z0-9]+)", html))
    known = {"h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "details", "summary", "sub"}
    assert tags <= known | {"ul", "li", "strong"}
    assert "onerror=y" in html
    assert "\u202e" not in told
