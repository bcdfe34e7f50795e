"""`holdfast demo` as a person meets it: what it prints can be pasted, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playing import Command, environment, holdfast, is_free
from spdk.rpc.client import JSONRPCClient

from reconciler.cli import main
from reconciler.demo.patience import until
from reconciler.demo.witness import SHOWN, Witness

READY = "Ctrl-C ends it all."


@pytest.fixture(scope="module")
def demo(portals: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """One demo that has come up, for all that only look at it."""
    folder = tmp_path_factory.mktemp("demo")
    with holdfast(folder / "said", "demo", TMPDIR=str(folder)) as command:
        command.wait_for(READY)
        yield command


def folder_of(demo: Command) -> Path:
    return Path(re.findall(r"\. (/\S+)/env", demo.said)[0])


def pasted(said: str) -> str:
    """The commands it prints, as they would be pasted."""
    lines = [line[2:] for line in said.splitlines() if line.startswith("  ")]
    return "\n".join(line for line in lines if not line.startswith(("page ", "repository ")))


def test_what_it_prints_fits_a_terminal(demo: Command) -> None:
    """No line is wider than 80 columns where the folder's name allows it."""
    told = demo.said.replace(str(folder_of(demo)), "/tmp/holdfast-abcdefgh")  # noqa: S108  # as long as the usual one
    assert [line for line in told.splitlines() if len(line) > 80] == []


def test_the_page_answers(demo: Command) -> None:
    """The address it prints is the page's."""
    [page] = re.findall(r"page +(http://127\.0\.0\.1:\d+/)", demo.said)
    with urllib.request.urlopen(page, timeout=10) as answer:  # noqa: S310  # http, on loopback
        assert answer.status == 200
        assert "text/html" in answer.headers["content-type"]


def test_what_it_prints_can_be_pasted(demo: Command) -> None:
    """The commands run as printed: the change is followed, the damage is drift that is closed, the revert is pushed."""
    ran = subprocess.run(
        ["/bin/sh", "-ec", pasted(demo.said)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1"),
    )
    assert ran.returncode == 0, ran.stderr
    assert "RevisionAccepted" in ran.stdout
    assert re.search(r"Missing on node-1: Subsystem team-a/db \(closed after", ran.stdout)


def test_the_witness_sees_what_spdks_own_client_sees(demo: Command) -> None:
    """Our second pair of eyes is no worse than the official one."""
    sock = folder_of(demo) / "node-2" / "spdk.sock"
    client = JSONRPCClient(str(sock), timeout=20)
    try:
        for method in (*SHOWN, "notify_get_notifications"):
            assert Witness(sock).call(method) == client.call(method)
    finally:
        client.close()


def test_a_target_that_dies_is_started_again(demo: Command) -> None:
    """As a service manager would do it, so that a person may kill one and watch it come back."""
    witness = Witness(folder_of(demo) / "node-2" / "spdk.sock")
    before = witness.exports()
    with pytest.raises(Exception, match="closed the connection"):
        witness.call("spdk_kill_instance", sig_name="SIGKILL")
    demo.wait_for("target node-2 ended")
    until(lambda: witness.answers and witness.exports() == before, "the exports to come back")


def test_ctrl_c_leaves_nothing_behind(demo: Command, tmp_path: Path) -> None:
    """Its children end with it, its folder goes, its addresses are free; ending it so is no failure."""
    folder = folder_of(demo)
    [port] = re.findall(r"http://127\.0\.0\.1:(\d+)/", demo.said)
    assert demo.interrupt() == 0
    assert demo.said.endswith("ended\n")
    assert not folder.exists()
    assert all(map(is_free, (("127.0.0.1", int(port)), ("127.0.0.2", 4420), ("127.0.0.3", 4420))))


# --- how it refuses


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """Exit code and the one message."""
    code = main(["demo", *map(str, words)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("holdfast demo: ")
    assert err.count("\n") == 1
    return code, err


def test_a_port_in_use(portals: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that was asked for is not quietly another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = refused(capsys, "--port", str(port), "--dir", tmp_path / "demo")
    assert code == 3
    assert f"port {port} of 127.0.0.1: Address already in use" in message


def test_a_portal_in_use(portals: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two demos cannot run at once, and the second one says why."""
    with socket.create_server(("127.0.0.3", 4420)):
        code, message = refused(capsys, "--tour", "--dir", tmp_path / "demo")
    assert code == 3
    assert "127.0.0.3:4420" in message


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Git is the one program that must be there."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    code, message = refused(capsys, "--dir", tmp_path / "demo")
    assert code == 3
    assert "no git in PATH" in message


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which folder, and why."""
    (tmp_path / "file").touch()
    code, message = refused(capsys, "--dir", tmp_path / "file" / "demo")
    assert code == 3
    assert "Not a directory; choose another --dir" in message


def test_a_folder_with_something_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of a person's is mixed up with the demo."""
    (tmp_path / "thesis.txt").touch()
    code, message = refused(capsys, "--dir", tmp_path)
    assert code == 2
    assert "is not empty" in message


def test_a_folder_with_a_name_too_long_for_sockets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """UNIX sockets have short names; that is said before anything starts."""
    code, message = refused(capsys, "--dir", tmp_path / ("d" * 100))
    assert code == 2
    assert "choose a shorter --dir" in message


def test_a_target_that_is_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong --spdk-tgt is a mistake on the command line."""
    code, message = refused(capsys, "--tour", "--spdk-tgt", tmp_path / "nvmf_tgt")
    assert code == 2
    assert "is not a program" in message


def test_json_is_for_the_tour(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo itself has nothing to say in JSON."""
    code, message = refused(capsys, "--json")
    assert code == 2
    assert "--json is for --tour" in message
