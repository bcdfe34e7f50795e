"""AccessPolicy over histories: merges, branches, folders, clusters, and revisions that nobody can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from signing import needs_ssh, signed
from tenants import AS_OF, Repository, manifest, quota

from analyzer.analyze import analyze
from analyzer.git import read_snapshot
from analyzer.git_trees import GitError
from reconciler.lineage import history_of

pytestmark = needs_ssh


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_what_is_rendered_counts(here: Repository) -> None:
    """Guards kustomize: a namespace that is set from outside is the namespace, and who sets it needs the right to."""
    bare = manifest("Quota", "all", {"volumes": 1})
    resources = [name for name in here.files() if name.endswith(".yaml")]

    def files(namespace: str) -> dict[str, str]:
        outer = {"resources": [*resources, "team"]}
        inner = {"namespace": namespace, "resources": ["q.yaml"]}
        return here.files() | {
            "kustomization.yaml": json.dumps(outer),
            "team/kustomization.yaml": json.dumps(inner),
            "team/q.yaml": json.dumps(bare),
        }

    base = signed(here.forge, files("team-a"), here.operator, parents=[])
    found = here.judged(base, signed(here.forge, files("team-b"), here.tenant))
    assert {"deletes Quota team-a/all", "creates Quota team-b/all"} == {
        f.message.partition(") ")[2].partition(") ")[2] for f in found
    }


def test_every_site_counts(here: Repository) -> None:
    """Guards repositories of several clusters: also what Holdfast does not apply itself takes the right to."""
    site = here.files(quota(1))
    root = {"resources": sorted(site)}
    files = {f"a/{name}": text for name, text in site.items()} | {"a/kustomization.yaml": json.dumps(root)}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "web"},
        "data": {"a": "b"},
    }
    other = {"b/kustomization.yaml": json.dumps({"resources": ["c.yaml"]}), "b/c.yaml": json.dumps(config)}
    base = signed(here.forge, files | other, here.operator, parents=[])
    changed = other | {"b/c.yaml": json.dumps(config | {"data": {"a": "c"}})}
    [found] = here.judged(base, signed(here.forge, files | changed, here.tenant))
    assert (found.rule, "updates ConfigMap web/c" in found.message) == ("access-denied", True)


def test_honest_merges_need_no_signature(here: Repository) -> None:
    """Guards merge buttons: what each side's own commits did is not asked of the merge again."""
    base = here.begin(quota(1))
    one = signed(here.forge, here.files(quota(2)), here.tenant, parents=[base])
    two = signed(here.forge, here.files(quota(1), quota(3, "team-b")), here.operator, parents=[base])
    head = here.forge.commit(here.files(quota(2), quota(3, "team-b")), parents=[one, two])
    assert here.judged(base, head) == []
    assert here.judged(two, head) == []


def test_an_evil_merge(here: Repository) -> None:
    """Guards against a merge that does something by itself: it is the merge's own, and needs its signature."""
    base = here.begin(quota(1))
    one = signed(here.forge, here.files(quota(2)), here.tenant, parents=[base])
    two = signed(here.forge, here.files(quota(1), quota(3, "team-b")), here.operator, parents=[base])
    merged = here.files(quota(2), quota(77, "team-b"))
    assert here.rules(base, here.forge.commit(merged, parents=[one, two])) == ["unsigned-change"]
    assert here.rules(base, signed(here.forge, merged, here.tenant, parents=[one, two])) == ["access-denied"]


def test_a_merge_that_drops_the_other_side(here: Repository) -> None:
    """Guards against `git merge -s ours`: what others did is undone without any commit that says so."""
    start = here.begin(quota(1), quota(1, "team-b"))
    base = signed(here.forge, here.files(quota(1)), here.operator, "No more team-b", parents=[start])
    old = signed(here.forge, here.files(quota(2), quota(1, "team-b")), here.tenant, parents=[start])
    head = signed(here.forge, here.files(quota(2), quota(1, "team-b")), here.tenant, parents=[old, base])
    [found] = here.judged(base, head)
    assert (found.rule, "creates Quota team-b/all" in found.message) == ("access-denied", True)


def test_sides_that_changed_the_same(here: Repository) -> None:
    """Guards a conflict: whoever resolves it decides, so the right is asked of them."""
    base = here.begin(quota(1, "team-b"), quota(1))
    one = signed(here.forge, here.files(quota(1), quota(2, "team-b")), here.operator, parents=[base])
    two = signed(here.forge, here.files(quota(1), quota(3, "team-b")), here.operator, parents=[base])
    files = here.files(quota(1), quota(2, "team-b"))
    assert here.rules(base, signed(here.forge, files, here.tenant, parents=[one, two])) == ["access-denied"]
    assert here.judged(base, signed(here.forge, files, here.operator, parents=[one, two])) == []


def test_merges_that_cross(here: Repository) -> None:
    """Guards sides that parted more than once: no side counts as unchanged, and the merge answers for what it takes."""
    base = here.begin(quota(1), quota(1, "team-b"))
    one = signed(here.forge, here.files(quota(1), quota(2, "team-b")), here.operator, parents=[base])
    two = signed(here.forge, here.files(quota(2), quota(1, "team-b")), here.tenant, parents=[base])
    both = here.files(quota(2), quota(2, "team-b"))
    left = here.forge.commit(both, "Left", parents=[one, two])
    right = here.forge.commit(both, "Right", parents=[two, one])
    later = signed(here.forge, here.files(quota(3), quota(2, "team-b")), here.tenant, parents=[right])
    files = here.files(quota(3), quota(2, "team-b"))
    assert here.rules(base, here.forge.commit(files, parents=[left, later])) == ["unsigned-change"]
    assert here.judged(base, signed(here.forge, files, here.tenant, parents=[left, later])) == []


def test_unrelated_histories(here: Repository) -> None:
    """Guards against a history brought in from elsewhere: all of it is new, and its commits are asked like any."""
    base = here.begin(quota(1))
    other = here.forge.commit({"x.yaml": json.dumps(quota(4, "team-b"))}, "Elsewhere", parents=[])
    files = here.files(quota(1)) | {"x.yaml": json.dumps(quota(4, "team-b"))}
    head = signed(here.forge, files, here.operator, parents=[base, other])
    assert here.rules(base, head) == ["unsigned-change"]


def test_a_broken_revision_in_between(here: Repository) -> None:
    """Guards against what hides behind YAML that nobody can read: it may be anything, so it takes the right to all."""
    base = here.begin(quota(1))
    broken = here.files() | {"q.yaml": "kind: [unclosed"}
    signed(here.forge, broken, here.tenant, "Oops")
    found = here.judged(base, signed(here.forge, here.files(quota(2)), here.tenant, "Mended"))
    assert {f.rule for f in found} == {"access-denied"}
    assert any("cannot be made out" in f.message for f in found)
    here.forge.move(base)
    signed(here.forge, broken, here.operator, "Oops")
    assert here.judged(base, signed(here.forge, here.files(quota(2)), here.operator, "Mended")) == []


def test_what_was_broken_before_is_nobodys_fault(here: Repository) -> None:
    """Guards repositories with something unreadable in them: a commit that leaves it alone answers for its own."""
    broken = {"b.yaml": "kind: [unclosed"}
    base = signed(here.forge, here.files(quota(1)) | broken, here.operator, parents=[])
    head = signed(here.forge, here.files(quota(2)) | broken, here.tenant)
    before = analyze(read_snapshot(here.forge.path, base), as_of=AS_OF)
    [commit] = history_of(here.forge.path, base, head, "", before.graph).commits
    assert (len(commit.acts), commit.opaque) == (1, ())
    worse = signed(here.forge, here.files(quota(2)) | {"b.yaml": "kind: [unclosed, too"}, here.tenant)
    [_, commit] = history_of(here.forge.path, base, worse, "", before.graph).commits
    assert (commit.acts, len(commit.opaque)) == ((), 1)


def test_declared_twice_in_between(here: Repository) -> None:
    """Guards against a second manifest that waits behind the first: it takes the right to all, too."""
    base = here.begin(quota(1), quota(1, "team-b"))
    files = here.files(quota(1), quota(1, "team-b")) | {"z.yaml": json.dumps(quota(50, "team-b"))}
    signed(here.forge, files, here.tenant)
    found = here.judged(base, signed(here.forge, here.files(quota(2), quota(1, "team-b")), here.tenant))
    assert {f.rule for f in found} == {"access-denied"}


def test_a_revision_that_goes_back(here: Repository) -> None:
    """Guards allowRewind: with a policy in force, no older revision comes back without a commit that answers for it."""
    start = here.begin(quota(1))
    base = signed(here.forge, here.files(quota(2)), here.operator)
    assert here.rules(base, start) == ["history-rewritten"]


def test_the_newest_policies_of_the_branch_count(here: Repository) -> None:
    """Guards pull requests from old branches: a right that was taken away since is gone."""
    start = here.begin(quota(1))
    narrowed = here.files(quota(1))
    narrowed.pop("AccessPolicy--team-a.yaml")
    tip = signed(here.forge, narrowed, here.operator, parents=[start])
    branch = signed(here.forge, here.files(quota(2)), here.tenant, parents=[start], ref="refs/heads/topic")
    assert [(commit.signer, len(commit.acts)) for commit in here.proposed(tip, branch, start)] == [("", 1)]
    assert here.proposed(start, branch, start)[0].signer


@pytest.mark.parametrize("brought", ["policies", "deploys", "nothing"])
def test_policies_that_came_since(here: Repository, brought: str) -> None:
    """Guards old branches against the first policy, too: it binds them, however it comes; nothing else does."""
    plain = {"q.yaml": json.dumps(quota(1))}
    waiting = {f"later/{name}": text for name, text in here.files().items()}
    root = {"kustomization.yaml": json.dumps({"resources": ["q.yaml"]})}
    start = here.forge.commit(plain | waiting | root if brought == "deploys" else plain, parents=[])
    wider = {"kustomization.yaml": json.dumps({"resources": ["q.yaml", *sorted(waiting)]})}
    now = {"policies": plain | here.files(), "deploys": plain | waiting | wider, "nothing": plain | {"r.yaml": "# r"}}
    tip = here.forge.commit(now[brought], parents=[start])
    other = {"q.yaml": json.dumps(quota(2))}
    files = other | waiting | root if brought == "deploys" else other
    branch = here.forge.commit(files, parents=[start], ref="refs/heads/topic")
    assert len(here.proposed(tip, branch, start)) == (0 if brought == "nothing" else 1)


def test_only_the_folder_that_is_followed(here: Repository) -> None:
    """Guards one repository of many things: what is outside the folder needs no right."""
    inside = {f"site/{name}": text for name, text in here.files(quota(1)).items()}
    base = signed(here.forge, inside, here.operator, parents=[])
    head = here.forge.commit(inside | {"other/q.yaml": json.dumps(quota(9))})
    before = analyze(read_snapshot(here.forge.path, base, "site"), as_of=AS_OF)
    [commit] = history_of(here.forge.path, base, head, "site", before.graph).commits
    assert commit.acts == ()


def test_too_many_commits(here: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the daemon's time: more commits than can be judged one by one are an error that says so, never skipped."""
    base = here.begin(quota(1))
    for number in range(4):
        head = here.forge.commit(here.files(quota(number + 2)))
    monkeypatch.setattr("analyzer.git.MAX_COMMITS", 3)
    with pytest.raises(GitError, match="more than 3 commits"):
        here.judged(base, head)
