"""What people get wrong, and what is broken around them: one clear message on stderr, the right exit code."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from forge import serving
from premises import Premises
from world import manifest, node, volume

from backends.spdk.simulator.http_proxy import HttpProxy
from reconciler.cli import daemon_client
from reconciler.store import VERSION

Holdfast = Callable[..., tuple[int, str, str]]


def refusal(holdfast: Holdfast, *words: str | Path) -> tuple[int, str]:
    """Exit code and the one message: nothing on stdout, one line, no traceback."""
    code, out, err = holdfast(*words)
    assert out == ""
    assert err.startswith(f"holdfast {words[0]}: ")
    assert err.count("\n") == 1, err
    return code, err.removeprefix(f"holdfast {words[0]}: ").rstrip("\n")


def message(told: str) -> str:
    """What is told, whatever the lines it was broken into."""
    return " ".join(told.split())


# --- holdfast.toml


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source.url = 'a'\n[sourc]\nurl = 'a'\n", ':2:2: sourc: unknown field "sourc"; did you mean "source"?'),
        ("[source]\nurl = 'a'\nbrunch = 'm'\n", ':3:1: source.brunch: unknown field "brunch"; did you mean "branch"?'),
        ("[source]\nurl = 5\n", ":2:1: source.url: 5 is not a string"),
        ("[source]\nurl = 'a'\n[serve]\nlisten = '0.0.0.0:80'\n", ":4:1: serve.listen: "),
        ("[source]\nurl = \n", ":2:7: Invalid value"),
        ("[source]\nurl = 'https://me:secret@h/a.git'\n", ":2:1: source.url: a password in the URL would show in logs"),
        ("", ': top level: "source" is missing'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("words", [["run"], ["plan"], ["plan", "--standalone"], ["init"], ["status"]], ids=" ".join)
def test_a_broken_configuration(holdfast: Holdfast, site: Premises, words: list[str], text: str, told: str) -> None:
    """Guards the daemon's file: where, what, and what was probably meant; the same from every verb, exit code 2."""
    (site.folder / "holdfast.toml").write_text(text)
    code, said = refusal(holdfast, *words)
    assert code == 2
    assert said.startswith("holdfast.toml:")
    assert told.split("; ", maxsplit=1)[0] in said
    assert "secret" not in said


def test_no_configuration(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the wrong folder: which places were looked at, and how to name another."""
    monkeypatch.chdir(tmp_path)
    assert refusal(holdfast, "status") == (
        2, "there is no holdfast.toml and no /etc/holdfast/holdfast.toml; name one with --config",
    )  # fmt: skip
    assert refusal(holdfast, "status", "--config", "here.toml") == (2, "here.toml: No such file or directory")
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path))
    assert refusal(holdfast, "status") == (2, f"{tmp_path}: Is a directory")


# --- the state directory


def test_a_state_that_was_never_made(holdfast: Holdfast, site: Premises) -> None:
    """Guards the first step: without an id nothing is ours, so nothing begins."""
    (site.state / "site-id").unlink()
    for words in (["run"], ["plan", "--standalone"], ["apply", "--standalone"]):
        assert refusal(holdfast, *words) == (3, f"{site.state} is not a site's state yet: run `holdfast init` first")


def test_a_state_directory_that_cannot_be_made(holdfast: Holdfast, site: Premises) -> None:
    """Guards a wrong [state] dir: which one, why, and what to change."""
    site.configure()
    text = (site.folder / "holdfast.toml").read_text()
    (site.folder / "holdfast.toml").write_text(text.replace('dir = "state"', 'dir = "site.git/HEAD/state"'))
    code, said = refusal(holdfast, "init")
    assert code == 3
    assert said == f"{site.folder}/site.git/HEAD/state: Not a directory; choose a [state] dir that this user can write"
    assert refusal(holdfast, "run") == (3, f"{site.folder}/site.git/HEAD/state/site-id: Not a directory")


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user for a moment, which takes root")
def test_a_state_directory_of_somebody_else(holdfast: Holdfast, site: Premises) -> None:
    """Guards the wrong user: who cannot read the state is not told to make a new one."""
    site.folder.chmod(0o755)
    with nobody():
        for words in (["run"], ["plan", "--standalone"]):
            assert refusal(holdfast, *words) == (3, f"{site.state}/site-id: Permission denied")
        code, said = refusal(holdfast, "init")
        assert (code, "Permission denied" in said) == (3, True)
    site.state.chmod(0o755)
    (site.state / "site-id").chmod(0o644)
    with nobody():
        for words in (["run"], ["plan", "--standalone"]):
            code, said = refusal(holdfast, *words)
            assert code == 3
            assert said == f"{site.state}/lock: Permission denied; choose a [state] dir that this user can write"


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user for a moment, which takes root")
def test_a_configuration_of_somebody_else(holdfast: Holdfast, site: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards /etc/holdfast, which only its user may enter: others are told that, not that nothing is there."""
    closed = site.folder / "etc"
    closed.mkdir(mode=0o700)
    site.folder.chmod(0o755)
    monkeypatch.setattr(daemon_client, "PLACES", (f"{closed}/holdfast.toml",))
    with nobody():
        assert refusal(holdfast, "status") == (2, f"{closed}/holdfast.toml: Permission denied")


@contextmanager
def nobody() -> Iterator[None]:
    """Meanwhile, this process is an ordinary user's."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("content", [b"", b"mine\n", b"\xff\xfe\x00"])
def test_an_id_that_is_none(holdfast: Holdfast, site: Premises, content: bytes) -> None:
    """Guards the site's id: one that was spoilt is not taken, nor replaced by another."""
    (site.state / "site-id").write_bytes(content)
    for words in (["run"], ["plan", "--standalone"], ["init"]):
        code, said = refusal(holdfast, *words)
        assert code == 3
        assert said.startswith(f"{site.state}/site-id: ")
        assert said.endswith(" is not a site id; restore the file")
    assert (site.state / "site-id").read_bytes() == content


def test_a_state_in_use(holdfast: Holdfast, site: Premises) -> None:
    """Guards one writer: beside a daemon, no other and no standalone verb begins."""
    site.push()
    with site.daemon():
        for words in (["run"], ["plan", "--standalone"], ["apply", "--standalone"]):
            code, said = refusal(holdfast, *words)
            assert (code, said) == (3, f"{site.state} is in use by a running holdfast; ask that one, or stop it first")


def test_a_ledger_of_a_newer_holdfast(holdfast: Holdfast, site: Premises) -> None:
    """Guards a step back: a ledger that we do not understand is not written."""
    with closing(sqlite3.connect(site.state / "holdfast.db")) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = (site.state / "holdfast.db").read_bytes()
    for words in (["run"], ["plan", "--standalone"]):
        code, said = refusal(holdfast, *words)
        assert code == 3
        assert said.startswith(f"{site.state}/holdfast.db: the ledger has version {VERSION + 1}, ")
        assert "use the newer Holdfast" in said
    assert (site.state / "holdfast.db").read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [lambda data: b"x" * 8192, lambda data: data[:4096] + b"\xff" * (len(data) - 4096)],
    ids=["no database", "broken pages"],
)
def test_a_ledger_that_is_broken(holdfast: Holdfast, site: Premises, spoil: Callable[[bytes], bytes]) -> None:
    """Guards against a ledger that is no database, or one with broken pages: named, with what to do, and left alone."""
    site.push(volume("a"))
    assert holdfast("apply", "--standalone")[0] == 0
    ledger = site.state / "holdfast.db"
    spoilt = spoil(ledger.read_bytes())
    ledger.write_bytes(spoilt)
    for words in (["run"], ["plan", "--standalone"]):
        code, said = refusal(holdfast, *words)
        assert code == 3
        assert said.startswith(f"{ledger}: ")
        assert "restore the file, or move it away" in said


def test_a_place_where_the_ledger_should_be(holdfast: Holdfast, site: Premises) -> None:
    """Guards against a folder of the ledger's name."""
    (site.state / "holdfast.db").mkdir()
    code, said = refusal(holdfast, "plan", "--standalone")
    assert (code, said.startswith(f"{site.state}/holdfast.db: unable to open database file")) == (3, True)


# --- the address to listen on


def test_a_port_in_use(holdfast: Holdfast, site: Premises) -> None:
    """Guards against two on one port: which one, and where it is configured."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        site.configure(listen=f"127.0.0.1:{port}")
        assert refusal(holdfast, "run") == (3, f"[serve] listen: 127.0.0.1:{port}: Address already in use")


def test_a_file_in_the_place_of_the_socket(holdfast: Holdfast, site: Premises) -> None:
    """Guards a slip in [serve] listen: somebody's file is not taken away for a socket."""
    (site.folder / "thesis.txt").write_text("years of work")
    site.configure(listen="unix:thesis.txt")
    assert refusal(holdfast, "run") == (3, f"[serve] listen: unix:{site.folder}/thesis.txt: Address already in use")
    assert (site.folder / "thesis.txt").read_text() == "years of work"


def test_a_socket_with_too_long_a_name(holdfast: Holdfast, site: Premises) -> None:
    """Guards long paths, which UNIX sockets cannot have, for the daemon and for those who ask it."""
    site.configure(listen=f"unix:{'d' * 120}")
    for verb in ("run", "status"):
        code, said = refusal(holdfast, verb)
        assert (code, said.endswith("AF_UNIX path too long")) == (3, True)


@pytest.mark.parametrize("mode", [0o644, None])
def test_a_webhook_secret_that_cannot_be_used(holdfast: Holdfast, site: Premises, mode: int | None) -> None:
    """Guards the webhook: without its secret, or with one that others may read, the daemon does not start."""
    secret = site.folder / "hook"
    if mode:
        secret.write_text("swordfish\n")
        secret.chmod(mode)
    site.configure(f'webhookSecretFrom.file = "{secret}"')
    code, said = refusal(holdfast, "run")
    assert code == 3
    assert said.startswith(f"{secret}: ")
    assert "swordfish" not in said


# --- the daemon


@pytest.mark.parametrize(
    "words",
    [["plan"], ["apply"], ["status"], ["events"], ["drift"], ["approve", f"A-{0:032x}"], ["import", "--confirm"]],
    ids=lambda words: words[0],
)
def test_a_daemon_that_does_not_run(holdfast: Holdfast, site: Premises, words: list[str]) -> None:
    """Guards the verbs that ask: which address, why, and what to do."""
    where = f"the daemon does not answer on unix:{site.folder}/http.sock: "
    advice = "; start it with `holdfast run`, or use --standalone where a verb offers it"
    assert refusal(holdfast, *words) == (3, f"{where}No such file or directory{advice}")
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(site.folder / "http.sock"))
    assert refusal(holdfast, *words) == (3, f"{where}Connection refused{advice}")


def test_something_else_that_answers(holdfast: Holdfast, site: Premises) -> None:
    """Guards a wrong address: a program that is no daemon of ours is not believed."""
    with serving(site.folder) as other:
        site.configure(listen=f"127.0.0.1:{other.server_address[1]}")
        code, said = refusal(holdfast, "status")
    assert (code, said.endswith("is not a holdfast daemon")) == (3, True)


# --- the repository


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('url = "nowhere.git"', "nowhere.git: there is no such folder"),
        ('url = "state"', "state: "),
        ('url = "site.git"\nbranch = "mian"', "site.git: there is no branch mian"),
        ('url = "site.git"\ntag = "v1"', "site.git: there is no tag v1"),
        ('url = "site.git"\npath = "berlin"', "berlin"),
        ('url = "http://127.0.0.1:1/site.git"', "http://127.0.0.1:1/site.git: "),
    ],
)
def test_a_repository_that_cannot_be_read(holdfast: Holdfast, site: Premises, source: str, told: str) -> None:
    """Guards [source]: what is not there is named, and nothing is done."""
    site.push()
    site.configure(source=source)
    for verb in ("plan", "apply"):
        code, said = refusal(holdfast, verb, "--standalone")
        assert code == 3
        assert said.startswith("no revision is accepted yet: ")
        assert told in said
    assert site.simulators["n1"].mutations == []


def test_an_empty_repository(holdfast: Holdfast, site: Premises) -> None:
    """Guards the first minute: nothing was pushed yet."""
    code, said = refusal(holdfast, "plan", "--standalone")
    assert (code, said.endswith("site.git: the repository is empty")) == (3, True)


@pytest.mark.parametrize(("password", "told"), [("wrong", "the server refuses the credentials"), (None, "others may")])
def test_wrong_credentials_of_the_repository(
    holdfast: Holdfast, site: Premises, password: str | None, told: str
) -> None:
    """Guards a forge that asks who one is: a password that is refused, or that others may read, is said, not shown."""
    site.push()
    secret = site.folder / "token"
    secret.write_text(f"{password or 'swordfish'}\n")
    secret.chmod(0o600 if password else 0o644)
    with serving(site.folder, "holdfast", "swordfish") as forge:
        site.configure(source=f'url = "{forge.url}/site.git"\nusername = "holdfast"\npasswordFrom.file = "{secret}"')
        code, said = refusal(holdfast, "plan", "--standalone")
    assert code == 3
    assert told in said
    assert "swordfish" not in said


TARGET = manifest("Target", "n1", {"connection": {"unixSocket": "/nowhere"}})


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("a: [", "site.yaml:2:1: did not find expected node content [invalid-yaml]"),
        ("a: 1\na: 2\n", "[duplicate-key]"),
        (manifest("Target", "n1", {"connection": {"unixSocket": 5}}), "[invalid-resource]"),
        (manifest("Target", "n1", {"conection": {"unixSocket": "/a"}}), '; did you mean "connection"? [unknown-field]'),
        (volume("a", size="8MiB"), "[invalid-resource]"),
        (volume("a"), "[dangling-reference]"),
    ],
)
def test_manifests_that_do_not_pass(holdfast: Holdfast, site: Premises, files: Any, told: str) -> None:
    """Guards the gate: malformed YAML, wrong types, unknown fields and what is missing end with 1, file and line."""
    is_text = isinstance(files, str)
    site.forge.commit(files if is_text else site.files([files]))
    for verb in ("plan", "apply"):
        code, said = refusal(holdfast, verb, "--standalone")
        assert code == 1
        assert said.startswith("no revision is accepted yet: RevisionRejected: site.yaml:")
        assert told in said


def test_a_policy_with_a_typo(holdfast: Holdfast, site: Premises) -> None:
    """Guards .holdfast.yaml: a limit that nobody reads would be none."""
    site.push(policy={"budgets": {}})
    code, said = refusal(holdfast, "plan", "--standalone")
    assert code == 1
    assert 'unknown field "budgets"; did you mean "budget"? [invalid-policy]' in said


# --- the target


def connected(site: Premises, connection: Mapping[str, Any]) -> None:
    """A commit in which the target is reached in this way."""
    [target, *rest] = node("n1", site.folder)
    site.forge.commit(site.files([target | {"spec": target["spec"] | {"connection": connection}}, *rest]))


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ({"unixSocket": "/nowhere/n1.sock"}, "/nowhere/n1.sock: No such file or directory"),
        ({"tcp": "127.0.0.1:1"}, "127.0.0.1:1: Connection refused"),
        ({"http": {"url": "http://127.0.0.1:1/"}}, "http://127.0.0.1:1/: cannot connect"),
    ],
    ids=["unix", "tcp", "http"],
)
def test_a_target_out_of_reach(
    holdfast: Holdfast, site: Premises, connection: dict[str, Any], told: str, verb: str
) -> None:
    """Guards exit code 3: which target, where, and why; the answer stands on stdout, as the other targets' do."""
    connected(site, connection)
    code, out, err = holdfast(verb, "--standalone")
    assert (code, err) == (3, "")
    assert out.startswith("n1: ")
    assert told in message(out)


def through(proxy: HttpProxy, secret: Path) -> Mapping[str, Any]:
    """The connection of a target behind rpc_http_proxy."""
    url = f"http://127.0.0.1:{proxy.address[1]}/"
    return {"http": {"url": url, "username": "admin", "passwordFrom": {"file": str(secret)}}}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("wrong\n", "wrong user name or password"),
        ("", "the first line is empty; the secret belongs there"),
        (None, "the secret cannot be read: No such file or directory"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_wrong_credentials_of_a_target(
    holdfast: Holdfast, site: Premises, written: str | None, told: str, verb: str
) -> None:
    """Guards rpc_http_proxy: a password that is refused, empty or missing is said, not shown, and nothing is done."""
    secret = site.folder / "password"
    if written is not None:
        secret.write_text(written)
        secret.chmod(0o600)
    with HttpProxy(("127.0.0.1", 0), site.folder / "n1.sock", "admin", "swordfish") as proxy:
        connected(site, through(proxy, secret))
        code, out, err = holdfast(verb, "--standalone")
    assert (code, err) == (3, "")
    assert told in message(out)
    assert "swordfish" not in out
    assert site.simulators["n1"].mutations == []


def test_right_credentials_of_a_target(holdfast: Holdfast, site: Premises) -> None:
    """Guards the refusals above: with the right password the same commit is carried out."""
    secret = site.folder / "password"
    secret.write_text("swordfish\n")
    secret.chmod(0o600)
    with HttpProxy(("127.0.0.1", 0), site.folder / "n1.sock", "admin", "swordfish") as proxy:
        connected(site, through(proxy, secret))
        assert holdfast("plan", "--standalone", "--detailed-exitcode")[0] == 10
        holdfast("apply", "--standalone")
    assert len(site.call("bdev_get_bdevs")) > 0
    assert site.simulators["n1"].mutations != []
