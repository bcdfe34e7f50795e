"""The site, running: a folder with its repository, its targets, and the daemon that keeps them."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler import config
from reconciler.cli.exits import CommandError, UsageError
from reconciler.demo import site as sites
from reconciler.demo.daemon_view import DaemonView
from reconciler.demo.patience import until
from reconciler.demo.processes import Child, daemon_command
from reconciler.demo.repository import Repository
from reconciler.demo.site import Node, Pace, Site
from reconciler.demo.witness import Witness

HOST = "127.0.0.1"
PORT = 8770
STARTING = 30.0  # seconds until everything must have come up


@dataclass(frozen=True)
class Playground:
    """All the parts. Targets may listen elsewhere than where the manifests say, if something stands between."""

    site: Site
    repository: Repository
    targets: Mapping[str, Child]
    witnesses: Mapping[str, Witness]
    daemon: Child
    view: DaemonView

    def start_targets(self) -> None:
        """Raises CommandError when one does not come up."""
        for target in self.targets.values():
            target.start()
        until(self._targets_answer, "the targets to answer", STARTING)

    def start_daemon(self) -> None:
        """Raises CommandError when it does not come up."""
        self.daemon.start()
        until(self._daemon_answers, "the daemon to answer", STARTING)

    def settle(self, revision: str) -> None:
        """Wait until everything is as a revision declares. Raises CommandError."""

        def settled() -> bool:
            self.check()
            return self.view.converged(revision)

        until(settled, lambda: f"convergence; {self.view.unfinished()}")

    def check(self) -> None:
        """Raises CommandError when something that ought to run has ended."""
        for child in (*self.targets.values(), self.daemon):
            child.check()

    def stop(self) -> None:
        """The daemon first: it would see its targets go."""
        for child in (self.daemon, *self.targets.values()):
            child.stop()

    def _targets_answer(self) -> bool:
        for target in self.targets.values():
            target.check()
        return all(witness.answers for witness in self.witnesses.values())

    def _daemon_answers(self) -> bool:
        self.daemon.check()
        return self.view.answers


def build(
    folder: Path,
    listen: str,
    pace: Pace,
    command: Callable[[Path], Sequence[str]],
    socket_of: Callable[[Node], Path] = lambda node: node.socket,
) -> Playground:
    """Everything in place and nothing running. Raises CommandError."""
    _require_git()
    site = sites.plan(folder)
    _require_portals(site)
    sites.lay_out(site)
    sites.configure(site, listen, pace)
    (folder / "env").write_text(_environment(site))
    own = {node.name: socket_of(node) for node in site.nodes}
    return Playground(
        site,
        Repository(site.repository, site.clone),
        {name: Child(f"target {name}", command(path), folder / f"{name}.log") for name, path in own.items()},
        {name: Witness(path) for name, path in own.items()},
        Child("the daemon", daemon_command(site.config), folder / "daemon.log"),
        DaemonView(config.load(site.config)),
    )


@contextmanager
def working_folder(named: Path | None, *, keep: bool) -> Iterator[Path]:
    """The folder that a person named, or a fresh one that goes away afterwards. Raises CommandError, UsageError."""
    try:
        folder = _empty(named.absolute()) if named else Path(tempfile.mkdtemp(prefix="holdfast-")).resolve()
    except OSError as error:
        where = named or tempfile.gettempdir()
        raise CommandError(f"{where}: {error.strerror}; choose another --dir") from error
    try:
        yield folder
    finally:
        if not named and not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> Path:
    """The folder, made if it is not there; what is in it already must not be mixed with ours."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder with --dir")
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return folder


@contextmanager
def ending(playground: Playground) -> Iterator[Playground]:
    """End the children whatever happens; a second Ctrl-C does not stop that."""
    try:
        yield playground
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        playground.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def choose_port(wanted: int | None) -> int:
    """The wanted port, else the usual one, else any that is free. Raises CommandError when the wanted one is taken."""
    for port in (wanted,) if wanted is not None else (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                why = error.strerror
                continue
            return int(probe.getsockname()[1])
    raise CommandError(f"port {wanted} of {HOST}: {why}; choose another --port")


def _require_git() -> None:
    if shutil.which("git") is None:
        raise CommandError("there is no git in PATH; install it")


def _require_portals(site: Site) -> None:
    """The manifests' portals are real addresses of this machine, which another demo may be using."""
    for address, port in (portal for node in site.nodes for portal in node.portals):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise CommandError(
                    f"portal {address}:{port}: {error.strerror}; is another demo or target running here?"
                ) from error


def _environment(site: Site) -> str:
    """For a person's shell: the command, its configuration, and the folder to work in."""
    command, configuration, clone = (
        shlex.quote(str(p)) for p in (Path(sys.executable).parent, site.config, site.clone)
    )
    return f'export PATH={command}:"$PATH"\nexport HOLDFAST_CONFIG={configuration}\ncd {clone}\n'
