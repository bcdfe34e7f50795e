"""Regular expressions are judged as Go does, not as Python does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.re2 import MAX_DEPTH, RegexError, TooDeep, parse

ACCEPTED = [
    "", "a|b|", "(|a)*", "()", "a*?", "a{2,3}?", "a{,3}", "{", "a{1", "a{02}", "x{0}", "(?i)a", "(?i:a)b", "(?s-i:.)",
    "(?P<n>a)(?P<m>b)", "(?<n>a)", "(?)", "[]a]", "[^]a]", "[a-]", "[-a]", "[--/]", "[a-c-e]", "[[:alpha:]_]",
    "[[:^digit:]]", r"[\d\pL]", r"[:a]", r"\pL", r"\p{Greek}", r"\P{^Nd}", r"\p{Any}", r"\x41\x{1F600}", r"\012\12\0",
    r"\.\-\_\/\#", r"\Qa.b*\E*", r"\Qa.b*", r"\A\z\b\B", r"^*", "a(?i)*", "(a{30}){33}", "(?U)a+", "é+", r"\a\f\v",
]  # fmt: skip
REFUSED = [
    ("(?=a)", "look-around"), ("(?!a)", "look-around"), ("(?<=a)b", "look-around"), ("(?<!a)b", "look-around"),
    (r"(a)\1", "back-reference"), (r"\8", "back-reference"), ("(?P=n)", "back-reference"), ("(?#a)", "Go has no"),
    ("(?>a)", "Go has no"), ("(?-)", "Go has no"), ("(?z)", "Go has no"), ("a**", "right after another"),
    ("a+*", "right after another"), ("a{2}{3}", "right after another"), ("a???", "right after another"),
    ("*a", "nothing stands before *"), ("a|+", "nothing stands before +"), ("(?i)*", "nothing stands before *"),
    ("{2}", "nothing stands before {2}"), ("a{1001}", "more than 1,000"), ("a{99999999999}", "more than 1,000"),
    ("(a{500}){3}", "more than 1,000"), ("a{3,2}", "wrong way round"), ("[z-a]", "wrong way round"),
    ("(a", "closing parenthesis is missing"), ("a)", "without an opening one"), ("[a", "closing ] is missing"),
    ("[]", "closing ] is missing"), (r"[a\Q]", r"no \Q"), (r"[\b]", r"no \b"), (r"[a-\d]", "no \\d"),
    ("[[:foo:]]", "[:foo:]"), (r"\p", "needs a name"), (r"\p{Gothick}", "Gothick"), (r"\pX", "called X"),
    (r"\x4", "hexadecimal"), (r"\x{110000}", "hexadecimal"), (r"\Z", r"the end of the text is \z"), (r"\u0041", r"\x{"),
    (r"\C", r"no \C"), ("a\\", "ends with a backslash"), ("(?P<n>a)(?P<n>b)", "two groups"), ("(?P<n-m>a)", "name"),
    ("(?P<n", "name"), (r"\é", "no \\é"),
]  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_go_takes_is_taken(text: str) -> None:
    """Among it what Python refuses: nothing that would work is called wrong."""
    parse(text)


@pytest.mark.parametrize(("text", "because"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_go_refuses_is_told_of(text: str, because: str) -> None:
    """Among it what Python takes; the message says what is wrong with it, at a character of it."""
    with pytest.raises(RegexError) as refused:
        parse(text)
    assert because in str(refused.value)
    assert 0 <= refused.value.at <= len(text)


def test_nesting_is_bounded() -> None:
    """So deep that it is not followed is not called wrong, and does not exhaust the stack."""
    parse("(" * (MAX_DEPTH - 1) + ")" * (MAX_DEPTH - 1))
    for depth in (MAX_DEPTH, 100_000):
        with pytest.raises(TooDeep):
            parse("(" * depth)


@given(st.text(alphabet="ab()[]{}|*+?.^$\\-:,=!<>PpdQEzx01é\n", max_size=20))
def test_anything_else_never_happens(text: str) -> None:
    """Whatever is written, it has parts, or is refused in words, or is too deep."""
    with contextlib.suppress(RegexError):
        parse(text)
