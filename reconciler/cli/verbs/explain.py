"""`holdfast explain`: what a kind, a field or a rule means."""

from __future__ import annotations

import argparse
import json

from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.reading import show

HELP = "Explain a kind, a field of a kind, or a rule; without a name, list them."
EXAMPLES = """\
examples:
  holdfast explain                       every kind and rule
  holdfast explain Volume                a kind (also: volumes, vol)
  holdfast explain Volume.size           a field, and what happens when it changes
  holdfast explain dangling-reference    a rule"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", metavar="KIND[.FIELD]|RULE", help="what to explain")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="format (default text)")


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
