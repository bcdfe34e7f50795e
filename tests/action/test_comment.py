"""The comment of the GitHub Action, step by step as its file has them: created, edited in place, turned green."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_github import LARGEST
from pull_requests import NUMBER, STRAY, PullRequest, broken, faster


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
