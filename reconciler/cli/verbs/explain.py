"""`holdfast explain`: what a kind, a field, a rule, a reason or an annotation means."""

from __future__ import annotations

import argparse
import json

from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_output
from reconciler.cli.screen import show

HELP = "explain a kind, field, rule, reason or annotation; or list them"
EXAMPLES = """\
examples:
  holdfast explain                     every kind, rule, reason, annotation
  holdfast explain Volume              a kind (also: volumes, vol)
  holdfast explain Volume.size         a field, and what changing it means
  holdfast explain dangling-reference  a rule
  holdfast explain KeptLarger          a reason that status gives
  holdfast explain drift-ignore        an annotation under holdfast.dev/
  holdfast explain .holdfast.yaml      a configuration file

exit codes: 0 explained, 2 there is no such thing"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", metavar="KIND[.FIELD]|RULE|REASON|ANNOTATION", help="what to explain")
    add_output(parser)


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer import explain  # noqa: PLC0415  # a verb's imports happen inside it
    from analyzer.render import explain as text  # noqa: PLC0415  # see above

    if arguments.subject is None:
        show(_json(explain.index()) if arguments.output == "json" else text.render_index())
        return Exit.CLEAN
    try:
        topic = explain.find(arguments.subject)
    except explain.UnknownTopic as error:
        raise UsageError(f"{error}; `holdfast explain` lists everything") from error
    show(_json(explain.to_json(topic)) if arguments.output == "json" else text.render(topic))
    return Exit.CLEAN


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
