"""`run` and `sim` as processes of their own: how they come up, what they say where, and how they end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playing import environment
from premises import Premises
from world import NQN, subsystem, volume

from reconciler.demo.patience import until
from reconciler.demo.processes import HOLDFAST
from reconciler.demo.witness import Witness

Holdfast = Callable[..., tuple[int, str, str]]
ENDING = 20.0  # seconds
RPC = ("sim-rpc", "--socket", "s")
HTTP = ("--socket", "s", "--http", "0", "--user", "a", "--password-from")


@dataclass
class Process:
    """`holdfast …` with its two outputs kept apart."""

    child: subprocess.Popen[bytes]
    out: Path
    err: Path

    def end(self, number: signal.Signals) -> int:
        self.child.send_signal(number)
        return self.child.wait(ENDING)


@contextmanager
def process(folder: Path, *words: str) -> Iterator[Process]:
    """Started in a folder, and gone whatever the test finds."""
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        child = subprocess.Popen([*HOLDFAST, *words], cwd=folder, stdout=stdout, stderr=stderr, env=environment())
    try:
        yield Process(child, out, err)
    finally:
        child.kill()
        child.wait()


# --- run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_until_it_is_asked_to_end(holdfast: Holdfast, site: Premises, number: signal.Signals) -> None:
    """Guards the daemon's life: it converges by itself, logs JSON to stderr, and ends with 0 leaving the state free."""
    revision = site.push(volume("a"), subsystem("s", {1: "a"}))
    with process(site.folder, "run") as daemon:
        until(lambda: f"converged  {revision}" in holdfast("status")[1], "convergence")
        assert holdfast("plan", "--detailed-exitcode")[0] == 0
        assert daemon.end(number) == 0
        assert daemon.out.read_text() == ""
        logged = [json.loads(line)["event"] for line in daemon.err.read_text().splitlines()]
    assert logged[0] == "started"
    assert "Converged" in logged
    assert f"{NQN}s" in {found["nqn"] for found in site.call("nvmf_get_subsystems")}
    code, out, err = holdfast("plan", "--standalone", "--detailed-exitcode")
    assert (code, out.splitlines()[0], err) == (0, f"n1 at {revision[:12]}: 0 steps, 0 held", "")


def test_run_waits_for_what_is_not_there_yet(holdfast: Holdfast, site: Premises) -> None:
    """Guards a boot in any order: without repository or target the daemon runs, says so, and ends cleanly."""
    site.configure(source='url = "later.git"\ninterval = "50ms"')
    with process(site.folder, "run") as daemon:
        missed = "later.git: there is no such folder"
        until(lambda: missed in " ".join(holdfast("status")[1].split()), "the daemon to miss its repository")
        assert holdfast("status")[0] == 3
        site.push()
        (site.folder / "site.git").rename(site.folder / "later.git")
        until(lambda: "n1  converged" in holdfast("status")[1], "the site to converge")
        assert daemon.end(signal.SIGTERM) == 0


def test_a_second_signal_does_not_wait(site: Premises) -> None:
    """Guards the impatient operator: a target that hangs may keep the daemon from ending, a second Ctrl-C does not."""
    site.push()
    site.simulators["n1"].stop()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(site.folder / "n1.sock"))
        silent.listen()
        silent.settimeout(ENDING)
        with process(site.folder, "run") as daemon, silent.accept()[0]:  # the daemon asks, and nobody answers
            daemon.child.send_signal(signal.SIGINT)
            until(lambda: not _answers(site.folder / "http.sock"), "the daemon to be about to end")
            assert daemon.child.poll() is None
            assert daemon.end(signal.SIGINT) == -signal.SIGINT
    site.simulators["n1"].start()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_only_one_daemon(holdfast: Holdfast, site: Premises) -> None:
    """Guards one writer between processes: the second is refused while the first runs, and may begin once it ended."""
    site.push()
    with process(site.folder, "run") as daemon:
        until(lambda: "started" in daemon.err.read_text(), "the daemon to start")
        code, out, err = holdfast("run")
        assert (code, out) == (3, "")
        assert err == f"holdfast run: {site.state} is in use by a running holdfast; ask that one, or stop it first\n"
        daemon.child.kill()
        daemon.child.wait()
        assert holdfast("plan", "--standalone")[0] == 0


# --- sim and sim-rpc


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sim_until_it_is_asked_to_end(
    holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Guards the simulated target as a process: it answers, ends with 0 and takes its socket away."""
    monkeypatch.chdir(tmp_path)
    with process(tmp_path, "sim", "--socket", "s", "--state", "state/of/it") as target:
        until(lambda: Witness(tmp_path / "s").answers, "the target to answer")
        code, out, err = holdfast(*RPC, "bdev_malloc_create", "name=M0", "num_blocks=8", "block_size=4096")
        assert (code, json.loads(out), err) == (0, "M0", "")
        assert [bdev["name"] for bdev in Witness(tmp_path / "s").bdevs().values()] == ["M0"]
        code, out, err = holdfast(*RPC, "bdev_malloc_delete", '{"name": "M1"}')
        assert (code, json.loads(out)["error"]["code"], err) == (1, -19, "")
        code, out, err = holdfast("sim", "--socket", "s")
        assert (code, out) == (3, "")
        assert err == "holdfast sim: RPC Unix domain socket path s in use. Specify another.\n"
        assert target.end(number) == 0
        assert (target.out.read_text(), target.err.read_text()) == ("", "")
    assert not (tmp_path / "s").exists()
    assert holdfast("sim-rpc", "--socket", "s", "m") == (3, "", "holdfast sim-rpc: s: No such file or directory\n")


def test_sim_over_tcp_and_http(tmp_path: Path, holdfast: Holdfast) -> None:
    """Guards --tcp and --http: both lead to the same target, and --http asks who one is."""
    (tmp_path / "password").write_text("swordfish\n")
    tcp, http = _free_port(), _free_port()
    words = ("--tcp", str(tcp), "--http", str(http), "--user", "admin", "--password-from", "password")
    with process(tmp_path, "sim", "--socket", "s", *words) as target:
        until(lambda: Witness(tmp_path / "s").answers, "the target to answer")
        code, out, _ = holdfast("sim-rpc", "--tcp", f"127.0.0.1:{tcp}", "bdev_get_bdevs")
        assert (code, json.loads(out)) == (0, [])
        with socket.create_connection(("127.0.0.1", http)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 401 ")
        assert target.end(signal.SIGTERM) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--socket", "no/s"], "no/s.lock: No such file"),
        (["--socket", "d" * 120], "AF_UNIX path too long"),
        (["--socket", "s", "--state", "file/state"], "file/state: Not a directory"),
        ([*HTTP, "no"], "no: No such file"),
        ([*HTTP, "empty"], "empty: the first line is empty"),
        ([*HTTP, "bytes"], "bytes: not UTF-8"),
    ],
)  # fmt: skip
def test_sim_that_cannot_start(
    holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    """Guards the simulated target's own mistakes: one message each, and nothing is left running."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").write_text("\nswordfish")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    code, out, err = holdfast("sim", *words)
    assert (code, out, err.count("\n")) == (2 if "--http" in words else 3, "", 1)
    assert told in err


def test_sim_on_a_port_in_use(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards --tcp and --http: which address is taken is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password").write_text("swordfish")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words in (["--tcp", port], ["--http", port, "--user", "a", "--password-from", "password"]):
            code, out, err = holdfast("sim", "--socket", "s", *words)
            assert (code, out, err.count("\n")) == (3, "", 1)
            assert port in err
            assert "Address already in use" in err


def test_sim_rpc_without_an_answer(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards --timeout: a target that does not answer is not waited for in vain."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind("s")
        silent.listen()
        code, out, err = holdfast("sim-rpc", "--socket", "s", "--timeout", "0.05", "m")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("holdfast sim-rpc: ")
