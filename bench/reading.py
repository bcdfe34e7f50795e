"""What analysing many manifests takes: cold against another validator, and warm after a small change."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from measured import Result, Row, Size, Spent, cpus, spent_by, walls
from repositories import repository, tenants

from reconciler.demo.processes import HOLDFAST
from schemas.kinds import our_kinds

EDITED = 10  # files
_AHEAD = re.compile(r"\(\?[!=<]")  # what Go's regular expressions do not have

EVENTS = """
import gc, pathlib, sys
from yaml.cyaml import CParser
gc.disable()
for path in pathlib.Path(sys.argv[1]).rglob("*.yaml"):
    next_event = CParser(path.read_bytes()).get_event
    while next_event() is not None:
        pass
"""


def lint(size: Size, _: Path | None) -> Result:
    """`holdfast lint` of a folder with one manifest a file; libyaml's bare events of the same files, and kubeconform
    with the same schemas where KUBECONFORM names it.
    """
    with tempfile.TemporaryDirectory(prefix="hfb") as name:
        folder = Path(name) / "manifests"
        count = _write(folder, size.lint)
        ours = [spent_by([*HOLDFAST, "lint", str(folder)]) for _ in range(size.runs)]
        floor = [spent_by([sys.executable, "-c", EVENTS, str(folder)]) for _ in range(size.runs)]
        rows = [
            Row("wall", walls(ours), "libyaml's bare events", walls(floor)),
            Row("CPU", cpus(ours), "libyaml's bare events", cpus(floor)),
        ]
        if command := _kubeconform(Path(name), folder):
            others = [spent_by(command) for _ in range(size.runs)]
            rows += [
                Row("wall", walls(ours), "kubeconform", walls(others)),
                Row("CPU", cpus(ours), "kubeconform", cpus(others)),
            ]
        bytes_ = sum(path.stat().st_size for path in folder.rglob("*.yaml"))
    title = f"{count:,} manifests, a file each, the whole command"
    return Result("lint", "none", title, tuple(rows), {"manifests": count, "bytes": bytes_})


def _write(folder: Path, count: int) -> int:
    written = 0
    for path, each in tenants(count):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(yaml.dump(each, Dumper=yaml.CSafeDumper, sort_keys=False))
        written += 1
    return written


def _kubeconform(folder: Path, manifests: Path) -> Sequence[str]:
    """The command that checks the same manifests by the same schemas; none where there is no kubeconform."""
    program = os.environ.get("KUBECONFORM")
    if not program:
        print("bench: lint is not compared with kubeconform: KUBECONFORM names none", file=sys.stderr)
        return ()
    for kind in our_kinds().values():
        (folder / f"{kind.name.lower()}.json").write_text(json.dumps(_for_go(kind.schema)))
    return [program, "-schema-location", f"{folder}/{{{{.ResourceKind}}}}.json", str(manifests)]


def _for_go(schema: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A schema without what Go cannot compile."""
    if isinstance(schema, Mapping):
        return {
            name: _for_go(child)
            for name, child in schema.items()
            if not (name == "pattern" and isinstance(child, str) and _AHEAD.search(child))
        }
    return [_for_go(item) for item in schema] if isinstance(schema, list) else schema


def revisions(size: Size, _: Path | None) -> Result:
    """`holdfast lint --repo R --rev X`: of a large repository from nothing, again after a change of a few files, and
    both of repositories of a quarter and half that size; and `holdfast check` of that change.
    """
    rows: list[Row] = []
    facts: dict[str, int | float] = {}
    for share in (4, 2, 1):
        with tempfile.TemporaryDirectory(prefix="hfb") as name:
            folder = Path(name)
            count = repository(folder / "repo.git", size.revisions // share, EDITED)
            cold = [spent_by(_command(folder, "HEAD~1", "--no-cache"))]
            first = [spent_by(_command(folder, "HEAD~1", "--cache", str(folder / "kept")))]
            warm = [_after_change(folder, "HEAD") for _ in range(size.runs)]
            check = [_after_change(folder, "HEAD~1..HEAD") for _ in range(size.runs)]
            facts[f"kB kept of {count:,}"] = sum(p.stat().st_size for p in (folder / "kept").rglob("*.*")) >> 10
        rows += [
            Row(f"{count:,}: nothing known", walls(cold)),
            Row(f"{count:,}: and kept", walls(first), "nothing known", walls(cold)),
            Row(f"{count:,}: {EDITED} files differ", walls(warm), "nothing known", walls(cold)),
            Row(f"{count:,}: check of them", walls(check), "nothing known", walls(cold)),
        ]
    facts["MiB resident, at most"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    return Result("revisions", "none", "lint of a revision, the whole command", tuple(rows), facts)


def _command(folder: Path, rev: str, *words: str) -> Sequence[str]:
    verb = ["check", rev] if ".." in rev else ["lint", "--rev", rev]
    return [*HOLDFAST, *verb, "--repo", str(folder / "repo.git"), *words]


def _after_change(folder: Path, rev: str) -> Spent:
    """Each run knows the first revision and is asked about the second, or about both."""
    known = folder / "known"
    shutil.rmtree(known, ignore_errors=True)
    shutil.copytree(folder / "kept", known)
    subprocess.run(_command(folder, "HEAD~1", "--cache", str(known)), check=True, capture_output=True)
    return spent_by(_command(folder, rev, "--cache", str(known)))
