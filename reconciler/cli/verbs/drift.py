"""`holdfast drift`: where live state left the repository, and how it came back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from reconciler.cli import daemon_client, words
from reconciler.cli.exits import Exit
from reconciler.cli.options import add_output, add_target
from reconciler.cli.screen import show, show_json

HELP = "show where targets strayed, what is open and what was put right"
EXAMPLES = """\
examples:
  holdfast drift
  holdfast drift --open --detailed-exitcode  for scripts

exit codes: 0 shown, 2 usage or a broken configuration, 3 the daemon is
unreachable, or there is no such target, 10 drift is open (with
--detailed-exitcode)"""


def configure(parser: ArgumentParser) -> None:
    daemon_client.configure(parser)
    add_target(parser)
    parser.add_argument("--open", action="store_true", help="only drift that is not closed")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 10 when drift is open")
    add_output(parser)


def run(arguments: Namespace) -> Exit:
    config = daemon_client.configuration(arguments)
    only_open = "true" if arguments.open else ""
    drifts = daemon_client.ask(config, "/drift", target=arguments.target, open=only_open)["drifts"]
    if not drifts:
        daemon_client.require_target(config, arguments.target)
    if arguments.output == "json":
        show_json("DriftList", items=drifts)
    else:
        show(f"{words.drift_text(drifts)}\n")
    still_open = any(not drift["closed"] and drift["class"] != "Foreign" for drift in drifts)
    return Exit.CHANGES if arguments.detailed_exitcode and still_open else Exit.CLEAN
