"""Several outputs of one run: where they go, what cannot be, and the same exit code whatever is written."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

Holdfast = Callable[..., tuple[int, str, str]]

BAD = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Host\nmetadata: {name: a}\nspec: {nqm: x}\n"
FORMATS = ("text", "json", "sarif", "github", "markdown", "junit", "rdjson")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a broken manifest."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.yaml").write_text(BAD)
    return tmp_path


@pytest.mark.parametrize("form", FORMATS)
def test_the_exit_code_is_the_same(holdfast: Holdfast, form: str) -> None:
    """Whatever the format, on standard output and in a file: findings end with 1, none with 0."""
    code, out, err = holdfast("lint", "site", "-o", form)
    assert (code, err) == (1, "")
    assert out
    assert holdfast("lint", "site", "-o", f"{form}=out.txt") == (1, "", "")
    assert Path("out.txt").read_text(encoding="utf-8") == out
    Path("site/a.yaml").unlink()
    assert holdfast("lint", "site", "-o", form)[0] == 0


def test_no_command_for_a_runner(holdfast: Holdfast, here: Path) -> None:
    """Guards logs of workflows: what manifests say, in a line of its own or anywhere, is no command to the runner."""
    word = "a" * 40
    bad = BAD.replace("nqm: x", f'"{word} ::stop-commands::x": 1, b: 2').replace("}\n", "} # ##[set-output name=x]y\n")
    (here / "site/a.yaml").write_text(bad)
    _, out, _ = holdfast("lint", "site")
    assert "stop-commands::x" in out
    assert "set-output name=x" in out
    assert not any(line.strip().startswith("::stop") or "##[" in line for line in out.splitlines())


def test_several(holdfast: Holdfast, here: Path) -> None:
    """One run for people and for programs; what stands in a file is replaced as a whole and keeps its links."""
    (here / "real.sarif").write_text("old")
    (here / "out.sarif").symlink_to("real.sarif")
    code, out, _ = holdfast("lint", "site", "-o", "sarif=out.sarif", "-o", "github=-", "--output", "text")
    assert code == 1
    assert out.index("::error file=site/a.yaml") < out.index("error[invalid-resource]")
    assert json.loads((here / "real.sarif").read_text())["version"] == "2.1.0"
    assert (here / "out.sarif").is_symlink()
    assert sorted(path.name for path in here.iterdir()) == ["out.sarif", "real.sarif", "site"]


MISTAKES = [
    (["-o", "sarf"], "there is no format 'sarf'"),
    (["-o", "sarf"], 'did you mean "sarif"?'),
    (["-o", "json="], "'json=' names no file"),
    (["-o", "json=a", "-o", "text=a"], "a is named twice"),
    (["-o", "json", "-o", "text"], "json and text on standard output; give one of them a file"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_mistakes(holdfast: Holdfast, words: list[str], message: str) -> None:
    """What cannot be is said before anything is read, with exit code 2."""
    code, out, err = holdfast("lint", "nowhere", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_that_cannot_be_written(holdfast: Holdfast, here: Path) -> None:
    """The command says which, ends with 3, and leaves nothing half-written behind."""
    code, _, err = holdfast("lint", "site", "-o", "json=no/such.json")
    assert (code, err) == (3, "holdfast lint: --output json=no/such.json: No such file or directory\n")
    assert [path.name for path in here.iterdir()] == ["site"]


def test_a_pipe(holdfast: Holdfast, here: Path) -> None:
    """A pipe is written to, not replaced."""
    os.mkfifo(here / "pipe")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append((here / "pipe").read_text()))
    reader.start()
    assert holdfast("lint", "site", "-o", "json=pipe")[0] == 1
    reader.join()
    assert json.loads(seen[0])["blocks"]
    assert stat.S_ISFIFO((here / "pipe").stat().st_mode)


def test_paths_begin_at_the_repository(holdfast: Holdfast, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotations and code scanning count paths from the root of the repository, wherever the command stands."""
    (here / ".git").mkdir()
    monkeypatch.chdir(here / "site")
    for words in ((), ("a.yaml",), (here / "site",)):
        assert "file=site/a.yaml," in holdfast("lint", *words, "-o", "github")[1]
    uri = json.loads(holdfast("lint", "-o", "sarif")[1])["runs"][0]["results"][0]["locations"][0]
    assert uri["physicalLocation"]["artifactLocation"]["uri"] == "site/a.yaml"
    assert " --> a.yaml:4:8" in holdfast("lint")[1].splitlines()


def test_fail_on_is_what_the_formats_say(holdfast: Holdfast, here: Path) -> None:
    """What --fail-on makes of a finding is the same in the exit code and in what is written."""
    (here / "site/a.yaml").write_text("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n")
    code, out, _ = holdfast("lint", "site", "-o", "junit", "--fail-on", "warning")
    assert (code, out.count("<failure")) == (1, 1)
    code, out, _ = holdfast("lint", "site", "-o", "junit")
    assert (code, out.count("<failure")) == (0, 0)


def test_a_file_has_no_colours(holdfast: Holdfast, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are for a terminal: what goes to a file beside it has none."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, out, _ = holdfast("lint", "site", "-o", "text", "-o", "text=out.txt")
    assert "\x1b[" in out
    assert "\x1b[" not in (here / "out.txt").read_text()
