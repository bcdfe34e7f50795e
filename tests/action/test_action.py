"""The GitHub Action, step by step as its file has them, on a real repository: what it tells, where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_github import LARGEST
from pull_requests import STRAY, VOLUMES, PullRequest, broken, faster, git


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
