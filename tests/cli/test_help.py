"""`--help` of every verb: it fits a terminal, its examples can be typed, and it says how the verb ends."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from reconciler.cli import VERBS, build_parser
from reconciler.cli.exits import Exit
from reconciler.demo.processes import HOLDFAST

Holdfast = Callable[..., tuple[int, str, str]]
each_verb = pytest.mark.parametrize("verb", VERBS)


def examples(told: str) -> list[list[str]]:
    """The commands below `examples:`, without the remarks beside them."""
    text = re.split(r"^examples?:\n", told, flags=re.MULTILINE)[1].split("\n\n")[0].replace("\\\n", "")
    return [shlex.split(re.sub(r"(?<=\S)  +\S.*$", "", line.strip()))[1:] for line in text.splitlines()]


@each_verb
def test_it_fits_a_terminal(holdfast: Holdfast, verb: str) -> None:
    """Guards 80 columns: nothing is wider, in the list of verbs and in each verb's own help."""
    for words in ([verb, "--help"], ["--help"]):
        code, out, err = holdfast(*words)
        assert (code, err) == (0, "")
        assert [line for line in out.splitlines() if len(line) > 80] == []


def test_every_verb_is_told_in_one_line(holdfast: Holdfast) -> None:
    """Guards the overview: a line for each verb, all in the same voice."""
    listed = re.findall(r"^    ([a-z-]+) +(\S.*)$", holdfast("--help")[1], re.MULTILINE)
    assert [verb for verb, _ in listed] == list(VERBS)
    assert [what for _, what in listed if not what[0].islower() or what.endswith(".")] == []


@each_verb
def test_its_examples_can_be_typed(holdfast: Holdfast, verb: str) -> None:
    """Guards examples against options that are gone: the command line takes each of them."""
    found = examples(holdfast(verb, "--help")[1])
    assert found
    for words in found:
        assert build_parser(words).parse_args(words).verb == verb


@each_verb
def test_its_exit_codes_are_named(holdfast: Holdfast, verb: str) -> None:
    """Guards the exit codes: each help names its own, out of those that there are."""
    told = " ".join(holdfast(verb, "--help")[1].rpartition("exit codes: ")[2].split())
    codes = [int(code) for code in re.findall(r"(?:^|, )(\d+) ", told)]
    assert codes[0] == Exit.CLEAN
    assert codes == sorted(set(codes))
    assert set(codes) <= {int(code) for code in Exit}
    assert Exit.USAGE in codes


def test_version(holdfast: Holdfast) -> None:
    """The version is that of the distribution."""
    assert holdfast("--version") == (0, f"holdfast {metadata.version('holdfast')}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lnit"], "there is no verb 'lnit'; did you mean \"lint\"?"),
        (["stats"], 'did you mean "status"?'),
        (["frobnicate"], "`holdfast --help` lists them"),
        ([], "VERB"),
        (["plan", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["plan", "-o", "xml"], "invalid choice: 'xml'"),
        (["events", "--limit", "0"], "'0' is not a number from 1 to 1000"),
        (["events", "--limit", "00000001001"], "is not a number from 1 to 1000"),
        (["approve"], "ID"),
        (["approve", "A-1"], "'A-1' is no approval id; one looks like A-3f9c2b1d0e4a7c58b6d1f2e390a4c7d5"),
        (["import"], "then say --confirm"),
        (["demo", "--port", "65536"], "'65536' is not a port from 0 to 65535"),
        (["demo", "--port", "-1"], "'-1' is not a port from 0 to 65535"),
        (["demo", "--json"], "--json is for --tour"),
        (["sim"], "--socket"),
        (["sim", "--socket", "s", "--tcp", "here"], "'here' is no [HOST:]PORT"),
        (["sim", "--socket", "s", "--http", "1"], "--http needs --user and --password-from"),
        (["sim", "--socket", "s", "--poll-interval", "nan"], "'nan' is not a number of seconds"),
        (["sim-rpc", "m"], "--socket --tcp"),
        (["sim-rpc", "--tcp", "4420", "m"], "'4420' is no HOST:PORT"),
        (["sim-rpc", "--tcp", "a:0", "m"], "'a:0' is no HOST:PORT"),
        (["sim-rpc", "--socket", "s", "--timeout", "0", "m"], "'0' is not a number of seconds"),
        (["sim-rpc", "--socket", "s", "m", "a", "b=1"], "one JSON object, or key=value words"),
        (["sim-rpc", "--socket", "s", "m", "{"], "parameters are no JSON"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_words(holdfast: Holdfast, words: list[str], message: str) -> None:
    """Guards the command line: what is wrong with it is said on stderr, with exit code 2, before anything is done."""
    code, out, err = holdfast(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


# --- a standard output that is not there


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A shell's command, where $HOLDFAST is ours; its exit code is that of the first of a pipe."""
    found = os.environ | {"HOLDFAST": shlex.join([sys.executable, *HOLDFAST[1:]])}
    script = f'holdfast() {{ {found["HOLDFAST"]} "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(["/bin/bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


MANY = "".join(f"---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: a{n}}}\n" for n in range(2000))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("holdfast explain | true", 0),
        ("holdfast --help | true", 0),
        ("holdfast plan --help | true", 0),
        ("holdfast lint --fail-on warning | head -1 >/dev/null", 1),
        ("holdfast lint --fail-on warning -o json | head -1 >/dev/null", 1),
        ("holdfast lint --fail-on warning >&-", 1),
        ("holdfast --help >&-", 0),
    ],
)
def test_a_reader_who_leaves_early(tmp_path: Path, command: str, code: int) -> None:
    """Guards `| head -1`: no word on stderr, and the exit code that there would have been."""
    (tmp_path / "many.yaml").write_text(MANY)
    ran = shell(command, tmp_path)
    assert (ran.returncode, ran.stderr.replace(holdfast_help(), "")) == (code, "")


def holdfast_help() -> str:
    """Argparse prints to stderr where there is no stdout."""
    return build_parser().format_help()


@pytest.mark.parametrize("words", ["explain", "--help"])
def test_a_full_disk(tmp_path: Path, words: str) -> None:
    """Guards `> file` on a full disk: an answer that did not arrive is no success."""
    ran = shell(f"holdfast {words} >/dev/full", tmp_path)
    assert ran.returncode == 3
    assert ran.stderr.endswith("standard output: No space left on device\n")
    assert ran.stderr.count("\n") == 1


def test_a_defect_is_no_finding(holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards exit code 1, which means findings: a defect in a verb ends with 3, and asks to be reported."""
    from reconciler.cli.verbs import explain  # noqa: PLC0415  # only to break it

    def broken(_: object) -> Exit:
        raise ZeroDivisionError

    monkeypatch.setattr(explain, "run", broken)
    code, out, err = holdfast("explain")
    assert (code, out) == (3, "")
    assert err.endswith("holdfast: this is a defect in Holdfast; please report it\n")
