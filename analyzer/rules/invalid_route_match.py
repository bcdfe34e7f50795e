from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from analyzer.edges import values_at
from analyzer.finding import Confidence, Severity
from analyzer.manifest import Manifest
from analyzer.routing.traefik_rule import RuleError, matchers, only_in_v2, parse
from analyzer.rule import Case, Hit, ResourceRule, hit

ADVICE = "write it as Host(`a.example`) && PathPrefix(`/v1`)"


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for path, route, text in values_at(manifest.resource.spec, ("routes", "[]", "match"), ("spec",)):
        try:
            rule = parse(str(text))
        except RuleError as error:
            yield hit(manifest, path, f"Traefik cannot read this rule, at character {error.at + 1}: {error}", ADVICE)
            continue
        older = next(filter(None, map(only_in_v2, matchers(rule))), "")
        if older and route.get("syntax") != "v2":
            found = hit(
                manifest, path, f"Traefik 3 does not take this rule: {older}", "write it in the form of version 3"
            )
            yield replace(found, confidence=Confidence.LOW)  # it may be for version 2


RULE = ResourceRule("invalid-route-match", Severity.ERROR, ("traefik.io/IngressRoute",), check)
