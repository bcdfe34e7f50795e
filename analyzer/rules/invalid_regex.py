from __future__ import annotations

from collections.abc import Iterator

from analyzer.edges import values_at, values_of
from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.routing.traefik_rule import Matcher, RuleError, matchers, parse
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas import re2
from schemas.kind import Kind
from schemas.validation import Path

MIDDLEWARES = (
    ("headers", "accessControlAllowOriginListRegex", "[]"),
    ("redirectRegex", "regex"),
    ("replacePathRegex", "regex"),
    ("stripPrefixRegex", "regex", "[]"),
)
ADVICE = "the syntax is Go's (RE2): https://pkg.go.dev/regexp/syntax"


def check(_: Case, manifest: Manifest) -> Iterator[Hit]:
    for path, text in (*_declared(manifest), *_in_matches(manifest), *_in_middlewares(manifest)):
        try:
            re2.parse(text)
        except re2.RegexError as error:
            shown = text if len(text) <= 60 else f"…{text[max(0, error.at - 20) : error.at + 20]}…"
            yield hit(manifest, path, f"not a regular expression: {error}, in {shown}", ADVICE)
        except re2.TooDeep:
            pass


def _declared(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """The fields that hold one, as the schema says."""
    for field in manifest.kind.regexes if manifest.kind else ():
        yield from ((path, text) for path, _, text in values_of(manifest, field) if isinstance(text, str))


def _in_middlewares(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """Their schema leaves open what is in each of them."""
    for field in MIDDLEWARES if manifest.key.kind_name == "traefik.io/Middleware" else ():
        found = values_at(manifest.resource.spec, field, ("spec",))
        yield from ((path, text) for path, _, text in found if isinstance(text, str))


def _in_matches(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    if manifest.key.kind_name != "traefik.io/IngressRoute":
        return
    for path, _, text in values_at(manifest.resource.spec, ("routes", "[]", "match"), ("spec",)):
        try:
            found = [*matchers(parse(text))] if isinstance(text, str) else []
        except RuleError:
            continue
        for matcher in found:
            yield from ((path, expression) for expression in _expressions(matcher))


def _expressions(matcher: Matcher) -> tuple[str, ...]:
    """The regular expressions of a matcher; a template of v2, as `{sub:[a-z]+}.example.com`, is none as a whole."""
    match matcher.name:
        case "PathRegexp":
            return matcher.values
        case "HeaderRegexp" | "HeadersRegexp" | "QueryRegexp":
            return matcher.values[1:]
        case "HostRegexp":
            return tuple(value for value in matcher.values if "{" not in value)
    return ()


def _may(kind: Kind) -> bool:
    """Whether it holds regular expressions anywhere."""
    return bool(kind.regexes) or kind.qualified in ("traefik.io/Middleware", "traefik.io/IngressRoute")


RULE = ResourceRule("invalid-regex", Severity.ERROR, (), check, has=_may)
