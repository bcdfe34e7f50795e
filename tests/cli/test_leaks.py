"""No secret leaves the place where it is kept, whatever goes well or wrong with it.

Different secrets are planted wherever one can be named; a daemon of its own works with them, and then everything that
it wrote, served and said is searched for any part of them.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forge import Forge
from playing import environment
from premises import Premises
from world import NQN, manifest, node, portals, subsystem, volume

from backends.spdk.simulator import Refuse
from backends.spdk.simulator.http_proxy import HttpProxy
from reconciler.demo.patience import until
from reconciler.demo.processes import HOLDFAST

Holdfast = Callable[..., tuple[int, str, str]]
SOURCE = 'url = "site.git"\ninterval = "100ms"'
SHORTEST = 12  # characters of a secret that nobody else writes by chance
PAGES = ("/", "/status", "/events", "/drift", "/plan", "/healthz", "/readyz", "/nowhere")
VERBS = (
    ("status",),
    ("events",),
    ("drift",),
    ("plan",),
    ("plan", "--output", "json"),
    ("status", "--output", "json"),
    ("events", "--output", "json"),
    ("drift", "--output", "json"),
    ("import", "--target", "n1", "--socket", "n1.sock"),
    ("approve", "0123456789abcdef"),
    ("apply",),
)


class Planted:
    """Secrets, each another one, in files that only their owner reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "secrets"
        self.folder.mkdir()
        self.known: dict[str, str] = {}

    def put(self, name: str, text: str) -> dict[str, str]:
        """A secret under a name; what came before under it stays known."""
        self.known[f"{name}{len(self.known)}"] = text
        path = self.folder / name
        path.touch(0o600)
        path.write_text(f"{text}\n")
        return {"file": str(path)}

    def dhchap(self, name: str) -> dict[str, str]:
        return self.put(name, f"DHHC-1:00:{_whole()}:")

    def psk(self, name: str) -> dict[str, str]:
        return self.put(name, f"NVMeTLSkey-1:01:{_whole()}:")

    def cipher(self, name: str) -> dict[str, str]:
        return self.put(name, os.urandom(64).hex())

    def parts(self) -> dict[str, list[bytes]]:
        """What a leak would show: the secret, its halves, what is inside, and how HTTP would carry it."""
        found: dict[str, list[bytes]] = {}
        for name, text in self.known.items():
            pieces = {text, text[: len(text) // 2], text[len(text) // 2 :], *text.split(":")}
            pieces.add(base64.b64encode(f"admin:{text}".encode()).decode())
            found[name] = [piece.encode() for piece in pieces if len(piece) >= SHORTEST]
        return found


def _whole() -> str:
    key = os.urandom(32)
    return base64.b64encode(key + zlib.crc32(key).to_bytes(4, "little")).decode()


def get(path: str, address: Path) -> bytes:
    """What the daemon serves over its UNIX socket."""
    connection = http.client.HTTPConnection("localhost", timeout=20.0)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(address))
        connection.sock = sock
        connection.request("GET", path)
        answer = connection.getresponse()
        return repr(answer.getheaders()).encode() + answer.read()


@contextmanager
def daemon(site: Premises, **more: str) -> Iterator[Path]:
    """The daemon as a process; its log."""
    log = site.folder / "daemon.log"
    with log.open("ab") as said:
        child = subprocess.Popen(
            [*HOLDFAST, "run"], cwd=site.folder, stdout=said, stderr=said, env=environment() | more
        )
    try:
        yield log
    finally:
        child.terminate()
        child.wait(20.0)


def site_of(site: Premises, secrets: Planted, url: str) -> list[dict[str, Any]]:
    """Everything that can name a secret: devices, volumes, hosts, a connection."""
    first, second = node("n1", site.folder), node("n2", site.folder)
    first[0]["spec"]["portals"][1] |= {"port": 4430, "secureChannel": True}
    about = {"url": url, "username": "admin", "passwordFrom": secrets.put("password", os.urandom(20).hex())}
    second[0]["spec"] |= {"connection": {"http": about}, "portals": portals(4421)}
    dhchap = {"keyFrom": secrets.dhchap("web"), "controllerKeyFrom": secrets.dhchap("controller")}
    exports = [{"targetRef": "n1", "portals": ["front", "back"]}]
    return [
        *first,
        *second,
        manifest("Host", "web", {"nqn": f"{NQN}host-web", "dhchap": dhchap, "tls": {"pskFrom": secrets.psk("psk")}}),
        manifest("Host", "env", {"nqn": f"{NQN}host-env", "dhchap": {"keyFrom": {"env": "HOLDFAST_LEAK"}}}),
        manifest("Host", "bad", {"nqn": f"{NQN}host-bad", "dhchap": {"keyFrom": secrets.put("bad", _whole() * 2)}}),
        volume("a", encryption={"keyFrom": secrets.cipher("volume")}),
        volume("b", target="n2", encryption={"keyFrom": secrets.cipher("far")}),
        subsystem("s", {1: "a"}, hosts=["web", "env", "bad"], exports=exports),
    ]


def test_no_secret_is_written_served_or_said(holdfast: Holdfast, site: Premises) -> None:
    """Plants secrets in every place, works with them through refusals, rotation, a wrong password and a lost target."""
    secrets = Planted(site.folder)
    webhook = secrets.put("webhook", os.urandom(20).hex())["file"]
    site.configure(f'webhookSecretFrom.file = "{webhook}"\n[resync]\ninterval = "100ms"', source=SOURCE)
    secrets.dhchap("variable")
    own = (site.folder / "secrets" / "variable").read_text().strip()
    for method in ("accel_crypto_key_create", "nvmf_subsystem_set_keys"):
        refusals = iter([Refuse(-32602, "Invalid parameters")] * 2)
        site.simulators["n1"].before(method, lambda *_, left=refusals: next(left, None))
    said: list[bytes] = []
    with HttpProxy(("127.0.0.1", 0), site.folder / "n1.sock", "admin", "another password") as proxy:
        manifests = site_of(site, secrets, f"http://127.0.0.1:{proxy.address[1]}/")
        forge: Forge = site.forge
        forge.commit(site.files(manifests))
        with daemon(site, HOLDFAST_LEAK=own) as log:

            def converged(*hosts: str) -> bool:
                found = site.call("nvmf_get_subsystems")
                listed = {h["nqn"] for s in found for h in s.get("hosts", []) if "dhchap_key" in h}
                return {f"{NQN}host-{host}" for host in hosts} <= listed

            until(lambda: converged("web", "env"), lambda: log.read_text()[-2000:])
            before = {key["name"] for key in site.call("keyring_get_keys")}
            secrets.dhchap("web")
            secrets.psk("psk")
            secrets.cipher("volume")  # another key for bytes that are there: WrongKey
            until(lambda: len({k["name"] for k in site.call("keyring_get_keys")} - before) == 2, "rotation")
            said += [get(path, site.folder / "http.sock") for path in PAGES]
            said += [repr(holdfast(*words)).encode() for words in VERBS]
            site.simulators["n1"].kill()
            until(lambda: "TargetUnreachable" in log.read_text(), "the target to be missed")
            said += [get("/status", site.folder / "http.sock")]
    said += [repr(holdfast("plan", "--standalone")).encode()]
    site.simulators["n1"].start()
    said += [repr(holdfast(*words)).encode() for words in (("plan", "--standalone"), ("apply", "--standalone"))]
    everything = b"".join(said)
    assert b"KeyUnavailable" in everything
    assert b"WrongKey" in everything
    assert b"wrong user name or password" in everything
    assert_nowhere(site, secrets, everything)


def assert_nowhere(site: Premises, secrets: Planted, said: bytes) -> None:
    keys = site.state / "keys"
    kept = [path for path in keys.rglob("*") if path.is_file()]
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    files = [path for path in site.folder.rglob("*") if path.is_file() and path.suffix != ".img"]
    written = {
        path: path.read_bytes() for path in files if keys not in path.parents and secrets.folder not in path.parents
    }
    assert any(path.name.startswith("holdfast.db") for path in written)
    for name, parts in secrets.parts().items():
        for part in parts:
            assert part not in said, name
            assert [path for path, content in written.items() if part in content] == [], name
