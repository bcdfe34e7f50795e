from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import values_at
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.routing.traefik_rule import RuleError, parse
from analyzer.rule import Case, Hit, ResourceRule, hit

ADVICE = "write it as Host(`a.example`) && PathPrefix(`/v1`)"


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for path, _, text in values_at(manifest.resource.spec, ("routes", "[]", "match"), ("spec",)):
        try:
            parse(str(text))
        except RuleError as error:
            yield hit(manifest, path, f"Traefik cannot read this rule, at character {error.at + 1}: {error}", ADVICE)


RULE = ResourceRule("invalid-route-match", Severity.ERROR, ("traefik.io/IngressRoute",), check)
