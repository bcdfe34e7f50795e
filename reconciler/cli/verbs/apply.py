"""`holdfast apply`: one tick, now."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import CommandError, Exit, trouble_codes, worst
from reconciler.cli.reading import show
from reconciler.config import Config

HELP = "one tick, now: fetch, judge, plan, and carry out"
EXAMPLES = """examples:
  holdfast apply                           ask the daemon
  holdfast apply --target node-1           only one target
  holdfast apply --standalone              without a daemon (takes the state directory's lock)"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")
    parser.add_argument("--standalone", action="store_true", help="without a daemon: takes the state directory's lock")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    if arguments.standalone:
        answer = _standalone(config, arguments.target)
    else:
        answer = daemon_client.ask(config, "/apply", method="POST", target=arguments.target)
    ticks, trouble = answer["ticks"], {"error": answer["error"], "rejected": answer["rejected"]}
    if arguments.output == "json":
        found = {"apiVersion": "holdfast.dev/v1alpha1", "kind": "TickList", "items": ticks, **trouble}
        print(json.dumps(found, indent=2))
    else:
        show(words.listing(trouble, map(words.tick_text, ticks)))
    return worst([*trouble_codes(trouble), *map(_code, ticks)])


def _code(tick: Mapping[str, Any]) -> Exit:
    if tick["verdict"] in ("unreachable", "stalled"):
        return Exit.UNAVAILABLE
    failed = any(result["outcome"] in ("failed", "unknown") for result in tick["results"])
    stalled = any(remark["stalled"] for remark in tick["plan"]["remarks"])
    return Exit.HELD if tick["verdict"] == "held" or failed or stalled else Exit.CLEAN


def _standalone(config: Config, target: str) -> Mapping[str, Any]:
    from reconciler import app  # noqa: PLC0415  # quick --help
    from reconciler.daemon import tick_json  # noqa: PLC0415

    with app.standalone(config) as daemon:
        if target and target not in daemon.targets:
            raise CommandError(f"there is no target {target}; there are: {', '.join(daemon.targets) or 'none'}")
        ticks = [tick_json(name, daemon.tick(name)) for name in ((target,) if target else daemon.targets)]
        return {"ticks": ticks, **daemon.trouble()}
