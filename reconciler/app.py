"""The composition root: the only module that names a concrete backend."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.contract import Backend, BackendError, Interest, Terminal
from backends.objects import Subsystem
from reconciler import telemetry
from reconciler.cli.exits import CommandError, Exit
from reconciler.clock import SystemClock, mint_uuid
from reconciler.config import Config, ConfigError, read_secret
from reconciler.daemon import Daemon
from reconciler.desired import TargetWish
from reconciler.house import House
from reconciler.importing import Imported, import_target
from reconciler.keyfiles import KeyFiles
from reconciler.secrets import SecretError, Vault
from reconciler.source import GitSource
from reconciler.state import open_state
from reconciler.store import StateError
from schemas.resources import Json

if TYPE_CHECKING:
    from backends.spdk.backend import SpdkBackend


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Where the HTTP proxy listens, and who may use it."""

    address: tuple[str, int]
    user: str
    password: str


def serve_simulator(  # noqa: PLR0913  # how a process is started
    socket_path: Path,
    *,
    tcp: tuple[str, int] | None,
    http: HttpAccess | None,
    state_dir: Path | None,
    wait_for_rpc: bool,
    poll_interval: float | None,
    examine: float = 0.0,
    faults: str = "",
    allowed: frozenset[str] | None = None,
) -> None:
    """Run a simulated target until SIGTERM or SIGINT. CommandError: it cannot start, or died as a live one would."""
    from backends.spdk.simulator import (  # noqa: PLC0415  # only this verb needs it
        Pace,
        PlanError,
        Simulator,
        SocketInUseError,
        parse_plan,
    )

    try:
        simulator = Simulator(
            socket_path,
            tcp=tcp,
            state_dir=state_dir,
            bind_listeners=True,
            wait_for_rpc=wait_for_rpc,
            poll_interval=poll_interval,
            breath=0.002,
            pace=Pace(examine=examine),
            mint=mint_uuid,
            rpcs_allowed=allowed,
        )
        simulator.order(parse_plan(faults))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: simulator.end())
        with ExitStack() as stack:
            if http is not None:
                stack.enter_context(_http_proxy(http, socket_path))
            simulator.serve()
    except PlanError as error:
        raise CommandError(f"--fault: {error}", Exit.USAGE) from error
    except SocketInUseError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"it cannot start: {_why(error)}") from error
    if simulator.died is not None:
        raise CommandError(f"the target died: {simulator.died!r}")


def _http_proxy(http: HttpAccess, socket_path: Path) -> AbstractContextManager[object]:
    """Raises CommandError when its address is taken."""
    from backends.spdk.simulator.http_proxy import HttpProxy  # noqa: PLC0415  # only --http needs it

    try:
        return HttpProxy(http.address, socket_path, http.user, http.password)
    except OSError as error:
        raise CommandError(f"{http.address[0]}:{http.address[1]}: {_why(error)}") from error


def _why(error: OSError) -> str:
    """What the system says, and of which file."""
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def call_raw(address: Path | str, method: str, params: Mapping[str, Json] | None, timeout: float) -> Json:
    """One call to a target, simulated or not: over its UNIX socket (a Path) or TCP (`host:port`).

    Raises RawError when the target answers with an error, CommandError when it cannot be reached.
    """
    from backends.spdk.client import Call, Client  # noqa: PLC0415  # see above
    from backends.spdk.errors import Disconnected, RpcError  # noqa: PLC0415  # see above
    from backends.spdk.transport import connect_tcp, connect_unix  # noqa: PLC0415  # see above

    try:
        transport = connect_unix(str(address)) if isinstance(address, Path) else connect_tcp(address)
        with closing(Client(transport)) as client:
            return client.call(Call(method, params, mutates=True, timeout=timeout)).result()
    except RpcError as error:
        raise RawError(error.code, error.message) from error
    except (BackendError, Disconnected) as error:
        raise CommandError(str(error)) from error


def import_live(target: str, connection: Mapping[str, Any], namespace: str) -> Imported:
    """Manifests of a live target. Raises CommandError when it cannot be reached."""
    from backends.spdk import saved  # noqa: PLC0415  # only this verb needs it

    backend = backend_at(connection)
    try:
        observed = backend.observe(Interest())
        reporting = [s.nqn for s in observed.objects.values() if isinstance(s, Subsystem) and s.ana_reporting]
        if reporting:
            observed = backend.observe(Interest(ana=frozenset(reporting)))
        hidden = backend.configuration(saved.PARTS)
    except BackendError as error:
        raise CommandError(str(error)) from error
    finally:
        backend.close()
    unknown = [] if hidden else ["options that only framework_get_config shows, which the target refuses"]
    config = saved.read_calls(hidden or [])
    return import_target(
        saved.completed(observed, config), target, connection, namespace, odd=config.odd, unknown=unknown
    )


def import_saved(file: Path, target: str, connection: Mapping[str, Any], namespace: str) -> Imported:
    """Manifests of what a configuration file makes, as `rpc.py save_config` wrote it. Raises CommandError."""
    from backends.spdk import saved  # noqa: PLC0415  # see above

    try:
        config = saved.read(json.loads(file.read_text()))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{file}: not JSON, so not what save_config writes: {error}", Exit.USAGE) from error
    except BackendError as error:
        raise CommandError(f"{file}: not what save_config writes: {error}", Exit.USAGE) from error
    return import_target(config.observed, target, connection, namespace, odd=config.odd, unknown=config.unknown)


def allowlist(features: Iterable[str]) -> tuple[str, ...]:
    """The methods that a target must permit for these features; sorted."""
    from backends.spdk import features as table  # noqa: PLC0415  # only this verb needs it

    return table.allowlist(features)


def whole_allowlist() -> tuple[str, ...]:
    """Every method that this Holdfast can send; sorted."""
    from backends.spdk import features as table  # noqa: PLC0415  # see above

    return table.allowlist(table.NEEDED)


class RawError(Exception):
    """The target answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def backend_for(wish: TargetWish, secrets: Vault) -> Backend:
    """The backend of a target, by the connection that its manifest declares."""
    return backend_at(wish.connection, secrets)


def backend_at(connection: Mapping[str, Any], secrets: Vault | None = None) -> SpdkBackend:
    """The backend of the target that a connection, written as in a Target, leads to."""
    from backends.spdk.backend import NoSecrets, SpdkBackend  # noqa: PLC0415  # only verbs that talk to targets need it
    from backends.spdk.transport import HttpEndpoint, HttpTransport, connect_tcp, connect_unix  # noqa: PLC0415

    made = partial(SpdkBackend, secrets=secrets or NoSecrets())
    match connection:
        case {"unixSocket": str(path)}:
            return made(lambda: connect_unix(path))
        case {"tcp": str(address)}:
            return made(lambda: connect_tcp(address))
        case {"http": http}:
            user, password = http.get("username", ""), partial(_password, http, secrets)
            endpoint = HttpEndpoint(http["url"], user, password, http.get("caFile"))
            return made(lambda: HttpTransport(endpoint))
    raise ValueError(f"{sorted(connection)}: no connection that this Holdfast knows")


def _password(http: Mapping[str, Any], secrets: Vault | None) -> str:
    file = http.get("passwordFrom", {}).get("file", "")
    try:
        return secrets.password(file) if file and secrets else ""
    except SecretError as error:
        raise Terminal(f"spec.connection.http.passwordFrom: {error}") from error


@contextmanager
def opened(config: Config) -> Iterator[Daemon]:
    """The daemon of a configuration, its state locked, not yet running. Raises CommandError."""
    try:
        with closing(open_state(config.state)) as state:
            vault = Vault(state.site, allowed=config.secrets, files=KeyFiles(state.keys))
            house = House.open(state.site, state.store, SystemClock(), vault)
            connect = partial(backend_for, secrets=vault)
            yield Daemon(config, house, GitSource(config.source, state.copy), connect, telemetry.logger())
    except StateError as error:
        raise CommandError(str(error)) from error


@contextmanager
def standalone(config: Config, *, rehearse: bool) -> Iterator[Daemon]:
    """For one command without a daemon: state locked, repository read, nothing scheduled. Raises CommandError.

    To rehearse is to keep nothing of it: neither is the newest revision accepted nor anything else remembered.
    Nothing is logged: what there is to tell is the command's own answer.
    """
    telemetry.silence()
    with opened(config) as daemon, daemon.house.store.rehearsal() if rehearse else nullcontext():
        daemon.resume()
        daemon.poll()
        if daemon.gate.desired is None:
            missing = daemon.gate.nothing_accepted()
            raise CommandError(str(missing), Exit.FINDINGS if missing.rejected else Exit.UNAVAILABLE)
        try:
            yield daemon
        finally:
            daemon.stop()


def run(config: Config, ready: Callable[[Daemon], None] = lambda _: None) -> None:
    """The daemon, until SIGTERM or SIGINT. Raises CommandError when it cannot start."""
    from reconciler.serve.application import application  # noqa: PLC0415  # 150 ms that other verbs need not pay
    from reconciler.serve.server import ListenError, Server, hosts_of, listen  # noqa: PLC0415

    telemetry.configure(config.log_format)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with opened(config) as daemon, ExitStack() as stack:
        try:
            secret = read_secret(config.webhook_secret_file) if config.webhook_secret_file else ""
            sock = stack.enter_context(listen(config.listen))
        except ConfigError as error:
            raise CommandError(str(error)) from error
        except ListenError as error:
            raise CommandError(f"[serve] listen: {error}") from error
        server = Server(application(daemon, secret, hosts_of(config.listen)), sock)
        daemon.start()
        server.start()
        telemetry.logger().info("started", site=daemon.house.site, listen=config.listen, source=config.source.url)
        ready(daemon)
        done.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # a second one does not wait for what is going on
        server.stop()
        daemon.stop()
