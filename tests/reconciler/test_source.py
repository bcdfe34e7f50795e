"""The Git repository as a source: every way to reach it, what can become of it, and nothing secret said about it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pygit2
import pytest
from forge import Forge, serving
from pygit2.enums import ObjectType

from analyzer.git import read_snapshot
from reconciler import source as module
from reconciler.config import SourceConfig
from reconciler.demo.patience import until
from reconciler.source import GitSource, SourceError

SECRET = "swordfish"  # noqa: S105  # what tests look for
SILENCE = 0.3  # seconds of timeout, where nothing will ever come


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """An empty bare repository."""
    return Forge(tmp_path / "site.git")


@pytest.fixture
def password(tmp_path: Path) -> str:
    """A file with the right password."""
    return secret(tmp_path / "password", SECRET)


def secret(path: Path, text: str) -> str:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def follow(forge: Forge, **settings: object) -> GitSource:
    """A source, and its copy beside the remote."""
    config = replace(SourceConfig(str(forge.path), timeout=5.0), **settings)  # type: ignore[arg-type]
    return GitSource(config, forge.path.parent / "copy.git")


def refusal(source: GitSource) -> str:
    """Why nothing could be fetched: one line, which begins with the address and holds no secret."""
    with pytest.raises(SourceError) as refused:
        source.fetch()
    message = str(refused.value)
    assert message.startswith(f"{source.config.url}: ")
    assert SECRET not in message
    return message.removeprefix(f"{source.config.url}: ").rstrip("\n")


def files(source: GitSource, revision: str, root: str = "") -> set[str]:
    return set(read_snapshot(source.copy, revision, root).blobs)


# --- ways to it


def test_a_path_and_a_file_url(forge: Forge) -> None:
    """Guards local repositories: new commits arrive, and what arrived is read from our copy when the remote is gone."""
    first = forge.commit("a: 1\n")
    source, by_url = follow(forge), follow(forge, url=f"file://{forge.path}")
    assert source.fetch() == by_url.fetch() == first
    second = forge.commit({"a/b.yaml": "b: 1\n"})
    assert source.fetch() == second
    with forge.gone():
        assert files(source, second) == {"a/b.yaml"}
        assert files(source, second, "a") == {"b.yaml"}
        assert files(source, first) == {"site.yaml"}


def test_http_is_asked_and_only_what_is_new_is_fetched(forge: Forge) -> None:
    """Guards the way that most will use, and its cost: looking again at an unchanged remote transfers nothing."""
    forge.commit("a: 1\n")
    with serving(forge.path.parent) as server:
        source = follow(forge, url=f"{server.url}/site.git")
        source.fetch()
        before = len(server.asked)
        source.fetch()
        assert server.asked[before:] == ["/site.git/info/refs?service=git-upload-pack"]
        second = forge.commit({"b.yaml": "b: 1\n"})
        assert source.fetch() == second
    assert files(source, second) == {"b.yaml"}


def test_http_with_the_right_password(forge: Forge, password: str) -> None:
    """Guards private repositories; the password is read anew each time, so that it can be changed under way."""
    first = forge.commit("a: 1\n")
    with serving(forge.path.parent, "ada", SECRET) as server:
        source = follow(forge, url=f"{server.url}/site.git", username="ada", password_file=password)
        assert source.fetch() == first
    with serving(forge.path.parent, "ada", "another") as server:
        source.config = replace(source.config, url=f"{server.url}/site.git")
        assert refusal(source) == "the server refuses the credentials"
        secret(Path(password), "another")
        assert source.fetch() == first


def test_http_with_wrong_credentials(forge: Forge, tmp_path: Path, password: str) -> None:
    """Guards what a person gets to read: refused, missing, loose or unreadable, and never the password."""
    forge.commit("a: 1\n")
    loose = tmp_path / "loose"
    loose.write_text(SECRET)
    loose.chmod(0o644)
    cases = {
        ("", ""): "credentials are asked for, and [source] names none of that kind",
        ("ada", ""): "credentials are asked for, and [source] names none of that kind",
        ("ada", secret(tmp_path / "wrong", f"{SECRET}!")): "the server refuses the credentials",
        ("bob", password): "the server refuses the credentials",
        ("ada", str(loose)): f"{loose}: others may read this secret; chmod 600 it",
        ("ada", "/nowhere"): "/nowhere: the secret cannot be read: No such file or directory",
    }
    with serving(forge.path.parent, "ada", SECRET) as server:
        for (user, file), message in cases.items():
            source = follow(forge, url=f"{server.url}/site.git", username=user, password_file=file)
            assert refusal(source) == message


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody on, and writes down what they carry."""

    protocol_version = "HTTP/1.1"
    carried: list[str]
    onward = ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
        """Silent."""

    def do_GET(self) -> None:
        self.carried.append(self.headers.get("Authorization", ""))
        self.send_response(302 if self.onward else 401)
        if self.onward:
            self.send_header("Location", f"{self.onward}{self.path}")
        if not self.onward.startswith("http://127.0.0.1"):
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def answering(onward: str = "") -> Iterator[tuple[str, list[str]]]:
    """A server that redirects there, or asks for a password; its address, and the credentials it was given."""
    handler = type("Handler", (_Elsewhere,), {"carried": [], "onward": onward})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler.carried  # type: ignore[attr-defined]
        finally:
            server.shutdown()


def test_the_password_is_for_the_server_that_was_named(forge: Forge, password: str) -> None:
    """Guards the password: a redirect to another server, which asks for it, does not get it."""
    with answering() as (other, carried), answering(other) as (named, _):
        message = refusal(follow(forge, url=f"{named}/site.git", username="ada", password_file=password))
    assert message == f"the server sends us on to {other}, which does not get the password"
    assert set(carried) == {""}


def test_a_redirect_to_another_host_is_not_followed(forge: Forge, password: str) -> None:
    """Guards the daemon's life: libgit2 would crash where a redirect asks for credentials, as some sign-in pages do."""
    with answering("http://localhost:1") as (named, _):
        message = refusal(follow(forge, url=f"{named}/site.git", username="ada", password_file=password))
    assert message == "cannot redirect from '127.0.0.1' to 'localhost'"


def test_a_certificate_that_nobody_vouches_for(forge: Forge, tmp_path: Path) -> None:
    """Guards HTTPS: whoever pretends to be the server is not listened to."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
             "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]  # fmt: skip
    subprocess.run([openssl, *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    handler = type("Handler", (_Elsewhere,), {"carried": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client hangs up on us
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            url = f"https://localhost:{server.server_address[1]}/site.git"
            assert refusal(follow(forge, url=url)) == "the certificate of localhost is not valid"
        finally:
            server.shutdown()
    assert handler.carried == []  # type: ignore[attr-defined]


# --- what is followed


def test_a_branch_that_comes_and_goes(forge: Forge) -> None:
    """Guards the branch: another than main is followed, one that is deleted is said to be gone, and may return."""
    first = forge.commit("a: 1\n", ref="refs/heads/live")
    source = follow(forge, branch="live")
    assert source.fetch() == first
    forge.commit("a: 2\n")
    forge.delete("refs/heads/live")
    assert refusal(source) == "there is no branch live"
    assert files(source, first) == {"site.yaml"}
    forge.move(first, "refs/heads/live")
    assert source.fetch() == first


@pytest.mark.parametrize("annotated", [False, True], ids=["light", "annotated"])
def test_a_tag_is_followed_to_its_commit(forge: Forge, annotated: bool) -> None:  # noqa: FBT001  # a parameter
    """Guards tags: an annotated one stands for the commit it names, and one that is moved is followed."""
    first, second = forge.commit("a: 1\n"), forge.commit("a: 2\n")
    source = follow(forge, tag="live")
    assert refusal(source) == "there is no tag live"
    forge.tag("live", first, annotated=annotated)
    assert source.fetch() == first
    forge.delete("refs/tags/live")
    forge.tag("live", second, annotated=annotated)
    assert source.fetch() == second


def test_a_tag_that_names_no_commit(forge: Forge) -> None:
    """Guards against a traceback: a tag may name a file, which is no revision."""
    forge.commit("a: 1\n")
    blob = forge.repository.create_blob(b"x")
    forge.repository.create_tag("file", blob, ObjectType.BLOB, pygit2.Signature("Ada", "a@b"), "v")
    assert "can not be successfully peeled into a commit" in refusal(follow(forge, tag="file"))


# --- remotes that fail


def test_an_empty_repository(forge: Forge) -> None:
    """Guards the first minutes of a site: nothing is pushed yet, and that is what is said."""
    assert refusal(follow(forge)) == "the repository is empty"


def test_a_remote_that_vanishes_and_comes_back(forge: Forge) -> None:
    """Guards outages: an error meanwhile, new commits afterwards, by the same source."""
    forge.commit("a: 1\n")
    source = follow(forge)
    source.fetch()
    with forge.gone():
        assert refusal(source) == "there is no such folder"
    second = forge.commit("a: 2\n")
    assert source.fetch() == second


def test_what_is_no_repository(forge: Forge, tmp_path: Path) -> None:
    """Guards wrong addresses: each ends in a sentence of its own."""
    (tmp_path / "plain").mkdir()
    assert "could not find repository" in refusal(follow(forge, url=str(tmp_path / "plain")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "Connection refused" in refusal(follow(forge, url=f"http://127.0.0.1:{port}/site.git"))
    with serving(tmp_path) as server:
        assert "404" in refusal(follow(forge, url=f"{server.url}/nowhere.git"))


@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
def test_a_remote_that_never_answers(forge: Forge, scheme: str) -> None:
    """Guards the polling: a server that accepts and says nothing is given up after the timeout, not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://git@127.0.0.1:{silent.getsockname()[1]}/site.git"
        started = time.monotonic()
        refusal(follow(forge, url=url, timeout=SILENCE))
    assert SILENCE <= time.monotonic() - started < 10 * SILENCE


def test_a_fetch_that_brings_too_much(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the disk: a repository beyond the limit is refused while it comes, and its revision is not followed."""
    forge.commit({"big.txt": "".join(f"{number}\n" for number in range(100_000))})
    monkeypatch.setattr(module, "LARGEST", 1000)
    with serving(forge.path.parent) as server:
        assert refusal(follow(forge, url=f"{server.url}/site.git")) == "more than 1000 bytes in one fetch"


def test_a_copy_that_is_damaged(forge: Forge) -> None:
    """Guards the state directory: a copy that is no repository any more is an error of the source, not a crash."""
    forge.commit("a: 1\n")
    source = follow(forge)
    source.copy.mkdir()
    (source.copy / "HEAD").write_text("nonsense\n")
    assert refusal(source)


# --- between two revisions


def test_commits_between_two_revisions(forge: Forge) -> None:
    """Guards approvals by commit: all commits that came, merged ones included, and none that was there before."""
    first = forge.commit("a: 1\n")
    side = forge.commit("a: 2\n", ref="refs/heads/side", parents=[first])
    second = forge.commit("a: 3\n")
    merge = forge.commit("a: 4\n", parents=[second, side])
    source = follow(forge)
    source.fetch()
    assert set(source.between(first, merge)) == {side, second, merge}
    assert source.between(merge, merge) == []
    assert source.between(merge, first) == []


def test_nothing_lies_between_the_unknown_and_a_revision(forge: Forge) -> None:
    """Guards approvals: before the first revision nothing was held, so no commit of all the past approves anything."""
    forge.commit("a: 1\n")
    source = follow(forge)
    revision = source.fetch()
    assert source.between("", revision) == []
    assert source.between("0123456789" * 4, revision) == []


# --- SSH


@dataclass(frozen=True)
class SshServer:
    """An SSH server of our own on loopback, for one throwaway key."""

    folder: Path
    port: int

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def know(self, key: str) -> None:
        """Let the client expect this host key."""
        (self.home / ".ssh").mkdir(parents=True, exist_ok=True)
        public = (self.folder / f"{key}.pub").read_text()
        (self.home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")

    def fetch(self, forge: Forge, key: str) -> str:
        """What a source in a process with another HOME says: the revision, or why there is none."""
        code = (
            "import sys; from pathlib import Path; from reconciler.source import *; from reconciler.config import *\n"
            "config = SourceConfig(sys.argv[1], ssh_key=sys.argv[2], timeout=10.0)\n"
            "try: print(GitSource(config, Path(sys.argv[3])).fetch())\n"
            "except SourceError as error: print(str(error).removeprefix(f'{config.url}: '))\n"
        )
        url = f"ssh://{_user()}@127.0.0.1:{self.port}{forge.path}"
        ran = subprocess.run(
            [sys.executable, "-c", code, url, key and str(self.folder / key), str(forge.path.parent / "copy.git")],
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert ran.stderr == ""
        return ran.stdout.strip()


def _user() -> str:
    import pwd  # noqa: PLC0415  # beside its only use

    return pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """Skips where no server can be started."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    keygen = shutil.which("ssh-keygen")
    if program is None or keygen is None:
        pytest.skip("there is no sshd here (Debian: openssh-server)")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user", "stranger"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    log = folder / "log"
    with _separation(), log.open("w") as said:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=said)
        try:
            until(lambda: "Server listening" in log.read_text() or process.poll() is not None, "sshd to start")
            if process.poll() is not None:
                pytest.skip(f"sshd does not start here: {log.read_text().strip()}")
            yield SshServer(folder, port)
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def _separation() -> Iterator[None]:
    """The empty folder that an sshd of root wants, which the system makes when it boots."""
    folder = Path("/run/sshd")
    if os.getuid() or folder.exists():
        yield
        return
    folder.mkdir(mode=0o755)
    try:
        yield
    finally:
        folder.rmdir()


@pytest.mark.slow
def test_ssh(ssh: SshServer, forge: Forge) -> None:
    """Guards SSH with a key: a commit arrives; a stranger's key, none, and one that others may read are refused."""
    revision = forge.commit("a: 1\n")
    ssh.know("host")
    assert ssh.fetch(forge, "user") == revision
    assert ssh.fetch(forge, "stranger") == "the server refuses the credentials"
    assert ssh.fetch(forge, "") == "credentials are asked for, and [source] names none of that kind"
    (ssh.folder / "user").chmod(0o644)
    assert ssh.fetch(forge, "user") == f"{ssh.folder}/user: others may read this secret; chmod 600 it"
    (ssh.folder / "user").chmod(0o600)


@pytest.mark.slow
def test_ssh_host_keys_are_checked(ssh: SshServer, forge: Forge) -> None:
    """Guards against a server in the middle, whose commits would be obeyed: unknown and changed keys are refused."""
    forge.commit("a: 1\n")
    refused = "the key of 127.0.0.1 is not the one in this user's ~/.ssh/known_hosts"
    ssh.know("stranger")
    assert ssh.fetch(forge, "user") == refused
    (ssh.home / ".ssh" / "known_hosts").unlink()
    assert ssh.fetch(forge, "user") == refused
