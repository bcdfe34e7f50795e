"""Revisions read from the object database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType

from analyzer import git, git_trees, snapshot
from analyzer.git_trees import GitError
from analyzer.snapshot import Unread, from_directory

Commit = Callable[..., str]


@pytest.fixture
def repo(tmp_path: Path) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path / "repo"), bare=True)


@pytest.fixture
def path(repo: pygit2.Repository) -> Path:
    return Path(repo.path)


@pytest.fixture
def commit(repo: pygit2.Repository) -> Commit:
    """Files → commit on main (or on other parents): nothing but the object database is written."""

    def run(
        files: Mapping[str, bytes | tuple[int, str]], message: str = "subject\n", parents: list[str] | None = None
    ) -> str:
        tree = _tree(repo, files)
        author = pygit2.Signature("A", "a@example.com", 1_700_000_000, 0)
        if parents is None:
            parents = [str(repo.references["refs/heads/main"].target)] if "refs/heads/main" in repo.references else []
            return str(repo.create_commit("refs/heads/main", author, author, message, tree, parents))
        return str(repo.create_commit(None, author, author, message, tree, parents))

    return run


def _tree(repo: pygit2.Repository, files: Mapping[str, bytes | tuple[int, str]]) -> pygit2.Oid:
    builder = repo.TreeBuilder()
    folders: dict[str, dict[str, bytes | tuple[int, str]]] = {}
    for name, content in files.items():
        head, slash, rest = name.partition("/")
        if slash:
            folders.setdefault(head, {})[rest] = content
        elif isinstance(content, tuple):
            builder.insert(name, pygit2.Oid(hex=content[1]), content[0])
        else:
            builder.insert(name, repo.create_blob(content), FileMode.BLOB)
    for name, inside in folders.items():
        builder.insert(name, _tree(repo, inside), FileMode.TREE)
    return builder.write()


def test_read_snapshot(path: Path, commit: Commit) -> None:
    """The YAML files of a revision, by path, with Git's blob ids; what belongs to tools is passed over."""
    rev = commit({"b.yaml": b"b: 1\n", "a/x.yml": b"", "README.md": b"", ".github/ci.yml": b"", ".holdfast.yaml": b""})
    found = git.read_snapshot(path, "main")
    assert {name: blob.data for name, blob in found.blobs.items()} == {
        ".holdfast.yaml": b"",
        "a/x.yml": b"",
        "b.yaml": b"b: 1\n",
    }
    assert list(found.blobs) == sorted(found.blobs)
    assert (found.revision, found.problems) == (rev, ())
    assert found.blobs["a/x.yml"].id == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_revision_and_its_work_tree_read_alike(path: Path, commit: Commit, tmp_path: Path) -> None:
    """The same files give the same blobs, whether they come from Git or from a directory."""
    files = {"b.yaml": b"b: 1\r\n", "a/x.yml": b"\xff", "c/.d/e.yaml": b"", "f.txt": b""}
    commit(files)
    for name, data in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    assert git.read_snapshot(path, "main").blobs == from_directory(tmp_path / "tree").blobs


def test_root(path: Path, commit: Commit) -> None:
    """Below a root, paths begin there; a root may be a single file; one that is not there is an error."""
    commit({"a/b/x.yaml": b"x: 1\n", "y.yaml": b""})
    assert list(git.read_snapshot(path, "main", "a/b").blobs) == ["x.yaml"]
    assert list(git.read_snapshot(path, "main", "a/b/x.yaml").blobs) == ["x.yaml"]
    with pytest.raises(GitError, match="main has no folder a/c"):
        git.read_snapshot(path, "main", "a/c")


def test_links_and_submodules(path: Path, commit: Commit, repo: pygit2.Repository) -> None:
    """They are reported, never read; of a link inside the tree it is known where its content is."""
    target = str(repo.create_blob(b"../secret.yaml"))
    inside = str(repo.create_blob(b"../x/pools.yaml"))
    commit({
        "link.yaml": (FileMode.LINK, target), "folder": (FileMode.LINK, target), "notes.md": (FileMode.LINK, target),
        "module": (FileMode.COMMIT, "1" * 40), "y/pools.yaml": (FileMode.LINK, inside),
    })  # fmt: skip
    found = git.read_snapshot(path, "main")
    assert not found.blobs
    assert found.problems == (
        Unread("folder", "a symbolic link; links are never followed"),
        Unread("link.yaml", "a symbolic link; links are never followed"),
        Unread("module", "a submodule; its files are not part of this revision"),
        Unread("y/pools.yaml", "a symbolic link; links are never followed", "x/pools.yaml"),
    )


def test_large_files(path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is reported by its size, without being loaded."""
    monkeypatch.setattr(snapshot, "MAX_FILE_BYTES", 10)
    commit({"large.yaml": b"a" * 11, "b.yaml": b"b"})
    found = git.read_snapshot(path, "main")
    assert (list(found.blobs), found.problems) == (["b.yaml"], (Unread("large.yaml", "11 bytes (limit 10)"),))


def test_a_tree_that_repeats_itself(path: Path, repo: pygit2.Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few objects that unfold into billions of folders run into the limit."""
    monkeypatch.setattr(git_trees, "MAX_FOLDERS", 1000)
    tree = _tree(repo, {"a.yaml": b""})
    for _ in range(30):
        builder = repo.TreeBuilder()
        for name in "abcdefghij":
            builder.insert(name, tree, FileMode.TREE)
        tree = builder.write()
    author = pygit2.Signature("A", "a@example.com", 0, 0)
    rev = str(repo.create_commit(None, author, author, "", tree, []))
    with pytest.raises(GitError, match="more than 1,000 folders"):
        git.read_snapshot(path, rev)


def test_resolve(path: Path, commit: Commit) -> None:
    """Branches, tags, abbreviations and expressions become full commit ids."""
    first, second = commit({}), commit({})
    assert git.resolve(path, "main") == second
    assert git.resolve(path, "main~1") == git.resolve(path, first[:8]) == first


@pytest.mark.parametrize("rev", ["nothing", "", "main:a.yaml", "main..main", "0" * 40, "main~9", "\x00", "HEAD^{tree}"])
def test_no_such_revision(path: Path, commit: Commit, rev: str) -> None:
    """What names no commit is an error that repeats what was asked."""
    commit({"a.yaml": b""})
    with pytest.raises(GitError, match="no commit"):
        git.resolve(path, rev)


def test_what_was_meant(path: Path, commit: Commit) -> None:
    """A branch that is misspelt is named, and an empty repository is not searched for one."""
    with pytest.raises(GitError, match="there is no commit yet"):
        git.resolve(path, "main")
    commit({})
    with pytest.raises(GitError, match=r"no commit 'mian'; did you mean .main.\?"):
        git.resolve(path, "mian")


def test_no_repository(tmp_path: Path) -> None:
    """A folder without a repository is named in the message."""
    with pytest.raises(GitError, match="is no Git repository, nor inside one"):
        git.resolve(tmp_path / "nowhere", "main")


def test_history(path: Path, commit: Commit) -> None:
    """Ancestry, merge bases and where to compare from."""
    root = commit({})
    main = commit({})
    branch = commit({}, "branch\n", parents=[root])
    other = commit({}, "alone\n", parents=[])
    assert git.is_ancestor(path, root, main)
    assert git.is_ancestor(path, main, main)
    assert not git.is_ancestor(path, main, root)
    assert git.merge_base(path, main, branch) == root
    assert git.merge_base(path, main, other) is None
    assert git.departure(path, main, branch) == root
    assert git.departure(path, root, main) == root
    assert git.departure(path, main, root) == main
    assert git.departure(path, main, other) == main


def test_subject(path: Path, commit: Commit) -> None:
    """The first line of the message, whatever follows."""
    commit({}, "\nGrow db  \n\nBecause.\n")
    assert git.subject(path, "main") == "Grow db"


TRAILERS = [
    ("Subject\n\nBody.\n\nHoldfast-Approve: abc\n", (("Holdfast-Approve", "abc"),)),
    ("Subject\n\nA: 1\nB:2\nA:   3  \n", (("A", "1"), ("B", "2"), ("A", "3"))),
    ("Subject\n\nA: 1\n  more\n", (("A", "1 more"),)),
    ("Subject\r\n\r\nA: 1\r\n", (("A", "1"),)),
    ("Subject\n\nA: 1\n(cherry picked from commit 0123)\n", (("A", "1"),)),
    ("Holdfast-Approve: abc\n", ()),
    ("Subject\n\nWe wrote\nHoldfast-Approve: abc\n", ()),
    ("Subject\n\nHoldfast-Approve: abc\n\nand then some\n", ()),
    ("Subject\n", ()),
    ("", ()),
]


@pytest.mark.parametrize(("message", "found"), TRAILERS)
def test_trailers(path: Path, commit: Commit, message: str, found: tuple[tuple[str, str], ...]) -> None:
    """Trailers are a last paragraph of nothing else; a sentence that mentions one approves nothing."""
    commit({}, message)
    assert git.trailers(path, "main") == found


def test_find_repository(tmp_path: Path) -> None:
    """The repository around a path, and the path inside it."""
    pygit2.init_repository(str(tmp_path / "repo"))
    (tmp_path / "repo/a/b").mkdir(parents=True)
    assert git.find_repository(tmp_path / "repo/a/b") == (tmp_path / "repo", "a/b")
    assert git.find_repository(tmp_path / "repo") == (tmp_path / "repo", "")


LINES = b"a: 1\n" + b"\n" * 20 + b"b: 1\n"


def _objects(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def _read(path: Path, revs: str) -> dict[str, bytes]:
    return {name: blob.data for name, blob in git.read_reverted(path, revs, "main").blobs.items()}


def test_a_reverted_commit(path: Path, commit: Commit) -> None:
    """What later commits did beside it stays, also in the same file; a file that it brought goes."""
    first = commit({"x.yaml": LINES})
    second = commit({"x.yaml": LINES.replace(b"a: 1", b"a: 2"), "new.yaml": b"n: 1\n"})
    third = commit({"x.yaml": LINES.replace(b": 1", b": 2"), "new.yaml": b"n: 1\n", "y.yaml": b"y: 1\n"})
    before = _objects(path)

    assert _read(path, second) == {"x.yaml": LINES.replace(b"b: 1", b"b: 2"), "y.yaml": b"y: 1\n"}
    assert _read(path, third) == {"x.yaml": LINES.replace(b"a: 1", b"a: 2"), "new.yaml": b"n: 1\n"}
    assert _read(path, f"{first}..{third}") == _read(path, f"{first}..") == {"x.yaml": LINES}
    assert _read(path, f"{third}..{third}") == {
        name: b.data for name, b in git.read_snapshot(path, third).blobs.items()
    }
    assert git.read_reverted(path, second, "main").revision == f"revert of {second}"
    assert _objects(path) == before


def test_a_reverted_beginning(path: Path, commit: Commit) -> None:
    """The first commit of all has nothing before it: without it there is nothing."""
    first = commit({"x.yaml": b"x: 1\n"})
    assert _read(path, first) == {}


def test_a_reverted_merge(path: Path, commit: Commit) -> None:
    """A merge goes back to the branch that it was made on, as `git revert -m 1` does."""
    first = commit({"x.yaml": b"x: 1\n"})
    side = commit({"x.yaml": b"x: 1\n", "y.yaml": b"y: 1\n"}, parents=[first])
    merge = commit({"x.yaml": b"x: 1\n", "y.yaml": b"y: 1\n"}, parents=[first, side])
    assert [*git.read_reverted(path, merge, onto=merge).blobs] == ["x.yaml"]


def test_a_revert_that_conflicts(path: Path, commit: Commit) -> None:
    """What a later commit changed again is named: Git would stop there, and so does this."""
    commit({"x.yaml": b"a: 1\n"})
    second = commit({"x.yaml": b"a: 2\n"})
    commit({"x.yaml": b"a: 3\n"})
    with pytest.raises(GitError, match=r"conflicts with later changes in x\.yaml"):
        git.read_reverted(path, second, "main")


def test_what_cannot_be_reverted(path: Path, commit: Commit) -> None:
    """A commit that HEAD does not build on, or a range the wrong way round, has nothing to revert."""
    first = commit({"x.yaml": b"a: 1\n"})
    second = commit({"x.yaml": b"a: 2\n"})
    beside = commit({"x.yaml": b"a: 3\n"}, parents=[first])
    for revs in (beside, f"{second}..{first}", f"{beside}..{second}"):
        with pytest.raises(GitError, match="there is nothing to revert"):
            git.read_reverted(path, revs, "main")
    with pytest.raises(GitError, match="no commit 'nope'"):
        git.read_reverted(path, "nope", "main")
    with pytest.raises(GitError, match="main has no folder sub"):
        git.read_reverted(path, second, "main", "sub")


@pytest.mark.parametrize("header", [b"encoding nonsense", b"encoding UTF-16"])
def test_messages_in_no_encoding(repo: pygit2.Repository, path: Path, commit: Commit, header: bytes) -> None:
    """Guards against a commit that claims an encoding which its text is not in: it is read all the same."""
    first = commit({"a.yaml": b"a: b"})
    text = bytes(repo.odb.read(pygit2.Oid(hex=first))[1]).replace(
        b"\n\nsubject", b"\n" + header + b"\n\nsubject\xd8", 1
    )
    made = str(repo.odb.write(ObjectType.COMMIT, text.replace(b"\nauthor", f"\nparent {first}\nauthor".encode(), 1)))
    assert git.subject(path, made) == "subject\ufffd"
    assert git.trailers(path, made) == ()
    assert [found.id for found in git.commits_between(path, first, made)] == [made]
