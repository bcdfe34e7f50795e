"""The GitHub Action, step by step as its file has them, on a real repository: what it tells, where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_github import LARGEST
from pull_requests import NUMBER, PullRequest, git

VOLUMES = "site/team-a/volumes.yaml"
OTHERS = "site/team-b/volumes.yaml"
STRAY = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata: {name: %s, namespace: team-a} # holdfast: allow[unexported-volume] nothing uses it yet
spec: {poolRef: nowhere, size: 1Gi}
"""


def broken(pull: PullRequest, pool: str = "nowhere") -> dict[str, str | None]:
    """A volume on a pool that is not there."""
    return {"site/stray.yaml": (STRAY % "stray").replace("nowhere", pool)}


def faster(pull: PullRequest) -> dict[str, str | None]:
    """A limit that is higher, and nothing else."""
    return {VOLUMES: pull.read(VOLUMES).replace("iops: 20000", "iops: 30000"), "site/stray.yaml": None}


def test_a_comment_is_created_then_edited_then_green(pull_request: PullRequest) -> None:
    """Guards the one comment: a bad change creates it, another edits it in place, a mended one turns it green."""
    first = pull_request.push(broken(pull_request))
    ran = pull_request.act(run=1000)
    assert ran.code == 1, ran.log
    (body,) = pull_request.comments
    assert "### ⛔ Holdfast: blocked by 1 new finding" in body
    assert f"https://github.example.com/example/storage/blob/{first}/site/stray.yaml#L4" in body
    assert ran.outputs["findings-count"] == ran.outputs["new-findings-count"] == "1"
    assert (ran.outputs["highest-severity"], ran.outputs["impact-verdict"]) == ("error", "blocked")
    (told,) = [line for line in ran.annotations("error") if "dangling" in line]
    assert told.startswith("::error file=site/stray.yaml,line=4,")
    assert "blocked by 1 new finding" in ran.summary
    assert "blocked by 1 new finding" in Path(ran.outputs["report-path"]).read_text()

    pull_request.push(broken(pull_request, pool="elsewhere"))
    assert pull_request.act(run=1001).code == 1
    (body,) = pull_request.comments
    assert "elsewhere" in body
    assert "nowhere" not in body

    pull_request.push(faster(pull_request))
    ran = pull_request.act(run=1002)
    assert ran.code == 0, ran.log
    (body,) = pull_request.comments
    assert "### ✅ Holdfast: passes" in body
    assert "Volume team-a/db-data" in body
    assert ran.annotations("error") == []
    assert ran.outputs["impact-verdict"] == "pass"


def test_our_comment_among_many(pull_request: PullRequest) -> None:
    """Guards long threads and impostors: ours is found on a later page, and the same mark by another hand is not it."""
    state = pull_request.github.state
    pull_request.push(broken(pull_request))
    assert pull_request.act(comment="new").code == 1
    ours = state.comments.pop()
    for number in range(230):
        state.say(f"LGTM {number}", login="ada")
    impostor = state.say(ours["body"].replace("blocked", "passes"), login="mallory")["body"]
    state.say(ours["body"])
    pull_request.push(faster(pull_request))
    assert pull_request.act(run=1001).code == 0
    assert len(state.comments) == 232
    assert "passes" in state.comments[-1]["body"]
    assert state.comments[-2]["body"] == impostor


def test_a_comment_for_each_run(pull_request: PullRequest) -> None:
    """Guards `comment: new`, and `off`, which asks GitHub nothing."""
    pull_request.push(broken(pull_request))
    for run in (1000, 1001):
        pull_request.act(comment="new", run=run)
    assert len(pull_request.comments) == 2
    asked = len(pull_request.github.state.asked)
    assert pull_request.act(comment="off").code == 1
    assert len(pull_request.github.state.asked) == asked


def test_nothing_to_say(pull_request: PullRequest) -> None:
    """Guards against noise: a pull request that touches no manifest gets no comment, and one that has it keeps it."""
    pull_request.push({"notes.txt": "hello"})
    assert pull_request.act().code == 0
    assert pull_request.comments == []
    pull_request.push(broken(pull_request))
    pull_request.act()
    pull_request.push({"site/stray.yaml": None})
    assert pull_request.act(run=1001).code == 0
    assert "✅ Holdfast: passes" in pull_request.comments[0]


def test_an_older_run_does_not_overwrite_a_newer_one(pull_request: PullRequest) -> None:
    """Guards runs that overtake each other: the verdict of the newer one stays."""
    pull_request.push(faster(pull_request) | {"site/stray.yaml": STRAY % "stray"})
    pull_request.act(run=2000)
    pull_request.push({"site/stray.yaml": None})
    ran = pull_request.act(run=1999)
    assert "outdated" in ran.log
    assert "⛔" in pull_request.comments[0]


def test_a_fork(pull_request: PullRequest) -> None:
    """Guards pull requests of forks, whose token may not write: the verdict stands, and the summary tells all."""
    pull_request.fork = True
    pull_request.github.state.may_write = False
    pull_request.push(broken(pull_request))
    ran = pull_request.act()
    assert ran.code == 1
    assert pull_request.comments == []
    assert "a pull request of a fork gives no right to comment" in ran.annotations("notice")[0]
    assert "blocked by 1 new finding" in ran.summary
    pull_request.push({"site/stray.yaml": None})
    assert pull_request.act().code == 0


def test_a_job_without_the_right(pull_request: PullRequest) -> None:
    """Guards set-up: a job of the repository itself that may not comment is told what it lacks, and does not fail."""
    pull_request.github.state.may_write = False
    pull_request.push(faster(pull_request))
    ran = pull_request.act()
    assert ran.code == 0
    assert "pull-requests: write" in ran.annotations("warning")[0]


@pytest.mark.parametrize(
    ("broken_answers", "forgets"),
    [
        ([(502, {"Retry-After": "0"}), (403, {"Retry-After": "0"})], 0),
        ([], 1),
    ],
)
def test_what_passes_by_itself(
    pull_request: PullRequest, broken_answers: list[tuple[int, dict[str, str]]], forgets: int
) -> None:
    """Guards bad minutes of GitHub: it is asked again, and a comment that was written is not written twice."""
    state = pull_request.github.state
    state.broken, state.forgets = broken_answers, forgets
    pull_request.push(faster(pull_request))
    ran = pull_request.act()
    assert ran.code == 0, ran.log
    assert len(pull_request.comments) == 1


def test_what_does_not_pass(pull_request: PullRequest) -> None:
    """Guards the verdict against GitHub's troubles: a long limit is said, waited for by nobody, and fails nothing."""
    limit = {
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "4102444800",
    }
    pull_request.github.state.broken = [(403, limit)]
    pull_request.push(faster(pull_request))
    ran = pull_request.act()
    assert (ran.code, pull_request.comments) == (0, [])
    assert "403 something is wrong" in ran.annotations("warning")[0]


def test_the_token_is_told_nobody(pull_request: PullRequest) -> None:
    """Guards the token: neither log, summary, outputs nor files hold it, whatever goes wrong."""
    pull_request.github.state.token = "another"  # noqa: S105  # a test's
    pull_request.push(broken(pull_request))
    ran = pull_request.act()
    told = [ran.log, ran.summary, json.dumps(ran.outputs)]
    told += [file.read_text() for file in Path(ran.outputs["report-path"]).parent.iterdir()]
    assert "401 Bad credentials" in ran.log
    assert [text for text in told if pull_request.runner.token in text] == []


# --- revisions


def test_a_shallow_checkout(pull_request: PullRequest) -> None:
    """Guards the usual checkout of one commit: the base is fetched, and only what the pull request does is told."""
    pull_request.depth = 1
    git(pull_request.upstream, "checkout", "-q", "main")
    pull_request.commit({OTHERS: pull_request.read(OTHERS).replace("size: 512Mi", "size: 1Gi", 1)}, "Beside")
    git(pull_request.upstream, "checkout", "-q", "topic")
    pull_request.push(faster(pull_request))
    ran = pull_request.act()
    assert ran.code == 0, ran.log
    assert "Changes: 1 safe" in pull_request.comments[0]
    head = pull_request.event["pull_request"]["head"]["sha"]
    workspace = pull_request.runner.workspace
    assert git(workspace, "rev-parse", "HEAD^2") == head  # whose signature may be asked for
    assert git(workspace, "merge-base", "HEAD^1", head)


def test_a_shallow_checkout_of_the_branch(pull_request: PullRequest) -> None:
    """Guards checkouts of the branch itself: history is fetched until it holds where the branch left."""
    pull_request.push(faster(pull_request))
    for number in range(3):
        pull_request.push({"notes.txt": str(number)})
    git(pull_request.upstream, "checkout", "-q", "main")
    pull_request.commit({OTHERS: pull_request.read(OTHERS).replace("size: 512Mi", "size: 1Gi", 1)}, "Beside")
    pull_request.event["pull_request"]["base"]["sha"] = git(pull_request.upstream, "rev-parse", "main")
    pull_request.depth = 1
    pull_request.check_out("refs/heads/topic")
    ran = pull_request.act()
    assert ran.code == 0, ran.log
    assert "Changes: 1 safe" in pull_request.comments[0]


def test_a_base_that_cannot_be_had(pull_request: PullRequest) -> None:
    """Guards against a guess: without its base nothing is compared, the job says what to do, the comment says so."""
    pull_request.depth = 1
    pull_request.push(broken(pull_request))
    pull_request.act()
    git(pull_request.runner.workspace, "remote", "set-url", "origin", "file:///nowhere")
    git(pull_request.runner.workspace, "update-ref", "--no-deref", "HEAD", "HEAD")
    pull_request.event["pull_request"]["base"]["sha"] = "1" * 40
    pull_request.event["pull_request"]["head"]["sha"] = "2" * 40
    ran = pull_request.act(run=1001)
    assert ran.code == 3
    assert "fetch-depth: 0" in ran.annotations("error")[0]
    assert "could not check this" in pull_request.comments[0]


def test_pushes(pull_request: PullRequest) -> None:
    """Guards pushes: what one brings is compared with before it, that of a new branch with the default branch."""
    before = git(pull_request.upstream, "rev-parse", "main")
    pull_request.push(faster(pull_request))
    for older in (before, "0" * 40):
        pull_request.event = {"before": older, "repository": {"default_branch": "main"}}
        pull_request.check_out("refs/heads/topic")
        ran = pull_request.act("push")
        assert ran.code == 0, ran.log
        assert "Changes: 1 safe" in ran.summary
    assert pull_request.comments == []


def test_a_merge_queue(pull_request: PullRequest) -> None:
    """Guards merge queues: what is about to be merged is compared with what it goes onto."""
    pull_request.push(faster(pull_request))
    pull_request.event = {"merge_group": {"base_sha": git(pull_request.upstream, "rev-parse", "main")}}
    ran = pull_request.act("merge_group")
    assert ran.code == 0, ran.log
    assert "Changes: 1 safe" in ran.summary


def test_the_base_itself_is_checked_out(pull_request: PullRequest) -> None:
    """Guards `pull_request_target`, whose checkout is the base: nothing is compared with itself and called fine."""
    pull_request.push(broken(pull_request))
    pull_request.check_out("refs/heads/main")
    ran = pull_request.act("pull_request_target")
    assert ran.code == 3
    assert "check out the pull request itself" in ran.annotations("error")[0]


def test_other_machines(pull_request: PullRequest) -> None:
    """Guards runners that cannot do it: one message, and nothing is installed."""
    pull_request.push(broken(pull_request))
    pull_request.runner.environment["RUNNER_OS"] = "Windows"
    ran = pull_request.act()
    assert ran.code == 3
    assert "Linux and macOS" in ran.annotations("error")[0]


def test_without_a_base(pull_request: PullRequest) -> None:
    """Guards schedules and runs by hand: the manifests themselves are checked, and that is said."""
    pull_request.push(broken(pull_request))
    pull_request.event = {}
    ran = pull_request.act("schedule")
    assert ran.code == 1
    assert "only the manifests themselves were checked" in "".join(ran.annotations("notice"))
    assert ran.outputs["impact-verdict"] == ""


# --- inputs


def test_a_base_by_name(pull_request: PullRequest) -> None:
    """Guards `base`: any revision, also one that only the origin has."""
    pull_request.push(broken(pull_request))
    git(pull_request.upstream, "branch", "release", "topic")
    pull_request.push(faster(pull_request))
    for name in ("release", "origin/release"):
        ran = pull_request.act(base=name)
        assert ran.code == 0, ran.log
        assert "1 fixed" in ran.summary
    for hostile in ("--upload-pack=touch pwned", "+refs/heads/release:refs/heads/topic"):
        assert pull_request.act(base=hostile).code == 3
    assert list(pull_request.folder.rglob("pwned")) == []
    ran = pull_request.act(base="nope")
    assert ran.code == 3
    assert "no commit 'nope' here" in ran.annotations("error")[0]


def test_modes(pull_request: PullRequest) -> None:
    """Guards `mode`: lint says nothing of effects, impact annotates nothing."""
    pull_request.push(broken(pull_request) | {VOLUMES: faster(pull_request)[VOLUMES]})
    ran = pull_request.act(mode="lint")
    assert (ran.code, ran.outputs["impact-verdict"]) == (1, "")
    assert "Changes:" not in ran.summary
    ran = pull_request.act(mode="impact")
    assert ran.code == 1
    assert [line for line in ran.annotations("error") if "file=" in line] == []
    assert "iops" in ran.summary


def test_what_was_there_before(pull_request: PullRequest) -> None:
    """Guards `changed-only` and `fail-on`: what fails a job is what a team asked for."""
    git(pull_request.upstream, "checkout", "-q", "main")
    pull_request.commit(broken(pull_request), "Broken before")
    git(pull_request.upstream, "checkout", "-qB", "topic", "main")
    pull_request.push({VOLUMES: faster(pull_request)[VOLUMES]})
    assert pull_request.act().code == 1
    ran = pull_request.act(changed_only="true")
    assert ran.code == 0, ran.log
    assert (ran.outputs["findings-count"], ran.outputs["new-findings-count"]) == ("1", "0")
    assert "1 known before" in ran.summary


def test_a_baseline(pull_request: PullRequest) -> None:
    """Guards `baseline`: what the file knows does not count, and one that cannot be read is said."""
    pull_request.push({"site/other.yaml": "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n"})
    ran = pull_request.act(fail_on="warning")
    assert ran.code == 1
    checked = json.loads((Path(ran.outputs["report-path"]).parent / "check.json").read_text())
    known = {"fingerprint": checked["failing"][0]["fingerprint"], "count": 1}
    (pull_request.runner.workspace / "known.json").write_text(
        json.dumps({"version": "holdfast.dev/baseline/v1", "findings": [known]})
    )
    ran = pull_request.act(baseline="known.json", fail_on="warning", run=1001)
    assert ran.code == 0, ran.log
    assert "Allowed (1)" in ran.summary
    assert pull_request.act(baseline="nope.json", run=1002).code == 3
    (pull_request.runner.workspace / "known.json").write_text("[]")
    ran = pull_request.act(baseline="known.json", run=1003)
    assert ran.code == 2
    assert "not a baseline" in ran.annotations("error")[0]


def test_another_policy(pull_request: PullRequest) -> None:
    """Guards `config`: a policy from elsewhere in the repository counts in place of the folder's own."""
    pull_request.push(broken(pull_request) | {"policy.yaml": "ignore: [stray.yaml]\n"})
    assert pull_request.act().code == 1
    assert pull_request.act(config="policy.yaml").code == 0
    ran = pull_request.act(config="nope.yaml")
    assert ran.code == 3
    assert "there is no such policy file" in ran.annotations("error")[0]


def test_code_scanning(pull_request: PullRequest) -> None:
    """Guards `sarif-file`: findings with paths from the root of the repository, in a file that the output names."""
    pull_request.push(broken(pull_request))
    ran = pull_request.act(sarif_file="out/holdfast.sarif")
    assert ran.outputs["sarif-path"] == str(pull_request.runner.workspace / "out/holdfast.sarif")
    (result,) = [
        one
        for one in json.loads(Path(ran.outputs["sarif-path"]).read_text())["runs"][0]["results"]
        if one["level"] == "error"
    ]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "site/stray.yaml"


def test_a_working_directory(pull_request: PullRequest) -> None:
    """Guards checkouts in a folder of the workspace, and folders of a checkout: places stay the repository's."""
    pull_request.push(broken(pull_request))
    ran = pull_request.act(path="", working_directory="site")
    assert ran.code == 1
    assert any("file=site/stray.yaml,line=4" in line for line in ran.annotations("error"))


# --- what nobody wishes for

INPUTS = ("base", "path", "config", "mode", "fail_on", "baseline", "changed_only", "sarif_file", "working_directory")


@pytest.mark.parametrize("name", [*INPUTS[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in INPUTS[2:])])
def test_inputs_are_no_scripts(pull_request: PullRequest, name: str) -> None:
    """Guards inputs, which may hold the name of a branch: nothing of them is carried out, and no output is forged."""
    pull_request.push(broken(pull_request))
    ran = pull_request.act(**{name: "$(touch pwned) `touch pwned` '; touch pwned; \"; touch pwned\nexit-code=0\n"})
    assert ran.code in {1, 2, 3}, ran.log
    assert list(pull_request.folder.rglob("pwned")) == []
    assert "Traceback" not in ran.log


def test_nothing_of_the_checkout_is_run(pull_request: PullRequest) -> None:
    """Guards reviewers of strangers: modules of our names at the root of a pull request are never imported."""
    trap = "open('pwned', 'w').close()\n"
    names = (
        "json.py",
        "venv.py",
        "pip.py",
        "sitecustomize.py",
        "reconciler/__init__.py",
        "reconciler/github/__main__.py",
    )
    pull_request.push(broken(pull_request) | dict.fromkeys(names, trap))
    assert pull_request.act().code == 1
    assert list(pull_request.folder.rglob("pwned")) == []


def test_manifests_cannot_speak_for_us(pull_request: PullRequest) -> None:
    """Guards names and messages in the log: a manifest cannot forge a command of the runner."""
    name = "x\\n::error::forged\\n::set-output name=exit-code::0"
    pull_request.push({"site/stray.yaml": STRAY % f'"{name}"'})
    ran = pull_request.act()
    assert ran.code == 3
    assert [line for line in ran.log.splitlines() if line.startswith(("::error::forged", "::set-output"))] == []


def test_thousands_of_findings(pull_request: PullRequest) -> None:
    """Guards GitHub's limits, beyond which all would be lost: of annotations, of the comment, of the summary."""
    many = "---\n".join(STRAY % f"stray-{number}-{'x' * 40}" for number in range(700))
    pull_request.push({"site/stray.yaml": many})
    ran = pull_request.act()
    assert ran.code == 1
    assert int(ran.outputs["findings-count"]) >= 700
    assert len([line for line in ran.annotations("error") if "file=" in line]) == 10
    assert len(ran.summary.encode()) <= 1_048_576
    (body,) = pull_request.comments
    assert len(body.encode()) <= LARGEST
    assert "more: see [the summary of the run]" in body


def test_a_head_that_cannot_be_read(pull_request: PullRequest) -> None:
    """Guards honesty: where a manifest cannot be made out nothing is said to be deleted."""
    pull_request.push({VOLUMES: "a: ["})
    ran = pull_request.act()
    assert ran.code == 3
    assert "delete" not in pull_request.comments[0].replace("deleted", "")
    assert ran.outputs["impact-verdict"] == "blocked"


def test_a_broken_policy(pull_request: PullRequest) -> None:
    """Guards exit code 2, which is that of a broken policy, and the report that says where."""
    pull_request.push({"site/.holdfast.yaml": "budgets: {}\n"})
    ran = pull_request.act()
    assert ran.code == 2
    assert "did you mean" in pull_request.comments[0]


def test_a_wrong_input_is_named(pull_request: PullRequest) -> None:
    """Guards set-up: what was meant is guessed, and nothing is checked."""
    pull_request.push(broken(pull_request))
    ran = pull_request.act(mode="chek")
    assert ran.code == 2
    assert "input mode: 'chek' is none of lint, impact, check; did you mean \"check\"?" in ran.annotations("error")[0]


# --- the second of two workflows


def test_a_report_from_a_fork(pull_request: PullRequest) -> None:
    """Guards the pair of workflows for forks: the pull request is looked up, and the artefact made harmless."""
    merge = pull_request.push(broken(pull_request))
    ran = pull_request.act(comment="off")
    head = pull_request.event["pull_request"]["head"]["sha"]
    pull_request.github.state.pulls = [
        {"number": 6, "label": "mallory:topic", "head": {"sha": merge}},
        {"number": NUMBER, "label": "mallory:topic", "head": {"sha": head}},
    ]
    report = Path(ran.outputs["comment-path"])
    report.write_text(
        report.read_text() + "\n@octocat <img src=x> [win](https://evil.example/) ![i](http://e.example)\n"
    )
    run = {
        "event": "pull_request",
        "head_branch": "topic",
        "head_sha": head,
        "head_repository": {"owner": {"login": "mallory"}},
    }
    ran = pull_request.comment({"workflow_run": run}, report)
    assert ran.code == 0, ran.log
    (body,) = pull_request.comments
    assert "blocked by 1 new finding" in body
    assert (
        f"[<code>site/stray.yaml&#58;4</code>](https://github.example.com/example/storage/blob/{merge}/site/stray.yaml#L4)"
        in body
    )
    assert f"POST issues/{NUMBER}/comments" in pull_request.github.state.asked
    for hostile in ("@octocat", "<img", "](https://evil", "![", "http://"):
        assert hostile not in body
    run["head_sha"] = "3" * 40
    ran = pull_request.comment({"workflow_run": run}, report)
    assert "there is no open pull request" in ran.annotations("notice")[0]


def test_a_huge_report_from_a_fork(pull_request: PullRequest) -> None:
    """Guards against an artefact of any size: what GitHub takes of it is posted, and nobody is called by it."""
    pull_request.push(broken(pull_request))
    head = pull_request.event["pull_request"]["head"]["sha"]
    pull_request.github.state.pulls = [{"number": NUMBER, "label": "mallory:topic", "head": {"sha": head}}]
    report = pull_request.folder / "comment.md"
    report.write_text("@everybody " * 40_000)
    owner = {"owner": {"login": "mallory"}}
    run = {"event": "pull_request", "head_branch": "topic", "head_sha": head, "head_repository": owner}
    pull_request.runner.environment["GITHUB_API_URL"] = pull_request.github.url
    ran = pull_request.comment({"workflow_run": run}, report)
    assert ran.code == 0, ran.log
    (body,) = pull_request.comments
    assert len(body) <= LARGEST
    assert "@everybody" not in body
