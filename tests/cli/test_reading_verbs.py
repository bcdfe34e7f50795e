"""`holdfast lint`, `impact` and `explain` as people meet them: words, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
import pytest

POOL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: StoragePool
metadata: {name: fast}
spec: {deviceRef: disk-0, lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c}
"""
HOUSE = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Target
metadata: {name: node-1}
spec: {connection: {unixSocket: /a}}
---
apiVersion: storage.holdfast.dev/v1alpha1
kind: BlockDevice
metadata: {name: disk-0}
spec: {targetRef: node-1, aio: {path: /a}}
"""
VOLUME = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: db, namespace: team-a}
spec: {poolRef: fast, size: 2Gi, reclaimPolicy: Delete}
"""

REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata: {name: db, namespace: team-a}
spec:
  ref: {kind: Volume, name: db}
  uid: a4074450-b6aa-48e8-819c-23987a12684c
  reason: ticket 4711
  expires: 2026-01-31
"""

Holdfast = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def commits(here: Path) -> Iterator[Callable[..., str]]:
    """Files → commit on main of the repository here, which has a work tree."""
    repo = pygit2.init_repository(".", initial_head="main")

    def commit(files: dict[str, str]) -> str:
        for path in here.glob("*.yaml"):
            path.unlink()
        for name, content in files.items():
            (here / name).write_text(content)
        repo.index.read()
        repo.index.clear()
        repo.index.add_all()
        repo.index.write()
        author = pygit2.Signature("A", "a@example.com", 1_700_000_000, 0)
        parents = [] if repo.head_is_unborn else [repo.head.target]
        return str(repo.create_commit("refs/heads/main", author, author, "s", repo.index.write_tree(), parents))

    yield commit
    repo.free()


def test_a_part_of_a_repository(holdfast: Holdfast, here: Path) -> None:
    """Who stands in a folder is told that neither the policy above nor what lies beside it counted."""
    (here / ".git").mkdir()
    (here / ".holdfast.yaml").write_text("failOn: error\n")
    (here / "team").mkdir()
    (here / "team/a.yaml").write_text(VOLUME)
    code, out, err = holdfast("lint", "team")
    assert (code, "dangling-reference" in out) == (1, True)
    assert err == (
        f"holdfast lint: team is read as if it were alone: the policy of {here} and what else is there do not count; "
        "holdfast lint . reads all of it\n"
    )
    assert holdfast("lint", "team/a.yaml")[2].startswith("holdfast lint: team/a.yaml is read as if it were alone")
    assert holdfast("lint")[2] == ""
    (here / "team/.holdfast.yaml").write_text("failOn: error\n")
    assert holdfast("lint", "team")[2] == ""


def test_lint_a_file(holdfast: Holdfast, here: Path) -> None:
    """A file alone: its reference dangles, exit code 1."""
    (here / "pool.yaml").write_text(POOL)
    code, out, err = holdfast("lint", "pool.yaml")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        'error[dangling-reference]: BlockDevice "disk-0" is not declared',
        " --> pool.yaml:4:19",
        "  |",
        "4 | spec: {deviceRef: disk-0, lvstoreUUID: 86b25858-0754-4031-8e53-7d936a7ab16c}",
        "  |                   ^",
        "  = StoragePool fast, spec.deviceRef",
        "  = help: declare BlockDevice disk-0, or correct the name",
        "",
        "1 error (1 resource, 1 file)",
    ]


def test_lint_a_folder(holdfast: Holdfast, here: Path) -> None:
    """The folder one stands in, or a named one; paths can be clicked from here."""
    (here / "a").mkdir()
    (here / "a/pool.yaml").write_text(POOL)
    assert " --> a/pool.yaml:4:19" in holdfast("lint", "a")[1].splitlines()
    assert " --> a/pool.yaml:4:19" in holdfast("lint")[1].splitlines()
    (here / "a/house.yaml").write_text(HOUSE)
    assert holdfast("lint") == (0, "No findings (3 resources, 2 files)\n", "")


def test_fail_on(holdfast: Holdfast, here: Path) -> None:
    """--fail-on decides what counts, over failOn of the policy."""
    (here / "a.yaml").write_text("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n")
    assert holdfast("lint")[0] == 0
    assert holdfast("lint", "--fail-on", "warning")[0] == 1
    (here / ".holdfast.yaml").write_text("failOn: warning\n")
    assert holdfast("lint")[0] == 1
    assert holdfast("lint", "--fail-on", "error")[0] == 0


def test_a_broken_policy(holdfast: Holdfast, here: Path) -> None:
    """Its findings are shown, and the exit code is that of broken configuration."""
    (here / ".holdfast.yaml").write_text("budgets: {}\n")
    code, out, _ = holdfast("lint")
    assert code == 2
    assert 'unknown field "budgets"; did you mean "budget"?' in out


def test_lint_json(holdfast: Holdfast, here: Path) -> None:
    """JSON on stdout and nothing else, with the same exit code."""
    (here / "pool.yaml").write_text(POOL)
    code, out, err = holdfast("lint", "--output", "json")
    assert (code, err) == (1, "")
    assert [finding["rule"] for finding in json.loads(out)["findings"]] == ["dangling-reference"]


def test_lint_a_revision(holdfast: Holdfast, here: Path, commits: Callable[..., str]) -> None:
    """--rev reads commits, not the work tree; a folder of it can be named."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL})
    (here / "pool.yaml").write_text("a: [")
    assert holdfast("lint")[0] == 1
    assert holdfast("lint", "--rev", "HEAD")[0] == 0
    assert holdfast("lint", "--repo", ".git", "--rev", "main")[0] == 0
    assert holdfast("lint", "--repo", here)[0] == 0


def test_lint_against_a_base(holdfast: Holdfast, here: Path, commits: Callable[..., str]) -> None:
    """--base judges changes, of the work tree or of a revision, and Removals by the day given with --as-of."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME})
    assert holdfast("lint", "--base", "HEAD")[0] == 0
    (here / "db.yaml").unlink()
    code, out, _ = holdfast("lint", "--base", "HEAD")
    assert (code, "error[data-loss-without-removal]" in out) == (1, True)
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "removal.yaml": REMOVAL})
    assert holdfast("lint", "--rev", "HEAD", "--base", "HEAD~1", "--as-of", "2026-01-31")[0] == 0
    assert holdfast("lint", "--rev", "HEAD", "--base", "HEAD~1", "--as-of", "2026-02-01")[0] == 1


def test_lint_a_subfolder_against_a_base(holdfast: Holdfast, here: Path, commits: Callable[..., str]) -> None:
    """Of the base, the same folder is read."""
    commits({"pool.yaml": POOL, "house.yaml": HOUSE})
    (here / "sub").mkdir()
    (here / "sub/house.yaml").write_text(HOUSE)
    code, _, err = holdfast("lint", "sub", "--base", "HEAD")
    assert (code, "has no folder sub" in err) == (3, True)


def test_impact(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """What a range of commits does, forwards and backwards, as text and JSON."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL})
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME})
    code, out, err = holdfast("impact", "HEAD~1..HEAD")
    assert (code, err) == (0, "")
    assert "safe: create Volume team-a/db" in out.splitlines()
    assert "data-loss: delete Volume team-a/db" in holdfast("impact", "HEAD..HEAD~1")[1].splitlines()
    assert json.loads(holdfast("impact", "HEAD~1..", "--output", "json")[1])["hazard"] == "safe"
    assert holdfast("impact", "HEAD..HEAD")[1].endswith("\n\nNothing changes.\n")


def test_impact_of_a_revert(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """A revert is a change like any other: what it destroys is told, and a base can be named by itself."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL})
    made = commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME})
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME, "z.yaml": VOLUME.replace("db", "z")})
    code, out, _ = holdfast("impact", "--revert", made)
    assert (code, f"to the revert of {made[:12]}" in out) == (4, True)
    assert "data-loss: delete Volume team-a/db" in out.splitlines()
    assert "Volume team-a/z" not in out
    both = holdfast("impact", "--revert", "HEAD~2..HEAD", "-o", "json")[1]
    assert [change["resource"]["name"] for change in json.loads(both)["changes"]] == ["db", "z"]
    assert holdfast("impact", "--base", "HEAD~1") == holdfast("impact", "HEAD~1...HEAD")
    assert holdfast("impact", "--base", "HEAD~1", "--detailed-exitcode")[0] == 10


def test_impact_of_a_head_that_is_rejected(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """What the gate would refuse is said first, rules about the change itself included."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME})
    commits({"house.yaml": HOUSE, "pool.yaml": POOL})
    code, out, _ = holdfast("impact", "HEAD~1..HEAD")
    assert (code, out.splitlines()[2].partition(":")[0]) == (4, "blocked")
    assert "[data-loss-without-removal]" in out
    assert [f["rule"] for f in json.loads(holdfast("impact", "HEAD~1..", "--output", "json")[1])["rejected"]] == [
        "data-loss-without-removal"
    ]


def test_impact_of_what_cannot_be_made_out(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """An unreadable side ends with exit code 3, a broken policy with 2; neither claims deletions."""
    commits({"house.yaml": HOUSE})
    commits({"house.yaml": "a: ["})
    code, out, _ = holdfast("impact", "HEAD~1..HEAD")
    assert (code, "delete" in out.replace("not deleted", "")) == (3, False)
    commits({"house.yaml": HOUSE, ".holdfast.yaml": "ignore: 1\n"})
    assert holdfast("impact", "HEAD~2..HEAD")[0] == 2


def test_graph(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """Who names whom, around one resource, of a revision, and what a change touches; what is left out is said."""
    commits({"house.yaml": HOUSE, "pool.yaml": POOL})
    commits({"house.yaml": HOUSE, "pool.yaml": POOL, "db.yaml": VOLUME})
    code, out, err = holdfast("graph")
    assert (code, err, out.startswith("digraph")) == (0, "", True)
    near = json.loads(holdfast("graph", "--around", "pool/fast", "--depth", "1", "--format", "json")[1])
    assert [node["resource"]["name"] for node in near["nodes"]] == ["disk-0", "fast", "db"]
    assert "db" not in holdfast("graph", "--rev", "HEAD~1", "--format", "mermaid")[1]
    change = json.loads(holdfast("graph", "--impact", "HEAD~1..HEAD", "-o", "json")[1])
    assert [(node["state"], node["action"]) for node in change["nodes"]] == [("safe", "create")]
    assert 'did you mean "StoragePool/fast"?' in holdfast("graph", "--around", "StoragePool/fats")[2]
    code, out, err = holdfast("graph", "--limit", "2")
    assert (code, "left out: 2 resources" in out, "or raise --limit" in err) == (0, True, True)


def test_graph_of_what_cannot_be_made_out(holdfast: Holdfast, here: Path, commits: Callable[..., str]) -> None:
    """What cannot be read is said beside the picture; of a change there is none then."""
    commits({"house.yaml": HOUSE})
    commits({"house.yaml": HOUSE, "x.yaml": "a: ["})
    code, out, err = holdfast("graph")
    assert (code, "not drawn: x.yaml:" in err, "node-1" in out) == (0, True, True)
    assert holdfast("graph", "--impact", "HEAD~1..HEAD")[0] == 3


def test_explain(holdfast: Holdfast) -> None:
    """Kinds, fields, rules, reasons, and the list of them, as text and JSON."""
    assert holdfast("explain", "vol.size")[1].startswith("Volume.spec.size  (required)\n")
    assert holdfast("explain", "dangling-reference")[1].startswith("# dangling-reference\n")
    assert holdfast("explain", "KeptLarger")[1].startswith("KeptLarger\n")
    assert "\n  dangling-reference " in holdfast("explain")[1]
    assert json.loads(holdfast("explain", "Volume", "--output", "json")[1])["scope"] == "Namespaced"
    assert "Volume" in json.loads(holdfast("explain", "--output", "json")[1])["kinds"]


MISTAKES = [
    (["lint", "nowhere"], 3, "nowhere: No such file or directory"),
    (["lint", "--rev", "HEAD"], 3, ". is no Git repository, nor inside one"),
    (["lint", "--repo", "nowhere"], 3, "nowhere is no Git repository, nor inside one"),
    (["lint", "--base", "HEAD"], 3, ". is not in a Git work tree"),
    (["lint", "--as-of", "soon"], 2, "'soon' is not a date"),
    (["lint", "--as-of", "9999-12-31"], 2, "'9999-12-31' is not a date from 1970-01-01 to 2999-12-31"),
    (["lint", "--fail-on", "never"], 2, "invalid choice: 'never'"),
    (["impact", "main"], 2, "'main' is not a range; write BASE..HEAD"),
    (["impact"], 2, "say what to compare"),
    (["graph", "--around", "nope"], 2, 'no resource is called "nope"'),
    (["graph", "--around", "a", "--impact", "b..c"], 2, "not allowed with"),
    (["graph", "--impact", "b..c", "--rev", "d"], 2, "leave out --rev"),
    (["graph", "nowhere"], 3, "nowhere: No such file or directory"),
    (["impact", "a..b", "--revert", "c"], 2, "one of them"),
    (["impact", "--revert", "c"], 3, ". is no Git repository, nor inside one"),
    (["impact", "a..b"], 3, ". is no Git repository, nor inside one"),
    (["explain", "Volum"], 2, 'did you mean "Volume"?'),
    (["explain", "Volume.sise"], 2, 'did you mean "size"?'),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistakes(holdfast: Holdfast, words: list[str], code: int, message: str) -> None:
    """A mistake ends with one message on stderr and its exit code."""
    ended, out, err = holdfast(*words)
    assert (ended, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_bad_revisions(holdfast: Holdfast, commits: Callable[..., str]) -> None:
    """A revision that is not there is named."""
    commits({"house.yaml": HOUSE})
    for words in ("lint --rev nope", "lint --base nope", "impact nope..HEAD", "impact HEAD..nope"):
        code, _, err = holdfast(*words.split())
        assert (code, "no commit 'nope'" in err) == (3, True)


@pytest.mark.parametrize(
    "content", [b"\x00\xff" * 100, b"\x7fELF\x02\x01", b"\xff\xfea\x00", b"[" * 30_000, b"a: " + b"x" * 1_000_000]
)
def test_files_that_are_no_text(holdfast: Holdfast, here: Path, content: bytes) -> None:
    """Binary files, bombs and monsters are findings."""
    (here / "a.yaml").write_bytes(content)
    code, out, err = holdfast("lint", "a.yaml")
    assert (code, err) == (1, "")
    assert out.startswith("error[invalid-yaml]: ")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from reconciler.cli import main; sys.exit(main())", *words],
        capture_output=True, text=True, check=False, env=os.environ | environment, encoding="utf-8",
    )  # fmt: skip


def test_a_terminal_without_unicode(here: Path) -> None:
    """What the terminal cannot show is escaped, not a crash."""
    (here / "a.yaml").write_text("ä: →\n")
    done = run("lint", "--output", "text", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "")
    assert r"\xe4: \u2192" in done.stdout


def test_colour(here: Path, monkeypatch: pytest.MonkeyPatch, holdfast: Holdfast) -> None:
    """Colour is for terminals only, and never with NO_COLOR."""
    (here / "pool.yaml").write_text(POOL)
    assert "\x1b" not in holdfast("lint")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in holdfast("lint")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in holdfast("lint")[1]


HEAVY = (
    "pygit2",
    "networkx",
    "structlog",
    "starlette",
    "jsonschema",
    "requests",
    "apscheduler",
    "opentelemetry",
    "rich",
    "sqlite3",
    "uvicorn",
    "reconciler.cli.cache",
)


def test_import_budget(here: Path) -> None:
    """Linting a file, with or without findings, imports none of the heavy libraries."""
    (here / "pool.yaml").write_text(POOL)
    seen = f"print([module for module in {HEAVY} if module in sys.modules])"
    code = f"import sys; from reconciler.cli import main; main(['lint', 'pool.yaml']); {seen}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "dangling-reference" in done.stdout


def test_allowlist(holdfast: Holdfast, here: Path) -> None:
    """Guards the list as a shell takes it: one line, no spaces, nothing of what is not declared; and as JSON."""
    (here / "house.yaml").write_text(HOUSE)
    (here / "pool.yaml").write_text(f"{POOL}---\n{VOLUME}")
    code, out, _ = holdfast("allowlist")
    methods = out.removesuffix("\n").split(",")
    assert (code, out.count("\n"), methods) == (0, 1, sorted(methods))
    assert {"bdev_aio_create", "bdev_lvol_create", "nvmf_create_transport"} <= set(methods)
    assert not {"bdev_malloc_create", "nvmf_create_subsystem", "bdev_set_qos_limit"} & set(methods)
    assert set(methods) < set(holdfast("allowlist", "--all")[1].removesuffix("\n").split(","))
    items = json.loads(holdfast("allowlist", "-o", "json")[1])["items"]
    assert items == [{"target": "node-1", "methods": methods}]
    assert holdfast("allowlist", "--target", "node-2")[::2] == (
        3,
        "holdfast allowlist: there is no target node-2; there are: node-1\n",
    )


def test_allowlist_of_what_does_not_pass(holdfast: Holdfast, here: Path) -> None:
    """Guards a list that would be too short: manifests that do not pass have none."""
    (here / "pool.yaml").write_text(POOL)
    code, out, err = holdfast("allowlist")
    assert (code, out) == (1, "")
    assert "`holdfast lint` says why" in err
