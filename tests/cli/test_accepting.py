"""Baselines, changes only, and what is set aside, as people meet them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

Holdfast = Callable[..., tuple[int, str, str]]

FOREIGN = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s}\n"
STRICT = "failOn: warning\n"
BASELINE = ".holdfast-baseline.json"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy under which one foreign manifest is one too many."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".holdfast.yaml").write_text(STRICT)
    (tmp_path / "a.yaml").write_text(FOREIGN % "a")
    return tmp_path


def test_a_baseline_of_the_repository(holdfast: Holdfast, here: Path) -> None:
    """Written once, it is read without a word: what is known passes, what is new does not, what went is counted."""
    assert holdfast("lint")[0] == 1
    code, out, _ = holdfast("lint", "--write-baseline", BASELINE)
    assert (code, out) == (0, "No findings (1 resource, 1 file); 1 in the baseline\n")
    (here / "sub").mkdir()
    (here / "a.yaml").rename(here / "sub/moved.yaml")
    assert holdfast("lint") == (0, "No findings (1 resource, 1 file); 1 in the baseline\n", "")
    (here / "b.yaml").write_text(FOREIGN % "b")
    code, out, _ = holdfast("lint")
    assert code == 1
    assert out.count("warning[") == 1
    assert " --> b.yaml:2:7" in out
    (here / "sub/moved.yaml").unlink()
    assert holdfast("lint")[1].splitlines()[-1] == "1 warning (1 resource, 1 file); 1 of the baseline gone"
    before = (here / BASELINE).read_text()
    holdfast("lint", "--write-baseline", BASELINE)
    assert (here / BASELINE).read_text() != before
    assert holdfast("lint") == (0, "No findings (1 resource, 1 file); 1 in the baseline\n", "")


def test_writing_again_keeps_what_is_known(holdfast: Holdfast, here: Path) -> None:
    """The file is the same when nothing changed, though its findings no longer count."""
    holdfast("lint", "--write-baseline", BASELINE)
    before = (here / BASELINE).read_text()
    assert holdfast("lint", "--write-baseline", BASELINE)[0] == 0
    assert (here / BASELINE).read_text() == before


def test_a_baseline_by_name(holdfast: Holdfast, here: Path) -> None:
    """A file elsewhere, for repositories that shall not have one."""
    assert holdfast("lint", "--write-baseline", "known.json")[0] == 0
    assert holdfast("lint")[0] == 1
    assert holdfast("lint", "--baseline", "known.json")[0] == 0
    (here / "known.json").write_text('{"version": 1}')
    code, out, err = holdfast("lint", "--baseline", "known.json")
    assert (code, out) == (2, "")
    assert err.startswith("holdfast lint: --baseline known.json:1:1: not a baseline")
    code, _, err = holdfast("lint", "--baseline", "none.json")
    assert (code, err) == (3, "holdfast lint: --baseline none.json: No such file or directory\n")
    assert holdfast("lint", "--write-baseline", "no/such.json")[0] == 3


def test_a_broken_baseline_of_the_repository(holdfast: Holdfast, here: Path) -> None:
    """It is broken configuration, wherever it comes from."""
    (here / BASELINE).write_text("[")
    assert holdfast("lint")[0] == 2


def test_what_no_baseline_holds(holdfast: Holdfast, here: Path) -> None:
    """What nothing could be applied with is told and goes on failing."""
    (here / "bad.yaml").write_text("a: [")
    code, _, err = holdfast("lint", "--write-baseline", BASELINE)
    assert code == 1
    assert err == "no baseline holds what nothing could be applied with (1): invalid-yaml\n"
    assert "invalid-yaml" not in (here / BASELINE).read_text()
    assert holdfast("lint")[0] == 1


def test_changed_only(holdfast: Holdfast, here: Path) -> None:
    """What was there at the base does not count; without a base the question has no meaning."""
    repo = pygit2.init_repository(".", initial_head="main")
    repo.index.add_all()
    author = pygit2.Signature("A", "a@example.com", 1_700_000_000, 0)
    repo.create_commit("refs/heads/main", author, author, "s", repo.index.write_tree(), [])
    repo.free()
    code, out, _ = holdfast("lint", "--base", "HEAD", "--changed-only")
    assert (code, out) == (0, "No findings (1 resource, 1 file); 1 there before the change\n")
    (here / "b.yaml").write_text(FOREIGN % "b")
    assert holdfast("lint", "--base", "HEAD", "--changed-only")[0] == 1
    code, _, err = holdfast("lint", "--changed-only")
    assert (code, err) == (2, "holdfast lint: --changed-only needs --base REV: changed since when?\n")


def test_show_suppressed(holdfast: Holdfast, here: Path) -> None:
    """What does not count is counted always, and shown when asked for, with the reason and where it stands."""
    (here / "a.yaml").write_text("# holdfast: allow[unknown-kind] Helm applies it, until 9999-12-31\n" + FOREIGN % "a")
    assert holdfast("lint") == (0, "No findings (1 resource, 1 file); 1 allowed by a comment\n", "")
    code, out, _ = holdfast("lint", "--show-suppressed")
    assert code == 0
    assert out.splitlines() == [
        "allowed by a comment[unknown-kind]: example.com/v1 Widget is not known here;",
        "  nothing of it is checked",
        " --> a.yaml:3:7",
        "  |",
        "3 | kind: Widget",
        "  |       ^",
        "  = Widget a, kind",
        "  = why: Helm applies it, until 9999-12-31, says a.yaml:1:1",
        "",
        "No findings (1 resource, 1 file); 1 allowed by a comment",
    ]
    assert json.loads(holdfast("lint", "-o", "sarif")[1])["runs"][0]["results"] == []
    [result] = json.loads(holdfast("lint", "-o", "sarif", "--show-suppressed")[1])["runs"][0]["results"]
    [suppression] = result["suppressions"]
    assert (suppression["kind"], suppression["justification"]) == (
        "inSource",
        "allowed by a comment, Helm applies it, until 9999-12-31",
    )
    suite = ET.fromstring(holdfast("lint", "-o", "junit", "--show-suppressed")[1].encode())  # noqa: S314  # our own
    assert suite.get("skipped") == "1"
    [aside] = json.loads(holdfast("lint", "-o", "json")[1])["setAside"]
    assert (aside["by"], aside["reason"], aside["until"]) == ("comment", "Helm applies it", "9999-12-31")


def test_no_baseline_under_a_broken_policy(holdfast: Holdfast, here: Path) -> None:
    """What counts is not known then, so nothing is written; a broken baseline is simply written anew."""
    (here / BASELINE).write_text("[")
    assert holdfast("lint", "--write-baseline", BASELINE)[0] == 2
    assert holdfast("lint")[0] == 0
    before = (here / BASELINE).read_text()
    (here / ".holdfast.yaml").write_text("failon: error\n")
    code, _, err = holdfast("lint", "--write-baseline", BASELINE)
    assert (code, "mend .holdfast.yaml first" in err) == (2, True)
    assert (here / BASELINE).read_text() == before


def test_what_is_gone_is_named(holdfast: Holdfast, here: Path) -> None:
    """With --show-suppressed, so that it can be taken out of the baseline; in JSON always."""
    holdfast("lint", "--write-baseline", BASELINE)
    (here / "a.yaml").unlink()
    assert holdfast("lint", "--show-suppressed")[1].splitlines()[0] == "gone[unknown-kind]: Widget a"
    found = json.loads(holdfast("lint", "-o", "json")[1])
    assert found["resolved"] == [{"count": 1, "rule": "unknown-kind", "about": "Widget a"}]


def test_no_baseline_of_a_change(holdfast: Holdfast) -> None:
    """What a change would do is never known beforehand: the next one like it is to be told, too."""
    code, _, err = holdfast("lint", "--base", "HEAD", "--write-baseline", BASELINE)
    assert (code, "leave out --base" in err) == (2, True)
    assert not Path(BASELINE).exists()
