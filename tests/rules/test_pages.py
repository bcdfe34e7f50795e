"""The pages of the rules are their tests: what a page calls bad gives that rule's findings and no others, what it calls
good gives none, and the output it shows is the analyzer's own.

`HOLDFAST_WRITE_PAGES=1 pytest tests/rules` puts the current output on the pages.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from analyzer.analyze import analyze
from analyzer.authority.acts import State, acts_of
from analyzer.authority.history import Commit, History
from analyzer.document import parse
from analyzer.finding import Severity
from analyzer.graph import ResourceGraph
from analyzer.manifest import Manifest, decode
from analyzer.render import text
from analyzer.report import Report
from analyzer.rule import PAGES, Rule
from analyzer.rules import RULES
from analyzer.snapshot import Blob, Snapshot, blob_id, from_directory
from schemas.kinds import kinds
from schemas.resources import ResourceKey

HEADINGS = ["What it finds", "Why it matters", "Bad", "Good", "Options", "Severity"]
AS_OF = date(2026, 6, 1)
REMARKS = {
    "budget-exceeded",
    "disruptive-change",
}  # said of many a good change, also where a page is about something else
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

by_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])


def section(rule: Rule, heading: str) -> str:
    _, _, rest = rule.page.partition(f"\n## {heading}\n")
    return rest.partition("\n## ")[0]


def read(folder: Path, body: str, side: str) -> Snapshot:
    """The files that the fences of a section describe; those marked `base` are the revision before."""
    folder.mkdir()
    for language, name, content in FENCE.findall(body):
        if language == "sh":
            _, _, target, link = content.split()
            (folder / link).symlink_to(target)
        elif language == "yaml" and (side == "base") == (name == "base"):
            file = folder / (name if name not in ("", "base") else "manifests.yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    return replace(from_directory(folder), root="", revision=side)


def surrounded(snapshot: Snapshot) -> Snapshot:
    """With the schemas' own examples for everything that is referred to and not declared."""
    graph = analyze(snapshot, as_of=AS_OF).graph
    missing = {r.target for references in graph.outgoing.values() for r in references} - graph.manifests.keys()
    known = {key: blob for key, blob in examples() if key in missing and blob.path not in snapshot.blobs}
    if not known:
        return snapshot
    blobs = {**snapshot.blobs, **{blob.path: blob for blob in known.values()}}
    return surrounded(replace(snapshot, blobs=blobs))


def examples() -> Iterator[tuple[ResourceKey, Blob]]:
    for kind in kinds().values():
        data = json.dumps(kind.example).encode()
        found = decode(parse(data).documents[0], "")
        if not isinstance(found, Manifest) or kinds().called(kind.qualified) is not kind:
            continue  # nobody refers to a kustomization, nor to an older version
        yield found.key, Blob(f"example/{kind.qualified}.yaml", blob_id(data), data)


def judge(folder: Path, rule: Rule, heading: str) -> Report:
    body = section(rule, heading)
    base = surrounded(read(folder / "base", body, "base")) if "```yaml base" in body else None
    head = surrounded(read(folder / "head", body, "head"))
    if base is None:
        return analyze(head, as_of=AS_OF)
    before = analyze(base, as_of=AS_OF)
    found = analyze(head, as_of=AS_OF, base=before, history=told(body, before.graph, analyze(head, as_of=AS_OF).graph))
    return replace(found, findings=tuple(f for f in found.findings if f.rule == rule.id or f.rule not in REMARKS))


def told(body: str, base: ResourceGraph, head: ResourceGraph) -> History | None:
    """The commit that a fence of `git` tells of: all that changes, and who signed it."""
    for language, _, line in FENCE.findall(body):
        if language == "git" and line.startswith("head "):
            return History((), base.of_kind("AccessPolicy"), line.strip())
        if language == "git":
            commit, good, signer, subject = line.strip().split(" ", 3)
            acts = acts_of(State({"": head}), [State({"": base})], None, commit)
            signed = {"signer": signer} if good == "G" else {"unverified": "it is not signed"}
            return History((Commit(commit, subject, acts, **signed),), base.of_kind("AccessPolicy"))
    return None


def shown(report: Report) -> str:
    """The findings as `holdfast lint` prints them, without the line that sums up."""
    return text.render(report).rpartition("\n\n")[0] + "\n"


@by_rule
def test_headings(rule: Rule) -> None:
    """Every page answers the same questions in the same order."""
    assert re.findall(r"^## (.*)$", rule.page, re.MULTILINE) == HEADINGS
    assert rule.page.startswith(f"# {rule.id}\n")


@by_rule
def test_pages_fit_a_terminal(rule: Rule) -> None:
    """`holdfast explain` prints a page as it is, so no line is wider than 80 columns."""
    assert [line for line in rule.page.splitlines() if len(line) > text.WIDTH] == []


@by_rule
def test_bad(rule: Rule, tmp_path: Path) -> None:
    """What a page calls bad gives findings of that rule and of no other, as the page shows them."""
    report = judge(tmp_path, rule, "Bad")
    assert {finding.rule for finding in report.findings} == {rule.id}
    if os.environ.get("HOLDFAST_WRITE_PAGES"):
        write_output(rule, shown(report))
    [output] = [content for language, _, content in FENCE.findall(section(rule, "Bad")) if language == "text"]
    assert output == shown(report)


@by_rule
def test_good(rule: Rule, tmp_path: Path) -> None:
    """What a page calls good gives no findings at all."""
    report = judge(tmp_path, rule, "Good")
    assert report.counts.resources or report.config.settings
    assert [str(finding.location) for finding in report.findings] == []


@by_rule
def test_severity_is_the_rules_own(rule: Rule) -> None:
    """The page names the severity, and says so where it cannot be lowered."""
    severity = section(rule, "Severity").strip()
    assert severity.startswith(f"`{Severity(rule.severity)}`") or rule.id == "unknown-kind"
    assert ("always" in severity) == rule.fixed


def test_every_rule_has_its_module_and_page() -> None:
    """No page without a rule, no rule outside the list, and file names that follow from the id."""
    ids = {rule.id for rule in RULES}
    assert len(ids) == len(RULES)
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == ids
    assert {module.stem.replace("_", "-") for module in PAGES.glob("*.py")} - {"--init--"} == ids


def write_output(rule: Rule, output: str) -> None:
    page = PAGES / f"{rule.id}.md"
    page.write_text(
        re.sub(
            r"^```text\n.*?^```$", lambda _: f"```text\n{output}```", rule.page, count=1, flags=re.MULTILINE | re.DOTALL
        )
    )
