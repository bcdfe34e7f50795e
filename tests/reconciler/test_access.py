"""AccessPolicy: who may change what, by real signatures; and every way to get around it that we could think of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from forge import Forge
from signing import Signer, needs_ssh, signed, store, unsigned
from station import station
from world import volume

from analyzer.analyze import analyze
from analyzer.finding import Finding, Severity
from analyzer.git import GitError, read_snapshot
from analyzer.history import Commit
from analyzer.snapshot import BASELINE_FILE
from reconciler import signatures
from reconciler.cli import main
from reconciler.lineage import history_of, proposal_of
from schemas.keys import ssh_fingerprint

pytestmark = needs_ssh
AS_OF = date(2026, 6, 1)
API = "storage.holdfast.dev/v1alpha1"
ACCESS = {"history-rewritten", "unsigned-change", "access-denied"}


def manifest(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def quota(volumes: int, namespace: str = "team-a", name: str = "all") -> dict[str, Any]:
    return manifest("Quota", name, {"volumes": volumes}, namespace)


def policy(by: Signer, *allow: Mapping[str, Any], name: str = "operators") -> dict[str, Any]:
    return manifest("AccessPolicy", name, {"subjects": [{"name": name, "sshKey": by.public}], "allow": list(allow)})


@dataclass
class Repository:
    """One repository with an operator, who may do everything, and a tenant, who may change quotas of team-a."""

    folder: Path
    forge: Forge = field(init=False)
    operator: Signer = field(init=False)
    tenant: Signer = field(init=False)
    stranger: Signer = field(init=False)

    def __post_init__(self) -> None:
        self.forge = Forge(self.folder / "site.git")
        self.operator, self.tenant, self.stranger = (Signer.new(self.folder, n) for n in ("ops", "team", "eve"))

    def policies(self) -> list[dict[str, Any]]:
        tenant = {"kinds": ["Quota"], "namespaces": ["team-a"], "changes": ["create", "update"]}
        return [policy(self.operator, {"kinds": ["*"]}), policy(self.tenant, tenant, name="team-a")]

    def files(self, *manifests: Mapping[str, Any], **others: str) -> dict[str, str]:
        """Each manifest in a file of its own, the policies beside them."""
        found = [*self.policies(), *manifests]
        named = {f"{m['kind']}-{m['metadata'].get('namespace', '')}-{m['metadata']['name']}.yaml": m for m in found}
        return {name: json.dumps(m) for name, m in named.items()} | others

    def begin(self, *manifests: Mapping[str, Any]) -> str:
        return signed(self.forge, self.files(*manifests), self.operator, parents=[])

    def judged(self, base: str, head: str) -> list[Finding]:
        """What the gate would say of access."""
        before = analyze(read_snapshot(self.forge.path, base), as_of=AS_OF)
        history = history_of(self.forge.path, base, head, "", before.graph)
        report = analyze(read_snapshot(self.forge.path, head), as_of=AS_OF, base=before, history=history)
        assert {finding.rule for finding in report.at_least(Severity.ERROR)} <= ACCESS
        return [finding for finding in report.findings if finding.rule in ACCESS]

    def proposed(self, base: str, head: str, left: str) -> tuple[Commit, ...]:
        """The commits of a branch that left the base there."""
        before = analyze(read_snapshot(self.forge.path, left), as_of=AS_OF)
        return proposal_of(self.forge.path, base, head, "", left, before.graph).commits

    def rules(self, base: str, head: str) -> list[str]:
        return sorted(finding.rule for finding in self.judged(base, head))


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_what_is_allowed_passes(here: Repository) -> None:
    """Guards the ordinary day: a tenant changes what is theirs, an operator anything, each signed."""
    base = here.begin(quota(1))
    signed(here.forge, here.files(quota(2)), here.tenant)
    head = signed(here.forge, here.files(quota(2), quota(5, "team-b")), here.operator)
    assert here.judged(base, head) == []


def test_unsigned(here: Repository) -> None:
    """Guards against a push without a signature, whatever name stands in it: the name of the author is nobody's key."""
    base = here.begin(quota(1))
    head = here.forge.commit(here.files(quota(2)))
    [found] = here.judged(base, head)
    assert (found.rule, found.resource and found.resource.name) == ("unsigned-change", "all")
    assert found.message == f"commit {head[:12]} (A change) changes one thing, and it is not signed"
    assert str(found.location).startswith("Quota-team-a-all.yaml:1:")


def test_a_change_of_nothing_needs_no_signature(here: Repository) -> None:
    """Guards documentation: a commit that changes no manifest may be anybody's."""
    base = here.begin(quota(1))
    head = here.forge.commit(here.files(quota(1), **{"README.md": "Hello"}))
    assert here.judged(base, head) == []


def test_moving_a_manifest_is_no_change(here: Repository) -> None:
    """Guards tidying up: the same manifest in another file is the same."""
    base = here.begin(quota(1))
    files = here.files()
    assert here.judged(base, here.forge.commit(files | {"elsewhere/q.yaml": json.dumps(quota(1))})) == []


def test_signed_by_a_stranger(here: Repository) -> None:
    """Guards against any key: one that no policy names is as good as none."""
    base = here.begin(quota(1))
    [found] = here.judged(base, signed(here.forge, here.files(quota(2)), here.stranger))
    assert found.rule == "unsigned-change"
    assert found.message.endswith("it is signed with a key that no AccessPolicy names")


def test_the_signature_of_another_commit(here: Repository) -> None:
    """Guards against a signature that was copied: it fits the commit it was made for and no other."""
    base = here.begin(quota(1))
    good = unsigned(here.forge, here.files(quota(2)), "Two")
    bad = unsigned(here.forge, here.files(quota(99)), "Two")
    [found] = here.judged(base, store(here.forge, bad, here.tenant.sign(good)))
    assert found.rule == "unsigned-change"
    assert found.message.endswith("its signature does not fit it: it was changed, or the signature is another commit's")


def test_a_signature_for_another_purpose(here: Repository) -> None:
    """Guards against what somebody signed elsewhere, such as a file: only signatures of commits count."""
    base = here.begin(quota(1))
    text = unsigned(here.forge, here.files(quota(2)))
    assert here.rules(base, store(here.forge, text, here.tenant.sign(text, "file"))) == ["unsigned-change"]


@pytest.mark.parametrize(
    "signature", ["nonsense", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"]
)
def test_what_is_no_signature(here: Repository, signature: str) -> None:
    """Guards against text where a signature belongs: said as a finding, never a crash, never let through."""
    base = here.begin(quota(1))
    head = store(here.forge, unsigned(here.forge, here.files(quota(2))), signature)
    assert here.rules(base, head) == ["unsigned-change"]


@pytest.mark.parametrize(
    ("changed", "action", "kind"),
    [
        (lambda: [quota(1), quota(2, "team-b")], "create", "Quota in namespace team-b"),
        (list, "delete", "Quota in namespace team-a"),
        (lambda: [quota(1), manifest("QoSPolicy", "gold", {"iops": 1000}, "team-a")], "create",
         "QoSPolicy in namespace team-a"),
        (lambda: [quota(1), manifest("QoSPolicy", "gold", {"iops": 1000})], "create", "QoSPolicy"),
    ],
    ids=["another tenant", "another act", "another kind", "no namespace"],
)  # fmt: skip
def test_what_is_not_allowed(
    here: Repository, changed: Callable[[], Sequence[dict[str, Any]]], action: str, kind: str
) -> None:
    """Guards the limits of a right: namespace, act and kind each bind."""
    base = here.begin(quota(1))
    [found] = here.judged(base, signed(here.forge, here.files(*changed()), here.tenant))
    assert found.rule == "access-denied"
    assert f"whom an AccessPolicy allows {action} of {kind}," in found.help


def test_a_commit_grants_itself_nothing(here: Repository) -> None:
    """Guards against a policy that is loosened and used in one push: that of the base counts for every commit."""
    base = here.begin(quota(1))
    loose = policy(here.tenant, {"kinds": ["*"]}, name="team-a")
    files = here.files(quota(1)) | {"AccessPolicy--team-a.yaml": json.dumps(loose)}
    signed(here.forge, files, here.tenant, "Loosen")
    files |= {"q.yaml": json.dumps(quota(9, "team-b"))}
    found = here.judged(base, signed(here.forge, files, here.tenant, "Use"))
    assert [(f.rule, "Loosen" in f.message) for f in found] == [("access-denied", True), ("access-denied", False)]


def test_the_policy_file_needs_a_right(here: Repository) -> None:
    """Guards budgets and severities: who may change quotas may not change .holdfast.yaml, nor lift this by it."""
    base = here.begin(quota(1))
    files = here.files(quota(1), **{".holdfast.yaml": "ignore: [AccessPolicy*]\n"})
    found = here.judged(base, signed(here.forge, files, here.tenant))
    assert [f.rule for f in found] == ["access-denied"] * 3
    assert found[0].location.path == ".holdfast.yaml" or "creates .holdfast.yaml" in " ".join(f.message for f in found)
    here.forge.move(base)
    assert here.judged(base, signed(here.forge, here.files(quota(1), **{".holdfast.yaml": "failOn: warning\n"}),
                                    here.operator)) == []  # fmt: skip


def test_the_baseline_needs_a_right(here: Repository) -> None:
    """Guards what is known to be wrong: setting findings aside for everybody is changing the policy."""
    base = here.begin(quota(1))
    baseline = json.dumps({"version": "holdfast.dev/baseline/v1", "findings": []})
    [found] = here.judged(base, signed(here.forge, here.files(quota(1), **{BASELINE_FILE: baseline}), here.tenant))
    assert (found.rule, "creates .holdfast-baseline.json" in found.message) == ("access-denied", True)


def test_nobody_allows_it_away(here: Repository) -> None:
    """Guards against a comment or a policy that allows these findings: refused, for all kinds."""
    base = here.begin(quota(1))
    note = "# holdfast: allow[access-denied, unsigned-change] because I say so, until 2030-01-01\n"
    secret = f"{note}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: team-b}}\n"
    files = here.files(quota(1)) | {"c.yaml": secret, "q.yaml": note + json.dumps(quota(3, "team-b"))}
    for by in (here.tenant, here.stranger):
        head = signed(here.forge, files, by, parents=[base])
        before = analyze(read_snapshot(here.forge.path, base), as_of=AS_OF)
        history = history_of(here.forge.path, base, head, "", before.graph)
        report = analyze(read_snapshot(here.forge.path, head), as_of=AS_OF, base=before, history=history)
        found = [f for f in report.findings if f.rule in ACCESS]
        assert len(found) == (2 if by is here.tenant else 1)
        assert all(f.fixed for f in found)
        assert report.blocks


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


def test_an_approval_needs_a_right(here: Repository) -> None:
    """Guards what is held for a person: a trailer approves nothing for somebody who may not approve."""
    base = here.begin(quota(1))
    message = "Go on\n\nHoldfast-Approve: A-00000000000000000000000000000001"
    [found] = here.judged(base, signed(here.forge, here.files(quota(1)), here.tenant, message))
    assert found.rule == "access-denied"
    assert "approves A-0000" in found.message
    here.forge.move(base)
    assert here.rules(base, here.forge.commit(here.files(quota(1)), message)) == ["unsigned-change"]
    here.forge.move(base)
    assert here.judged(base, signed(here.forge, here.files(quota(1)), here.operator, message)) == []


def test_a_change_that_is_taken_back_is_a_change(here: Repository) -> None:
    """Guards each commit by itself: that nothing differs in the end does not excuse what was in between."""
    base = here.begin(quota(1))
    here.forge.commit(here.files(quota(5)))
    head = here.forge.commit(here.files(quota(1)))
    assert here.rules(base, head) == ["unsigned-change", "unsigned-change"]


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


def test_no_policy_at_the_base(here: Repository) -> None:
    """Guards the day before: without a policy nothing is asked, also of the commit that brings the first."""
    base = here.forge.commit({"q.yaml": json.dumps(quota(1))}, parents=[])
    assert here.judged(base, here.forge.commit(here.files(quota(2)))) == []


def test_the_last_policy_goes_by_right(here: Repository) -> None:
    """Guards the way out: taking the policies away takes the right to."""
    base = here.begin(quota(1))
    bare = {"q.yaml": json.dumps(quota(1))}
    assert here.rules(base, here.forge.commit(bare)) == ["unsigned-change"]
    here.forge.move(base)
    assert here.judged(base, signed(here.forge, bare, here.operator)) == []


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


def test_a_missing_tool_is_said(here: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards a machine without OpenSSH: nothing passes for signed, and the finding says what is missing."""
    base = here.begin(quota(1))
    head = signed(here.forge, here.files(quota(2)), here.tenant)
    monkeypatch.setenv("PATH", str(here.folder))
    [found] = here.judged(base, head)
    assert found.message.endswith("ssh-keygen (OpenSSH 8.2 or newer) is not installed here")


def test_a_tool_that_hangs(here: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the daemon's tick: a tool that does not answer is given up, and nothing passes for signed."""
    base = here.begin(quota(1))
    head = signed(here.forge, here.files(quota(2)), here.tenant)
    tool = here.folder / "ssh-keygen"
    tool.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(here.folder))
    monkeypatch.setattr(signatures, "DEADLINE", 0.2)
    [found] = here.judged(base, head)
    assert found.message.endswith("ssh-keygen did not answer within 0.2 s")


def test_too_many_commits(here: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the daemon's time: more commits than can be judged one by one are an error that says so, never skipped."""
    base = here.begin(quota(1))
    for number in range(4):
        head = here.forge.commit(here.files(quota(number + 2)))
    monkeypatch.setattr("analyzer.git.MAX_COMMITS", 3)
    with pytest.raises(GitError, match="more than 3 commits"):
        here.judged(base, head)


def test_lint_judges_the_commits(here: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Guards the pull-request check: lint and check say what the gate would say, with its exit code."""
    base = here.begin(quota(1))
    signed(here.forge, here.files(quota(2)), here.tenant)
    repository = ["--repo", str(here.forge.path)]
    assert main(["lint", *repository, "--rev", "main", "--base", base]) == 0
    head = signed(here.forge, here.files(quota(2), quota(5, "team-b")), here.tenant)
    assert main(["lint", *repository, "--rev", "main", "--base", base]) == 1
    assert f"team-a ({ssh_fingerprint(here.tenant.public)}) may not do" in " ".join(capsys.readouterr().out.split())
    assert main(["check", *repository, f"{base}..{head}"]) == 1
    assert "access-denied" in capsys.readouterr().out


def test_the_gate_keeps_the_policy() -> None:
    """Guards targets: what the check blocks the daemon blocks, also after a restart; with the right it is enforced."""
    with station() as site:
        operator, eve = Signer.new(site.world.folder, "ops"), Signer.new(site.world.folder, "eve")
        access = policy(operator, {"kinds": ["*"]})
        first = signed(site.forge, site.files(access, volume("a")), operator)
        site.daemon.poll()
        for by in (None, eve):
            site.forge.move(first)
            files = site.files(access, volume("a"), volume("b"))
            signed(site.forge, files, by) if by else site.forge.commit(files)
            site.daemon.poll()
            assert site.last("RevisionRejected").message.endswith("[unsigned-change]")
            site.restart()
            site.daemon.poll()
            assert site.accepted == first
        head = signed(site.forge, site.files(access, volume("a")), operator, parents=[site.forge.head()])
        site.daemon.poll()
        assert site.accepted == first, "the unsigned commit is still part of what was pushed"
        site.forge.move(first)
        head = signed(site.forge, site.files(access, volume("a"), volume("b")), operator)
        site.daemon.poll()
        assert site.accepted == head


def test_the_gate_takes_the_first_policy_as_it_is() -> None:
    """Guards the introduction: the commit that brings the first policy is asked for nothing, the next one is."""
    with station() as site:
        operator = Signer.new(site.world.folder, "ops")
        site.push(volume("a"))
        introduced = site.push(volume("a"), policy(operator, {"kinds": ["*"]}))
        assert site.accepted == introduced
        site.push(volume("a"))
        assert site.accepted == introduced
        assert site.last("RevisionRejected").message.endswith("[unsigned-change]")


def test_lost_keys() -> None:
    """Guards the way back when no key is left: the machine names one commit, and what is pushed after it is asked."""
    with station() as site:
        lost, found = Signer.new(site.world.folder, "lost"), Signer.new(site.world.folder, "found")
        first = site.push(volume("a"), policy(lost, {"kinds": ["*"]}))
        renewed = signed(site.forge, site.files(volume("a"), policy(found, {"kinds": ["*"]})), found)
        site.daemon.poll()
        assert site.accepted == first
        site.restart(trusted=renewed)
        site.daemon.poll()
        assert site.accepted == renewed
        site.push(volume("b"), policy(found, {"kinds": ["*"]}))
        assert site.accepted == renewed
