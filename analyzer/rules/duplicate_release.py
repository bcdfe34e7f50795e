from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import Reference
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

VERSION = "hub.traefik.io/APIVersion"
RELEASE = ("spec", "release")


def check(case: Case, api: Manifest) -> Iterator[Hit]:
    first: dict[str, Manifest] = {}
    for reference, version in _versions(case, api):
        release = version.resource.spec.get("release")
        if not isinstance(release, str):
            continue
        other = first.setdefault(release.removeprefix("v"), version)
        if other is not version:
            message = f"{version.key} is release {release} of {api.key}, and so is {other.key}"
            notes = [(each.position_of(RELEASE), f"release of {each.key}") for each in (other, version)]
            yield hit(api, reference.path, message, "give each version of an API a release of its own", *notes)


def _versions(case: Case, api: Manifest) -> Iterator[tuple[Reference, Manifest]]:
    for reference in case.graph.references(api.key):
        version = case.graph.get(reference.target)
        if (
            version
            and version.sound
            and version.key.kind_name == VERSION
            and reference.path[:2] == ("spec", "versions")
        ):
            yield reference, version


RULE = ResourceRule("duplicate-release", Severity.ERROR, ("hub.traefik.io/API",), check)
