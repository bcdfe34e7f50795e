"""Which revisions the GitHub Action compares, whatever set it off and however little was checked out."""

from __future__ import annotations

from pull_requests import OTHERS, PullRequest, broken, faster, git


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
