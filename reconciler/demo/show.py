"""The demo for a person: everything running, what to try, and an eye on the children until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.demo.playground import HOST, Playground, build, choose_port, ending
from reconciler.demo.processes import target_command
from reconciler.demo.site import Pace

PACE = Pace(source="2s", resync="2s")
GLANCE = 0.3  # seconds between two looks at the children

WELCOME = """\
Holdfast keeps {volumes} volumes on {targets} {kind} targets as Git says.

  page        {page}
  repository  {clone}

Use another terminal:

  . {env}
  holdfast status

Change something by commit, and see it done:

  sed -i 's/iops: 20000/iops: 30000/' team-a/volumes.yaml
  git commit -qam "The database may do more" && git push -q
  sleep 4; holdfast events --limit 5

Break something behind its back, and see it put right:

  holdfast sim-rpc --socket ../node-1/spdk.sock nvmf_delete_subsystem \\
    nqn=nqn.2026-01.com.example.team-a:db
  sleep 4; holdfast drift

Roll back:

  git revert --no-edit HEAD && git push -q

README.md there says what else an operator does. Ctrl-C ends it all."""


@contextmanager
def running(folder: Path, nvmf_tgt: Path | None, port: int | None) -> Iterator[Playground]:
    """Everything up and converged. Raises CommandError."""
    listen = f"{HOST}:{choose_port(port)}"
    with ending(build(folder, listen, PACE, target_command(nvmf_tgt))) as playground:
        playground.start_targets()
        revision = playground.repository.publish()
        playground.start_daemon()
        playground.settle(revision)
        yield playground


def welcome(playground: Playground, *, live: bool) -> str:
    site = playground.site
    return WELCOME.format(
        volumes=site.volumes,
        targets=len(site.nodes),
        kind="live" if live else "simulated",
        page=f"http://{playground.view.config.listen}/",
        clone=site.clone,
        env=site.folder / "env",
    )


def watch(playground: Playground) -> Iterator[str]:
    """For ever; says what happens. A target that dies is started again, as a service manager would do it.

    Raises CommandError when the daemon ends.
    """
    while True:
        playground.daemon.check()
        for target in playground.targets.values():
            if not target.running:
                yield f"{target.name} ended ({target.last_words()}); it is started again"
                target.start()
        time.sleep(GLANCE)
