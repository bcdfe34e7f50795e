"""The rules of Traefik's routers: how they are read, and which requests they take."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.routing.requests import Requests, in_words, meeting_points, requests_of, shared, ways_to, within
from analyzer.routing.traefik_rule import And, Matcher, Not, Or, Rule, RuleError, matchers, only_in_v2, parse

NAMES = ["a.example", "b.example"]
PATHS = ["/", "/v1", "/v1/x", "/v2"]
METHODS = ["GET", "POST"]
CONDITIONS = st.one_of(
    st.sampled_from(NAMES).map(lambda name: ("Host", name)),
    st.sampled_from(PATHS).map(lambda path: ("Path", path)),
    st.sampled_from(PATHS).map(lambda path: ("PathPrefix", path)),
    st.sampled_from(METHODS).map(lambda method: ("Method", method)),
)
RULES = st.recursive(
    CONDITIONS.map(lambda pair: Matcher(pair[0], (pair[1],), 0)),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=4,
)
EVERY_REQUEST = [(host, path, method) for host in (*NAMES, "c") for path in (*PATHS, "/v1x") for method in METHODS]


def takes(rule: Rule, request: tuple[str, str, str]) -> bool:
    """What a rule says of one request, condition by condition."""
    match rule:
        case Not(operand):
            return not takes(operand, request)
        case And(operands):
            return all(takes(operand, request) for operand in operands)
        case Or(operands):
            return any(takes(operand, request) for operand in operands)
    host, path, method = request
    answers = {"Host": host.__eq__, "Path": path.__eq__, "PathPrefix": path.startswith, "Method": method.__eq__}
    return bool(answers[rule.name](rule.values[0]))


def written(rule: Rule) -> str:
    """A rule as somebody would write it, every group in parentheses."""
    match rule:
        case Not(operand):
            return f"!({written(operand)})"
        case And(operands):
            return " && ".join(f"({written(operand)})" for operand in operands)
        case Or(operands):
            return " || ".join(f"({written(operand)})" for operand in operands)
    return f"{rule.name}(`{rule.values[0]}`)"


def requests(text: str) -> Requests:
    return requests_of(parse(text))


@given(RULES, st.sampled_from(EVERY_REQUEST))
def test_a_rule_that_is_written_down_says_the_same(rule: Rule, request: tuple[str, str, str]) -> None:
    """Operators, parentheses and negations are read as they were meant."""
    assert takes(parse(written(rule)), request) == takes(rule, request)


@given(RULES, RULES, st.sampled_from(EVERY_REQUEST))
def test_a_shared_request_is_taken_by_both(one: Rule, other: Rule, request: tuple[str, str, str]) -> None:
    """An example is truly taken by both; where there is none, no request is."""
    found = shared(requests_of(one), requests_of(other))
    if found is None:
        assert not (takes(one, request) and takes(other, request))
        return
    example = (found.get("host", "c"), found.get("path", "/anything"), found.get("method", "PUT"))
    assert takes(one, example)
    assert takes(other, example)


@given(RULES, RULES, st.sampled_from(EVERY_REQUEST))
def test_within_means_that_nothing_is_left(one: Rule, other: Rule, request: tuple[str, str, str]) -> None:
    """Whoever is within another takes no request that the other does not."""
    if within(requests_of(one), requests_of(other)):
        assert takes(other, request) or not takes(one, request)


@pytest.mark.parametrize(
    ("one", "other", "example"),
    [
        ("Host(`A.example`) && PathPrefix(`/v1`)", "Host(`a.example`) && Path(`/v1/x`)", "a.example/v1/x"),
        ("PathRegexp(`^/v[0-9]+/`)", "PathPrefix(`/v1`)", "/v1/"),
        ("PathRegexp(`^/v[0-9]/`) && !PathPrefix(`/v1`)", "PathPrefix(`/v`)", "/v0/"),
        ("HostRegexp(`{sub:[a-z]+}.example.com`)", "Host(`shop.example.com`, `b.example`)", "shop.example.com/"),
        ("HostRegexp(`^.+\\.example\\.com$`)", "Host(`shop.example.com`)", "shop.example.com/"),
        ("Path(`/users/{id:[0-9]{2,3}}`)", "Path(`/users/17`)", "/users/17"),
        ("Path(`/users/{id}`)", "PathPrefix(`/users/a`)", "/users/a"),
        ("Query(`v=1`)", "Query(`v`, `1`) && Header(`X-A`, `b`)", "/, header x-a b, query v 1"),
        ("Method(`get`)", "Method(`GET`, `POST`)", "GET /"),
    ],
)
def test_examples_of_shared_requests(one: str, other: str, example: str) -> None:
    """Both forms of rules, and an example as people read it."""
    found = shared(requests(one), requests(other))
    assert found is not None
    assert in_words(found) == example


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Host(`a.example`)", "Host(`b.example`)"),
        ("PathPrefix(`/v1`)", "Path(`/v2`)"),
        ("PathPrefix(`/v1`) && !PathPrefix(`/v1/x`)", "PathPrefix(`/v1/x/y`)"),
        ("Header(`X-Version`, `1`)", "Header(`x-version`, `2`)"),
        ("Method(`GET`)", "!Method(`GET`) && PathPrefix(`/`)"),
        ("HostRegexp(`{sub:[a-z]+}.example.com`)", "Host(`shop-example.com`)"),
    ],
)
def test_rules_that_share_nothing(one: str, other: str) -> None:
    """What is told apart by host, path, method or header is not in conflict."""
    assert shared(requests(one), requests(other)) is None


@pytest.mark.parametrize(
    ("text", "because", "at"),
    [
        ("Host(`a`) & Path(`/`)", "& has no meaning", 10),
        ("Host(`a`) Path(`/`)", "join conditions with && or ||", 10),
        ("Hots(`a`)", 'did you mean "Host"?', 0),
        ("Host('a')", "use backquotes", 5),
        ("Host(a)", "in backquotes: `a…`", 5),
        ("Host(`a)", "a backquote is not closed", 5),
        ("(Host(`a`)", "a parenthesis is not closed", 0),
        ("Host(`a`) &&", "a condition is missing", 12),
        ("Host(`a`", "the parenthesis after Host is not closed", 0),
        ("Host()", "Host needs a value and has 0", 0),
        ("Header(`a`)", "Header needs 2 values and has 1", 0),
        ("", "a condition is missing", 0),
        ("Path(`v1`)", "a path begins with /", 0),
        ("Path(`/`) && Host(``)", "Host has an empty value", 13),
        ("Host(`lócal`)", "is not ASCII", 0),
        ("ClientIP(`10.0.0.0/8`, `ten`)", "ten is no address", 0),
        ("(" * 100 + "Host(`a`)", "nested more than", 50),
    ],
)
def test_what_traefik_would_not_take(text: str, because: str, at: int) -> None:
    """A rule that is none is refused at the character where it goes wrong, with a way out."""
    with pytest.raises(RuleError) as refused:
        parse(text)
    assert because in str(refused.value)
    assert refused.value.at == at


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("Host(`a`, `b`)", "joined with ||"),
        ("Headers(`a`, `b`)", "Header there"),
        ("Path(`/users/{id}`)", "use PathRegexp"),
        ("HostRegexp(`{sub:[a-z]+}.example.com`)", "without braces"),
        ("PathRegexp(`^/users/[0-9]{2}$`) && HostRegexp(`^[a-z]{2}$`) && Query(`a`, `b`)", ""),
    ],
)
def test_what_only_version_2_takes(text: str, because: str) -> None:
    """Rules of the older form are understood, and told from those of the newer one."""
    found = [only_in_v2(matcher) for matcher in matchers(parse(text))]
    assert [because in each and bool(each) == bool(because) for each in found] == [True] * len(found)


def test_how_tightly_operators_bind() -> None:
    """`!` before `&&` before `||`, names in any case, strings in double quotes too, over several lines."""
    rule = parse('!host("a") && PATH(`/x`)\n  || Method(`GET`)')
    assert isinstance(rule, Or)
    assert isinstance(rule.operands[0], And)
    assert [matcher.name for matcher in matchers(rule)] == ["Host", "Path", "Method"]


def test_where_rules_can_meet() -> None:
    """At the hosts that they name, or anywhere, by how their paths begin."""
    rule = parse("(Host(`A.example`) || Method(`GET`)) && PathPrefix(`/v1/{id}`)")
    assert meeting_points(rule) == {("a.example", "/v1/"), ("*", "/v1/"), ("anywhere", "/v1/")}
    assert ways_to(parse("Host(`a`) && Path(`/v`)")) == {(host, path) for host in "a*" for path in ("", "/", "/v")}
    assert ways_to(parse("!Host(`a`) && PathRegexp(`x`)")) == {("anywhere", "")}
    expressions = {"^/x/[0-9]": "/x/", "^/xy*": "/x", "^(?i)/x": "/", "^/a|b": "", "/x$": "", "(": ""}
    for expression, path in expressions.items():
        assert meeting_points(parse(f"PathRegexp(`{expression}`)")) == {("*", path), ("anywhere", path)}


@given(RULES, RULES)
def test_rules_that_share_a_request_meet(one: Rule, other: Rule) -> None:
    """So that nobody who asks only those that they can meet misses anybody."""
    if shared(requests_of(one), requests_of(other)) is not None:
        assert ways_to(one) & meeting_points(other) or ways_to(other) & meeting_points(one)


@given(st.text(alphabet="Host(`a`)&|!\"',. \n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is written in a match, it is a rule or refused in words."""
    with contextlib.suppress(RuleError):
        parse(text)
