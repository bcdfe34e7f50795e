"""`holdfast plan`: what the next tick would do, and what it holds back and why."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import CommandError, Exit, trouble_codes, worst
from reconciler.cli.options import add_output, add_standalone, add_target
from reconciler.cli.screen import show, show_json
from reconciler.config import Config

HELP = "show what the next tick would do, what it holds back, and why"
EXAMPLES = """\
examples:
  holdfast plan                       ask the daemon
  holdfast plan --target node-1       only one target
  holdfast plan --detailed-exitcode   for scripts
  holdfast plan --standalone -o json  without a daemon, for programs

exit codes: 0 nothing is held, 1 the newest revision does not pass, 2 usage or
a broken configuration, 3 something is unreachable, 4 held for a person,
10 there are steps or drift (with --detailed-exitcode)"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_target(parser)
    add_standalone(parser)
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when there are steps or drift")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    if arguments.standalone:
        answer = _standalone(config, arguments.target)
    else:
        answer = daemon_client.ask(config, "/plan", target=arguments.target)
    plans, trouble = answer["plans"], {"error": answer["error"], "rejected": answer["rejected"]}
    if arguments.output == "json":
        show_json("PlanList", items=plans, **trouble)
    else:
        show(words.listing(trouble, map(words.plan_text, plans)))
    return worst([*trouble_codes(trouble), *(_code(plan, detailed=arguments.detailed_exitcode) for plan in plans)])


def _code(plan: Mapping[str, Any], *, detailed: bool) -> Exit:
    if "error" in plan:
        return Exit.UNAVAILABLE
    if any(not held["waiting"] for held in plan["held"]) or any(r["stalled"] for r in plan["remarks"]):
        return Exit.HELD
    return Exit.CHANGES if detailed and (plan["steps"] or plan["drift"]) else Exit.CLEAN


def _standalone(config: Config, target: str) -> Mapping[str, Any]:
    from backends.contract import BackendError  # noqa: PLC0415  # quick --help
    from reconciler import app  # noqa: PLC0415
    from reconciler.plan import plan_json  # noqa: PLC0415

    found: list[Mapping[str, Any]] = []
    with app.standalone(config, rehearse=True) as daemon:
        if target and target not in daemon.targets:
            raise CommandError(f"there is no target {target}; there are: {', '.join(daemon.targets) or 'none'}")
        for name in (target,) if target else daemon.targets:
            try:
                found.append(plan_json(daemon.preview(name)))
            except BackendError as error:
                found.append({"target": name, "error": str(error)})
        return {"plans": found, **daemon.gate.trouble()}
