"""AccessPolicy: who may change what, by real signatures; and every way to get around it that we could think of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from signing import Signer, needs_ssh, signed, store, unsigned
from station import station
from tenants import ACCESS, AS_OF, Repository, manifest, policy, quota
from world import volume

from analyzer.analyze import analyze
from analyzer.git import read_snapshot
from analyzer.snapshot import BASELINE_FILE
from reconciler import signatures
from reconciler.cli import main
from reconciler.lineage import history_of
from schemas.keys import ssh_fingerprint

pytestmark = needs_ssh


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
