"""SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

GitHub refuses a file of more than 25,000 results or 10 MB compressed, so the mildest are left out before that, and the
run says how many. It knows an alert again by `primaryLocationLineHash`, which is our fingerprint and a number among
its likes: lines and files may move.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, TypeAlias

from analyzer.finding import Finding, Location, Severity
from analyzer.render.places import HOME, page_of, path_of, uri_of, well_formed, where
from analyzer.render.suggestion import suggestion
from analyzer.report import WORDS, Aside, Report
from analyzer.rule import Rule
from analyzer.rules import RULES

MAX_RESULTS = 25_000
MAX_COMPRESSED = 10_000_000  # bytes
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"

Result: TypeAlias = "tuple[Finding, Aside | None]"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
_CODE = re.compile(r"`([^`\n]*)`")


def render(report: Report, *, aside: bool = False, results: int = MAX_RESULTS, size: int = MAX_COMPRESSED) -> str:
    """One run; with fewer results when it would be too large.

    With `aside` also findings that do not count, as suppressed ones: GitHub shows those like all others.
    """
    everything = [*((f, None) for f in report.findings), *((one.finding, one) for one in report.aside if aside)]
    found = everything if len(everything) <= results else sorted(everything, key=_weight)[:results]
    text = json.dumps(_log(report, found, len(everything) - len(found)), indent=1, sort_keys=True) + "\n"
    if len(found) > 1 and len(gzip.compress(text.encode(), mtime=0)) > size:
        return render(report, aside=aside, results=len(found) // 2, size=size)
    return text


def _weight(result: Result) -> tuple[bool, int, int]:
    """What counts first, by severity, sure ones before others."""
    finding, aside = result
    return aside is not None, -finding.severity, -finding.confidence


def _log(report: Report, found: Sequence[Result], left_out: int) -> dict[str, Any]:
    numbers = {rule.id: number for number, rule in enumerate(RULES)}
    run = {
        "tool": {"driver": _driver(report)},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "automationDetails": {"id": "holdfast/lint/"},
        "invocations": [{"executionSuccessful": True, **_left_out(left_out)}],
        "results": list(_results(report, found, numbers)),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _left_out(count: int) -> dict[str, Any]:
    if not count:
        return {}
    text = f"{count} milder findings are left out, for code scanning takes no larger file."
    return {"toolExecutionNotifications": [{"level": "warning", "message": {"text": text}}]}


def _driver(report: Report) -> dict[str, Any]:
    version = metadata.version("holdfast")
    return {
        "name": "holdfast",
        "version": version,
        "semanticVersion": version,
        "informationUri": HOME,
        "rules": [
            {**_descriptor(rule), **_level(report.config.severities.get(rule.id, rule.severity))} for rule in RULES
        ],
    }


@functools.cache
def _descriptor(rule: Rule) -> dict[str, Any]:
    why = _section(rule.page, "Why it matters")
    return {
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": _plain(rule.summary)},
        "fullDescription": {"text": _plain(why)},
        "help": {"text": _plain(f"{rule.summary} {why}"), "markdown": rule.page},
        "helpUri": page_of(rule.id),
    }


def _level(severity: Severity) -> dict[str, Any]:
    return {
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"problem.severity": _PROBLEM[severity], "precision": "high", "tags": ["gitops", "manifests"]},
    }


def _section(page: str, heading: str) -> str:
    return " ".join(page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].split())


def _plain(text: str) -> str:
    return _CODE.sub(r"\1", text)


def _results(report: Report, found: Sequence[Result], numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for finding, aside in found:
        fingerprint = finding.fingerprint
        seen[fingerprint] += 1
        yield (
            _result(report, finding, numbers)
            | _suppressed(report, aside)
            | {
                "partialFingerprints": {
                    "holdfast/v1": fingerprint,
                    "primaryLocationLineHash": f"{fingerprint[:16]}:{seen[fingerprint]}",
                }
            }
        )


def _result(report: Report, finding: Finding, numbers: Mapping[str, int]) -> dict[str, Any]:
    said = "\n".join(filter(None, (finding.message, finding.help)))
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": numbers[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": _message(said + where(finding.location)),
        "locations": [_location(report, finding.location) | _logical(finding)],
        "properties": {"confidence": str(finding.confidence)},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_noted(report, place, note)} for number, (place, note) in enumerate(finding.related, 1)
        ]
    if finding.way:
        result["codeFlows"] = [_flow(report, finding)]
    return result | _fixes(report, finding)


def _suppressed(report: Report, aside: Aside | None) -> dict[str, Any]:
    """Why a result does not count."""
    if aside is None:
        return {}
    if aside.by in ("baseline", "base"):
        return {"baselineState": "unchanged", "suppressions": [_suppression(report, aside)]}
    return {"suppressions": [_suppression(report, aside)]}


def _suppression(report: Report, aside: Aside) -> dict[str, Any]:
    until = f"until {aside.until}" if aside.until else ""
    said = well_formed(", ".join(filter(None, (WORDS[aside.by], aside.reason, until))))
    kind = "inSource" if aside.by == "comment" else "external"
    where = {"location": _location(report, aside.location)} if aside.location else {}
    return {"kind": kind, "status": "accepted", "justification": said, **where}


def _message(text: str) -> dict[str, str]:
    return {"text": well_formed(text)}


def _location(report: Report, place: Location) -> dict[str, Any]:
    path = path_of(report, place)
    base = {} if path.startswith("/") else {"uriBaseId": ROOT}
    region: dict[str, Any] = {"startLine": place.line, "startColumn": place.column}
    if place.text:
        region["snippet"] = _message(place.text)
    return {"physicalLocation": {"artifactLocation": {"uri": uri_of(path), **base}, "region": region}}


def _logical(finding: Finding) -> dict[str, Any]:
    if finding.resource is None:
        return {}
    name = "/".join((str(finding.resource), *map(str, finding.path)))
    return {"logicalLocations": [{"fullyQualifiedName": well_formed(name), "kind": "resource"}]}


def _noted(report: Report, place: Location, note: str) -> dict[str, Any]:
    return {**_location(report, place), "message": _message(note + where(place))}


def _flow(report: Report, finding: Finding) -> dict[str, Any]:
    """The way from the finding's own place through the related ones."""
    steps = ((finding.location, finding.message), *finding.related)
    return {"threadFlows": [{"locations": [{"location": _noted(report, place, note)} for place, note in steps]}]}


def _fixes(report: Report, finding: Finding) -> dict[str, Any]:
    found = suggestion(finding)
    if found is None:
        return {}
    line = finding.location.line
    region = {"startLine": line, "startColumn": found.start, "endLine": line, "endColumn": found.end}
    replacement = {"deletedRegion": region, "insertedContent": _message(found.text)}
    artifact = _location(report, finding.location)["physicalLocation"]["artifactLocation"]
    change = {"artifactLocation": artifact, "replacements": [replacement]}
    return {"fixes": [{"description": _message(f'write "{found.text}"'), "artifactChanges": [change]}]}
