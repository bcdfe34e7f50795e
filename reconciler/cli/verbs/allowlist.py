"""`holdfast allowlist`: the least that a target has to permit."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exits import CommandError, Exit
from reconciler.cli.options import add_output, add_target
from reconciler.cli.reading import reading, snapshot_of
from reconciler.cli.screen import show, show_json

if TYPE_CHECKING:
    from reconciler.desired import DesiredState

HELP = "print the least that a target must permit (--rpcs-allowed)"
EXAMPLES = """\
examples:
  holdfast allowlist                         each target of the manifests here
  holdfast allowlist --target node-1         one; the list and nothing else
  holdfast allowlist --all                   whatever may ever be declared
  holdfast allowlist --repo storage.git --rev v2

start the target so: nvmf_tgt --rpcs-allowed "$(holdfast allowlist --all)".
What is declared later may need more; it is held as NotSupported until the
target is started with a longer list.

exit codes: 0 printed, 1 findings: the manifests do not pass, 2 usage,
3 something cannot be read"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH", help="folder or file; inside the repository with --repo")
    parser.add_argument("--repo", type=Path, metavar="REPO", help="read a Git repository instead of files")
    parser.add_argument("--rev", metavar="REV", help="the revision to read (default HEAD)")
    add_target(parser)
    parser.add_argument("--all", action="store_true", help="every method that this Holdfast can send")
    add_output(parser)


def run(arguments: argparse.Namespace) -> Exit:
    from reconciler.app import allowlist, whole_allowlist  # noqa: PLC0415  # a verb's imports happen inside it
    from reconciler.privileges import features  # noqa: PLC0415  # see above

    if arguments.all:
        found: Mapping[str, Sequence[str]] = {"": whole_allowlist()}
    else:
        desired = _desired(arguments)
        found = {name: allowlist(features(desired, name)) for name in _targets(desired, arguments.target)}
    if arguments.output == "json":
        items = [{"target": name or None, "methods": [*methods]} for name, methods in found.items()]
        show_json("AllowlistList", items=items)
    else:
        show(_text(found))
    return Exit.CLEAN


def _text(found: Mapping[str, Sequence[str]]) -> str:
    """A list alone, so that a shell can put it into a command; several with their targets."""
    lines = {name: ",".join(methods) for name, methods in found.items()}
    if len(lines) == 1:
        return "".join(f"{line}\n" for line in lines.values())
    return "".join(f"{name}: {line}\n" for name, line in lines.items())


def _targets(desired: DesiredState, name: str) -> Sequence[str]:
    known = sorted(desired.targets)
    if not known or (name and name not in known):
        raise CommandError(f"there is no target {name or 'declared'}; there are: {', '.join(known) or 'none'}")
    return [name] if name else known


def _desired(arguments: argparse.Namespace) -> DesiredState:
    """What the manifests want. Which site it is for does not matter: names differ, methods do not."""
    from analyzer.analyze import analyze  # noqa: PLC0415  # see above
    from reconciler.clock import today  # noqa: PLC0415  # see above
    from reconciler.policy import BUILT_IN  # noqa: PLC0415  # see above
    from reconciler.resolving import desired_state  # noqa: PLC0415  # see above

    with reading():
        report = analyze(snapshot_of(arguments), as_of=today())
    if report.blocks:
        raise CommandError("the manifests do not pass; `holdfast lint` says why", Exit.FINDINGS)
    return desired_state(report.graph.revision, report.graph.resources.values(), BUILT_IN, "any")
