"""`holdfast apply`: one tick, now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import CommandError, Exit, trouble_codes, worst
from reconciler.cli.options import add_output, add_standalone, add_target
from reconciler.cli.screen import show, show_json
from reconciler.config import Config

HELP = "make one tick now: fetch, judge, plan, and carry out"
EXAMPLES = """\
examples:
  holdfast apply                  ask the daemon
  holdfast apply --target node-1  only one target
  holdfast apply --standalone     without a daemon

exit codes: 0 done, 1 the newest revision does not pass, 2 usage or a broken
configuration, 3 something is unreachable, 4 held for a person, or not
all steps were done"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_target(parser)
    add_standalone(parser)
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    if arguments.standalone:
        answer = _standalone(config, arguments.target)
    else:
        answer = daemon_client.ask(config, "/apply", method="POST", target=arguments.target)
    ticks, trouble = answer["ticks"], {"error": answer["error"], "rejected": answer["rejected"]}
    if arguments.output == "json":
        show_json("TickList", items=ticks, **trouble)
    else:
        show(words.listing(trouble, map(words.tick_text, ticks)))
    return worst([*trouble_codes(trouble), *map(_code, ticks)])


def _code(tick: Mapping[str, Any]) -> Exit:
    if tick["verdict"] in ("unreachable", "stalled"):
        return Exit.UNAVAILABLE
    failed = any(result["outcome"] not in ("ok", "running") for result in tick["results"])
    stalled = any(remark["stalled"] for remark in tick["plan"]["remarks"])
    return Exit.HELD if tick["verdict"] == "held" or failed or stalled else Exit.CLEAN


def _standalone(config: Config, target: str) -> Mapping[str, Any]:
    from reconciler import app  # noqa: PLC0415  # quick --help
    from reconciler.overview import tick_json  # noqa: PLC0415

    with app.standalone(config, rehearse=False) as daemon:
        if target and target not in daemon.targets:
            raise CommandError(f"there is no target {target}; there are: {', '.join(daemon.targets) or 'none'}")
        ticks = [tick_json(name, daemon.tick(name)) for name in ((target,) if target else daemon.targets)]
        return {"ticks": ticks, **daemon.gate.trouble()}
