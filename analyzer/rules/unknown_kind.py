from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit
from schemas.kinds import kinds, our_kinds
from schemas.resources import CORE, OUR_GROUP, qualified
from schemas.validation import did_you_mean, quoted

ADVICE = "bring its CustomResourceDefinition (docs/kinds.md), or add the path to `ignore` in .holdfast.yaml"


def check(file: File) -> Iterator[Hit]:
    for declaration in file.declarations:
        if declaration.kind is None and declaration.api_version:
            yield _ours(declaration) if declaration.ours else _foreign(declaration)


def _ours(declaration: Declaration) -> Hit:
    name = declaration.kind_name
    if name in our_kinds():
        version = our_kinds()[name].api_version
        message = f"{name} has no apiVersion {quoted(declaration.api_version)}; it is {quoted(version)}"
        return _hit(declaration, "apiVersion", message, f"write {version}", Severity.ERROR)
    message = f"{OUR_GROUP} has no kind {quoted(name)}{did_you_mean(name, our_kinds())}"
    return _hit(declaration, "kind", message, "`holdfast explain` lists the kinds", Severity.ERROR)


def _foreign(declaration: Declaration) -> Hit:
    api_version, name = declaration.api_version, declaration.kind_name
    group = api_version.rpartition("/")[0]
    if known := kinds().versions_of(qualified(group, name)):
        message = f"{name} has no apiVersion {quoted(api_version)} that is known here; {_listed(known)}"
        return _hit(declaration, "apiVersion", message, "write one of these, or bring the definition of that version")
    near = _near(group, name)
    message = f"{api_version} {name} is not known here; {near or 'nothing of it is checked'}"
    return _hit(declaration, "kind", message, ADVICE)


@functools.cache
def _near(group: str, name: str) -> str:
    """What was meant most likely: a kind of that group, or that kind of a group spelt nearly so."""
    names = [other.rpartition("/") for other in kinds().names if "/" in other]
    same_group = [kind for other, _, kind in names if other == (group or CORE)]
    same_kind = [other for other, _, kind in names if kind == name]
    return (did_you_mean(name, same_group) or did_you_mean(group, same_kind)).removeprefix("; ")


def _listed(versions: Sequence[str]) -> str:
    return f"{versions[0]} is" if len(versions) == 1 else f"{', '.join(versions[:-1])} and {versions[-1]} are"


def _hit(declaration: Declaration, field: str, message: str, advice: str, severity: Severity | None = None) -> Hit:
    return Hit(
        declaration.position_of((field,)), message, declaration.subject, (field,), help=advice, severity=severity
    )


RULE = FileRule("unknown-kind", Severity.WARNING, check, odd=True)
