from __future__ import annotations

from collections.abc import Iterator

from analyzer.authority.history import Commit
from analyzer.finding import Note, Severity
from analyzer.rule import Case, CaseRule, Hit
from schemas.resources import OUR_GROUP

SHOWN = 5  # changes that a finding names
ADVICE = "sign it with a key that an AccessPolicy names: git commit --amend -S, then push again"


def check(case: Case) -> Iterator[Hit]:
    if case.history and case.history.policies:
        for commit in case.history.commits:
            if (commit.acts or commit.opaque) and not commit.signer:
                yield _hit(case, commit)


def _hit(case: Case, commit: Commit) -> Hit:
    places: list[Note] = [(act.location, act.words) for act in commit.acts] or [*commit.opaque]
    first = commit.acts[0] if commit.acts else None
    manifest = case.graph.get(first.key) if first else None
    location = manifest.position_of(("metadata", "name")) if manifest else places[0][0]
    message = f"{commit.name} changes {_count(len(commit.acts))}, and {commit.unverified}"
    subject = first.key if first and manifest and first.key.group == OUR_GROUP else None
    return Hit(location, message, subject, related=tuple(places[:SHOWN]), help=ADVICE)


def _count(number: int) -> str:
    return {0: "what cannot be made out", 1: "one thing"}.get(number, f"{number} things")


RULE = CaseRule("unsigned-change", Severity.ERROR, check, fixed=True)
