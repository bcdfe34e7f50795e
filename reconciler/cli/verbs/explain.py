"""`holdfast explain`: what a kind, a field, a rule, a reason or an annotation means."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from reconciler.cli.exits import Exit, UsageError
from reconciler.cli.options import add_output
from reconciler.cli.screen import show

if TYPE_CHECKING:
    from analyzer.explain import Topic

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
  holdfast explain Volume --schema     its JSON Schema, for editors

exit codes: 0 explained, 2 there is no such thing"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", metavar="KIND[.FIELD]|RULE|REASON|ANNOTATION", help="what to explain")
    parser.add_argument("--schema", action="store_true", help="of a kind or configuration file: its JSON Schema")
    add_output(parser)


def run(arguments: argparse.Namespace) -> Exit:
    from analyzer import explain  # noqa: PLC0415  # a verb's imports happen inside it
    from analyzer.render import explain as text  # noqa: PLC0415  # see above

    if arguments.schema:
        show(_json(_schema(arguments.subject)))
        return Exit.CLEAN
    if arguments.subject is None:
        show(_json(explain.index()) if arguments.output == "json" else text.render_index())
        return Exit.CLEAN
    topic = _topic(arguments.subject)
    show(_json(explain.to_json(topic)) if arguments.output == "json" else text.render(topic))
    return Exit.CLEAN


def _topic(subject: str) -> Topic:
    from analyzer import explain  # noqa: PLC0415  # see above

    try:
        return explain.find(subject)
    except explain.UnknownTopic as error:
        told = str(error)
        end = "" if told.endswith("?") else ";"
        raise UsageError(f"{told}{end} `holdfast explain` lists everything") from error


def _schema(subject: str | None) -> object:
    """For editors, which complete and check by it."""
    schema = getattr(_topic(subject), "schema", None) if subject else None
    if schema is None:
        raise UsageError("--schema needs a kind or a configuration file, such as .holdfast.yaml")
    return dict(schema)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
