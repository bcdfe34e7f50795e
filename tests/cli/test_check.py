"""`holdfast check`: what a pull request is told, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from forge import Forge
from published import valid

Holdfast = Callable[..., tuple[int, str, str]]

API = "apiVersion: storage.holdfast.dev/v1alpha1\n"
HOUSE = f"""\
{API}kind: Target
metadata: {{name: node-1}}
spec: {{connection: {{unixSocket: /a}}}}
---
{API}kind: BlockDevice
metadata: {{name: disk-0}}
spec: {{targetRef: node-1, aio: {{path: /a}}}}
---
{API}kind: StoragePool
metadata: {{name: fast}}
spec: {{deviceRef: disk-0, lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c}}
"""
VOLUME = f"""\
{API}kind: Volume
metadata: {{name: db, namespace: team-a}}
spec: {{poolRef: fast, size: 2Gi, qos: {{iops: 1000}}}}
"""
STRAY = f"""\
{API}kind: Volume
metadata: {{name: stray, namespace: team-a}}
spec: {{poolRef: fsat, size: 2Gi}}
"""


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """A repository whose main holds a house, where a person stands."""
    made = Forge(tmp_path / "site.git")
    made.commit(HOUSE)
    monkeypatch.chdir(made.path)
    return made


def test_a_change_that_passes(holdfast: Holdfast, forge: Forge) -> None:
    """Guards the good case, in text, JSON and Markdown: nothing is wrong, and what changes is told."""
    forge.commit({"site.yaml": HOUSE, "db.yaml": VOLUME})
    code, out, err = holdfast("check", "HEAD~1..HEAD", "--fail-on", "error")
    assert (code, err) == (0, "")
    assert "safe: create Volume team-a/db" in out
    assert out.splitlines()[-1].startswith("passes: ")
    found = valid("check", holdfast("check", "HEAD~1..HEAD", "-o", "json")[1])
    assert (found["outcome"], found["impact"]["hazard"], found["failing"]) == ("passes", "safe", [])
    assert "Volume team-a/db" in holdfast("check", "HEAD~1..HEAD", "-o", "markdown")[1]


def test_a_change_that_brings_a_finding(holdfast: Holdfast, forge: Forge) -> None:
    """Guards what is new, what was there before, and what is mended: each is counted by itself, lines may shift."""
    first = forge.commit({"site.yaml": HOUSE, "a.yaml": STRAY})
    forge.commit({"site.yaml": HOUSE, "b.yaml": f"# moved\n\n{STRAY}", "c.yaml": STRAY.replace("stray", "other")})
    code, out, _ = holdfast("check", f"{first}..HEAD", "-o", "json")
    found = valid("check", out)
    assert (code, found["outcome"]) == (1, "blocked")
    assert {f["resource"]["name"] for f in found["new"]} == {"other"}
    assert {f["resource"]["name"] for f in found["failing"]} == {"other", "stray"}
    forge.commit({"site.yaml": HOUSE})
    code, out, _ = holdfast("check", f"{first}..HEAD", "-o", "json")
    assert (code, len(valid("check", out)["fixed"])) == (0, 1)


def test_changed_only(holdfast: Holdfast, forge: Forge) -> None:
    """Guards repositories with a past: with --changed-only, only what a change brings can fail it."""
    forge.commit({"site.yaml": HOUSE, "a.yaml": STRAY})
    forge.commit({"site.yaml": HOUSE, "a.yaml": STRAY, "db.yaml": VOLUME})
    assert holdfast("check", "HEAD~1..HEAD")[0] == 1
    assert holdfast("check", "HEAD~1..HEAD", "--changed-only")[0] == 0
    forge.commit({"site.yaml": HOUSE, "a.yaml": STRAY, "b.yaml": STRAY.replace("stray", "other")})
    assert holdfast("check", "HEAD~1..HEAD", "--changed-only")[0] == 1


def test_exit_codes(holdfast: Holdfast, forge: Forge) -> None:
    """Guards the worst of all: 3 before 1 before 10, and 2 for a policy that cannot be read."""
    forge.commit({"site.yaml": HOUSE, "db.yaml": VOLUME})
    assert holdfast("check", "HEAD~1..HEAD", "--detailed-exitcode")[0] == 10
    assert holdfast("check", "HEAD..HEAD", "--detailed-exitcode")[0] == 0
    forge.commit({"site.yaml": HOUSE, "db.yaml": STRAY})
    assert holdfast("check", "HEAD~1..HEAD", "--detailed-exitcode")[0] == 1
    forge.commit({"site.yaml": HOUSE, "db.yaml": "a: ["})
    code, out, _ = holdfast("check", "HEAD~1..HEAD")
    assert (code, "delete Volume" in out) == (3, False)
    forge.commit({"site.yaml": HOUSE, ".holdfast.yaml": "budgets: {}\n"})
    assert holdfast("check", "HEAD~1..HEAD")[0] == 2
    forge.commit({"site.yaml": HOUSE})
    code, out, _ = holdfast("check", "HEAD~1..HEAD")
    assert (code, out.splitlines()[-1].partition(":")[0]) == (3, "unknown")  # its base has no limits to judge it by
    assert holdfast("check", "HEAD~5..HEAD")[0] == 0


def test_the_base(holdfast: Holdfast, forge: Forge) -> None:
    """Guards what is compared: where the head left its base; origin/HEAD where nobody names one."""
    start = forge.head()
    forge.commit({"site.yaml": HOUSE, "db.yaml": VOLUME})
    forge.commit({"site.yaml": HOUSE.replace("/a}}", "/b}}")}, ref="refs/heads/other", parents=[start])
    told = holdfast("check", "other..main", "-o", "json")[1]
    assert [change["action"] for change in valid("check", told)["impact"]["changes"]] == ["create"]
    assert holdfast("check", "--base", "other", "-o", "json")[1] == told
    code, out, err = holdfast("check")
    assert (code, out) == (2, "")
    assert "say what to compare with: BASE..HEAD, or --base REV" in err
    forge.repository.references.create("refs/remotes/origin/HEAD", "refs/heads/other")
    assert holdfast("check", "-o", "json")[1] == told


def test_a_folder(holdfast: Holdfast, forge: Forge) -> None:
    """Guards repositories that hold more than one site: a folder can be named, and places are told from the root."""
    forge.commit({"site/house.yaml": HOUSE})
    forge.commit({"site/house.yaml": HOUSE, "site/a.yaml": STRAY, "broken.yaml": "a: ["})
    code, out, _ = holdfast("check", "HEAD~1..HEAD", "site", "-o", "markdown")
    assert (code, "<code>site/a.yaml&#58;3</code>" in out) == (1, True)
    assert "broken.yaml" not in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a..b", "c..d"], 2, "name one range BASE..HEAD and one folder at most"),
        (["a..b", "--base", "c"], 2, "names a base already; leave out --base"),
        (["--base", "nope"], 3, "no commit 'nope'"),
        (["--base", "mian"], 3, "no commit 'mian'; did you mean \"main\"?"),
        ([], 2, "there is no origin/HEAD here; say what to compare with: BASE..HEAD, or --base REV"),
        (["--repo", "/"], 3, "/ is no Git repository, nor inside one"),
        (["HEAD..HEAD", "nowhere"], 3, "has no folder nowhere"),
        (["HEAD..HEAD", "--live", "http://"], 2, "write http://HOST:PORT"),
        (["HEAD..HEAD", "--live", "http://localhost"], 2, "write http://HOST:PORT"),
        (["HEAD..HEAD", "--live", "http://127.0.0.1:8770/page"], 2, "write http://HOST:PORT"),
    ],
)
def test_mistakes(holdfast: Holdfast, forge: Forge, words: list[str], code: int, message: str) -> None:
    """Guards against tracebacks: one message, and the exit code of usage or of what cannot be read."""
    ended, out, err = holdfast("check", *words)
    assert (ended, out) == (code, "")
    assert message in err


def test_what_waits_for_a_person(holdfast: Holdfast, forge: Forge) -> None:
    """Guards held changes: exit code 4, and a report that says how to let them through."""
    exported = f"""\
{API}kind: Subsystem
metadata: {{name: db, namespace: team-a}}
spec:
  nqn: nqn.2026-01.com.example.team-a:db
  exports: [{{targetRef: node-1, portals: [front]}}]
  namespaces: [{{nsid: 1, volumeRef: db}}]
  hosts: {{any: true}}
"""
    house = HOUSE.replace(
        "{unixSocket: /a}}", "{unixSocket: /a}, portals: [{name: front, address: 10.0.0.1, port: 4420}]}"
    )
    second = exported.replace("name: db", "name: web").replace("a:db", "a:web")
    forge.commit({"site.yaml": house, "db.yaml": VOLUME, "s.yaml": f"{exported}---\n{second}"})
    forge.commit({"site.yaml": house, "db.yaml": VOLUME})
    code, out, _ = holdfast("check", "HEAD~1..HEAD", "-o", "markdown")
    assert code == 4
    assert out.startswith("### ✋ Holdfast: needs approval, and disturbs its users\n")
    assert "Holdfast-Approve" in out


@pytest.mark.parametrize("verb", ["check", "impact"])
def test_what_was_kept_changes_no_answer(holdfast: Holdfast, forge: Forge, tmp_path: Path, verb: str) -> None:
    """Guards the cache: from nothing, kept just now, and kept for another revision, every byte is the same."""
    kept = ("--cache", tmp_path / "kept")
    forge.commit({"site.yaml": HOUSE, "db.yaml": VOLUME})
    forge.commit({"site.yaml": HOUSE, "db.yaml": VOLUME, "a.yaml": STRAY})
    forge.commit({"site.yaml": HOUSE.replace("/a}}", "/b}}"), "a.yaml": STRAY})
    for revisions in ("HEAD~3..HEAD", "HEAD~1..HEAD", "HEAD~2..HEAD~1", "HEAD~3..HEAD"):
        cold = holdfast(verb, revisions, "-o", "json", "--no-cache")
        assert [holdfast(verb, revisions, "-o", "json", *kept) for _ in range(2)] == [cold, cold]
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert files
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2 :: 7] = bytes(len(data[len(data) // 2 :: 7]))
        file.write_bytes(data)
    assert holdfast(verb, "HEAD~3..HEAD", "-o", "json", *kept) == cold
