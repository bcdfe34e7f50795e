from __future__ import annotations

from collections.abc import Iterator

from analyzer.authority.history import Act, Commit, History
from analyzer.authority.rights import may, may_everything, whose
from analyzer.finding import Note, Severity
from analyzer.rule import Case, CaseRule, Hit
from schemas.resources import OUR_GROUP


def check(case: Case) -> Iterator[Hit]:
    if case.history and case.history.policies:
        for commit in case.history.commits:
            if commit.signer:
                yield from _judge(case, case.history, commit)


def _judge(case: Case, history: History, commit: Commit) -> Iterator[Hit]:
    who = whose(commit.signer, history.policies)
    for act in commit.acts:
        if not may(commit.signer, act, history.policies):
            yield _hit(case, commit, act, who)
    if commit.opaque and not may_everything(commit.signer, history.policies):
        yield _opaque(commit, who)


def _hit(case: Case, commit: Commit, act: Act, who: str) -> Hit:
    manifest = case.graph.get(act.key)
    where = manifest.position_of(("metadata", "name")) if manifest else act.location
    place = f" in namespace {act.key.namespace}" if act.key.namespace else ""
    message = f"{who} may not do this: {commit.name} {act.words}"
    wanted = f"{act.action} of {act.key.kind_name}{place}"
    advice = f"have somebody sign it whom an AccessPolicy allows {wanted}, or have the right granted first"
    return Hit(where, message, act.key if manifest and act.key.group == OUR_GROUP else None, help=advice)


def _opaque(commit: Commit, who: str) -> Hit:
    location, because = commit.opaque[0]
    message = f"what {commit.name} changes cannot be made out ({because}), and {who} may not change everything"
    advice = "squash it with the commit that mends it, so that no revision between is broken"
    notes: tuple[Note, ...] = commit.opaque[1:]
    return Hit(location, message, related=notes, help=advice)


RULE = CaseRule("access-denied", Severity.ERROR, check, fixed=True)
