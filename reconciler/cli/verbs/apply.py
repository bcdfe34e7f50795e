"""`holdfast apply`: one tick, now."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import CommandError, Exit, worst
from reconciler.config import Config

HELP = "one tick, now: fetch, judge, plan, and carry out"
EXAMPLES = """examples:
  holdfast apply                           ask the daemon
  holdfast apply --target node-1           only one target
  holdfast apply --standalone              without a daemon (takes the state directory's lock)"""
_MARKS = {"ok": "ok", "skipped": "--", "running": ".."}


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    parser.add_argument("--target", metavar="NAME", default="", help="only this target")
    parser.add_argument("--standalone", action="store_true", help="without a daemon: takes the state directory's lock")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    if arguments.standalone:
        ticks = _standalone(config, arguments.target)
    else:
        ticks = daemon_client.ask(config, "/apply", method="POST", target=arguments.target)["ticks"]
    if arguments.output == "json":
        print(json.dumps({"apiVersion": "holdfast.dev/v1alpha1", "kind": "TickList", "items": ticks}, indent=2))
    else:
        print("\n\n".join(_text(tick) for tick in ticks) or "no targets are declared")
    return worst(map(_code, ticks))


def _text(tick: Mapping[str, Any]) -> str:
    results = [_result(result) for result in tick["results"]]
    held = [words.wrap(f"held: {h['object']}: {h['reason']}: {h['message']}", 2, 4) for h in tick["plan"]["held"]]
    tail = [f"  {tick['message']}"] if tick["message"] else []
    return "\n".join([f"{tick['target']}: {tick['verdict']}", *results, *held, *tail])


def _result(result: Mapping[str, Any]) -> str:
    first = f"  {_MARKS.get(result['outcome'], result['outcome'].upper())} {result['step']}"
    return "\n".join([first, words.wrap(result["message"], 6)]) if result["message"] else first


def _code(tick: Mapping[str, Any]) -> Exit:
    if tick["verdict"] in ("unreachable", "stalled"):
        return Exit.UNAVAILABLE
    failed = any(result["outcome"] in ("failed", "unknown") for result in tick["results"])
    stalled = any(remark["stalled"] for remark in tick["plan"]["remarks"])
    return Exit.HELD if tick["verdict"] == "held" or failed or stalled else Exit.CLEAN


def _standalone(config: Config, target: str) -> Sequence[Mapping[str, Any]]:
    from reconciler import app  # noqa: PLC0415  # quick --help
    from reconciler.daemon import tick_json  # noqa: PLC0415

    with app.standalone(config) as daemon:
        if target and target not in daemon.targets:
            raise CommandError(f"there is no target {target}; there are: {', '.join(daemon.targets) or 'none'}")
        return [tick_json(name, daemon.tick(name)) for name in ((target,) if target else daemon.targets)]
