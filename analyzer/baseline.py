"""Findings that were there before: a multiset of fingerprints, so that each one more is one more.

The file has a line for each, for people to read in a review; only fingerprints and counts are compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from analyzer.composer import Place
from analyzer.document import parse
from analyzer.finding import Finding, Location
from schemas.resources import Json

MOST = 1_000_000  # of one fingerprint
VERSION = "holdfast.dev/baseline/v1"


@dataclass(frozen=True, slots=True)
class Known:
    """How often a finding is known, and what it is, for people."""

    count: int
    rule: str = ""
    about: str = ""

    def to_json(self) -> dict[str, Json]:
        return {"count": self.count, "rule": self.rule, "about": self.about}


Baseline: TypeAlias = Mapping[str, Known]  # by fingerprint
Divided: TypeAlias = tuple[tuple[Finding, ...], tuple[Finding, ...]]


def baseline_of(findings: Iterable[Finding]) -> str:
    """The file that makes these findings known. Those that nobody may make less of are left out."""
    listed = sorted((finding for finding in findings if not finding.fixed), key=_line_order)
    counts = Counter(finding.fingerprint for finding in listed)
    lines = {finding.fingerprint: _entry(finding, counts[finding.fingerprint]) for finding in listed}
    body = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in lines.values())
    opening = f'{{\n  "version": "{VERSION}",\n  "findings": ['
    return f"{opening}\n{body}\n  ]\n}}\n" if lines else f"{opening}]\n}}\n"


def read_baseline(data: bytes, path: str) -> tuple[Baseline, tuple[tuple[Location, str], ...]]:
    """What a file makes known; of a broken one nothing, and the problems say why."""
    parsed = parse(data)
    if parsed.defects:
        return {}, ((parsed.source.at(path, parsed.defects[0].place), parsed.defects[0].message),)
    value = parsed.documents[0].value if len(parsed.documents) == 1 else None
    listed = value.get("findings") if isinstance(value, dict) and value.get("version") == VERSION else None
    if not isinstance(listed, list):
        return {}, (
            (parsed.source.at(path, Place(1, 1)), f"not a baseline: it has no version {VERSION} with findings"),
        )
    found: dict[str, Known] = {}
    for index, entry in enumerate(listed):
        read = _read(entry)
        if read is None:
            place = parsed.documents[0].place(("findings", index))
            return {}, ((parsed.source.at(path, place), "an entry needs a fingerprint and a count"),)
        fingerprint, known = read
        found[fingerprint] = _more(known, found.get(fingerprint))
    return found, ()


def _more(known: Known, before: Known | None) -> Known:
    return replace(known, count=known.count + before.count) if before else known


def divide(findings: Iterable[Finding], baseline: Baseline) -> Divided:
    """Those that are new, and those that the baseline knows; of several alike the last are the new ones."""
    counts = {fingerprint: known.count for fingerprint, known in baseline.items()}
    return _divide(findings, counts, lambda finding: "" if finding.fixed else finding.fingerprint)


def resolved(baseline: Baseline, findings: Iterable[Finding]) -> tuple[Known, ...]:
    """What the baseline knows more than is found."""
    here = Counter(map(_fingerprint, findings))
    left = (replace(known, count=known.count - here[fingerprint]) for fingerprint, known in baseline.items())
    return tuple(known for known in left if known.count > 0)


def since(findings: Iterable[Finding], before: Iterable[Finding]) -> Divided:
    """Those that a change brought or touched, and those that were there before and say the same still."""
    return _divide(findings, Counter(map(said, before)), said)


def gone(before: Iterable[Finding], findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those of before that are no more, also not in another size."""
    return _divide(before, Counter(map(_fingerprint, findings)), _fingerprint)[0]


def _fingerprint(finding: Finding) -> str:
    return finding.fingerprint


def said(finding: Finding) -> tuple[str, str]:
    """What a finding says, wherever it stands: the amounts in it count, guesses at what was meant do not."""
    return finding.fingerprint, finding.subject()


def _divide(
    findings: Iterable[Finding],
    known: Mapping[Any, int],
    identity: Callable[[Finding], Hashable],
) -> Divided:
    left = Counter(dict(known))
    new, old = list[Finding](), list[Finding]()
    for finding in findings:
        here = identity(finding)
        left[here] -= 1
        (old if left[here] >= 0 else new).append(finding)
    return tuple(new), tuple(old)


def _line_order(finding: Finding) -> tuple[str, str, str]:
    """By what does not move, so that the file changes only where findings do."""
    return finding.rule, str(finding.resource or ""), finding.fingerprint


def _entry(finding: Finding, count: int) -> dict[str, Json]:
    about = "".join(c if c.isprintable() else "\ufffd" for c in str(finding.resource or finding.location.path))
    return {"fingerprint": finding.fingerprint, "count": count, "rule": finding.rule, "about": about}


def _read(entry: Json) -> tuple[str, Known] | None:
    if not isinstance(entry, dict):
        return None
    fingerprint, count = entry.get("fingerprint"), entry.get("count")
    rule, about = (str(entry.get(name, "")) for name in ("rule", "about"))
    if not isinstance(fingerprint, str) or not isinstance(count, int) or isinstance(count, bool):
        return None
    return (fingerprint, Known(count, rule, about)) if 0 < count <= MOST else None
