"""Names and messages in Markdown: whatever they hold, GitHub shows it and does nothing with it."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analyzer.render.markup import LONGEST_NAME, LONGEST_PROSE, LONGEST_URL, address, code, link, prose, row

HOSTILE = [
    "@octocat",
    "team@example/ops",
    "<img src=x onerror=alert(1)>",
    "</code></td></table><h1>passes</h1>",
    "`rm`",
    "**bold** _it_ ~~gone~~",
    "[here](https://example.com)",
    "![x](https://example.com/x.png)",
    "a | b",
    "#1 GH-2 owner/name#3",
    "www.example.com http://example.com",
    "- list",
    "1. list",
    "# heading",
    "> quote",
    ":tada:",
    "$x^2$",
    "&lt;b&gt;",
    "\\",
    "a\n\n# b",
    "<!-- holdfast-check: site -->",
]


def rendered(markdown: str) -> str:
    """As HTML, by a reader of GitHub's dialect that takes HTML as it is."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)


def shown(markdown: str) -> str:
    """The text that is left to see."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered(markdown))).strip("\n")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("pieced", [prose, code])
def test_nothing_becomes_markup(text: str, pieced: object) -> None:
    """Guards the report against names: in a cell of a table they are text, and the table goes on below them."""
    assert callable(pieced)
    table = "\n".join([row("ab"), "| --- | --- |", row((pieced(text), "beside")), row(("below", "below"))])
    found = rendered(table)
    assert set(re.findall(r"</?([a-z0-9]+)", found)) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert found.count("<td>") == 4
    assert "<td>beside</td>" in found
    assert "<td>below</td>" in found


@given(st.text(max_size=60))
def test_what_is_shown_is_what_was_written(text: str) -> None:
    """Guards what reviewers read: printable text comes out as it went in, but for the breaks that keep links away."""
    plain = "".join(c for c in text if c.isascii() and c.isprintable() and c != "`")
    assert shown(f"x {prose(plain)} x").replace("\u200b", "") == f"x {plain.lstrip()} x"
    assert shown(f"x{code(plain)}x") == f"x{plain or ' '}x"


def test_commands_in_a_sentence() -> None:
    """Guards advice: what stands between backticks is shown as code, whatever it is."""
    assert rendered(prose("say `holdfast approve ID` | now")) == "<p>say <code>holdfast approve ID</code> | now</p>\n"
    assert shown(prose("a ` b `` c")) == "a ` b `` c"
    assert "<img" not in rendered(prose("`<img src=x>`"))


@pytest.mark.parametrize("text", ["@octocat", "a@b.c", "#12", "GH-7", ":tada:"])
def test_nobody_is_called(text: str) -> None:
    """Guards mentions, issue links and emoji: GitHub looks for them in the text that Markdown leaves."""
    assert text.lower() not in shown(prose(text)).lower()


def test_what_cannot_be_seen_is_shown() -> None:
    """Guards against marks that turn the direction of text, hide it, or break the line."""
    assert shown(code("a\u202eb\u200bc\nd\x1b")) == r"a\u202eb\u200bc\nd\x1b"
    hebrew = "".join(map(chr, (0x5D0, 0x5D1)))
    assert shown(f"x {prose(hebrew)} y") == f"x \u2068{hebrew}\u2069 y"


def test_long_texts_lose_their_middle() -> None:
    """Guards the size of a row: names keep both ends, and addresses that are too long are left out."""
    assert len(shown(code("a" * 10_000 + "z"))) == LONGEST_NAME
    assert shown(code("a" * 10_000 + "z")).endswith("az")
    assert len(shown(prose("é" * 10_000))) == LONGEST_PROSE
    assert link("x", "h" * (LONGEST_URL + 1)) == "x"
    assert address("a b/(c)#?.yaml") == "a%20b/%28c%29%23%3F.yaml"
