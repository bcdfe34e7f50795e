"""What a repository of kustomizations takes that stays in memory: cold, and after a small change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import yaml
from estate import BenchError, manifest
from measured import Result, Row, Size, Spent, spent, walls
from repositories import tenant

from analyzer.analyze import analyze
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id

AS_OF = date(2026, 6, 1)


def renders(size: Size, _: Path | None) -> Result:
    """Overlays of one base, each with a patch of its own, as the daemon judges one revision after another."""
    took: dict[str, list[Spent]] = {}
    for run in range(size.runs):
        files = _repository(f"{run:04}", size.rendered)
        known = _judged(files, None, took, "nothing known")
        if known.counts.resources < size.rendered:
            raise BenchError("not everything was rendered")
        patched = files | {"overlays/000/patch.yaml": _patch(f"{run:04}", "3Gi")}
        known = _judged(patched, known, took, "a patch differs")
        volume = f"base/{_volume(files)}"
        _judged(patched | {volume: patched[volume].replace("1Gi", "2Gi")}, known, took, "a manifest of the base")
    cold = walls(took["nothing known"])
    rows = [Row(what, walls(runs), "nothing known", cold) for what, runs in took.items() if what != "nothing known"]
    title = f"{known.counts.resources:,} manifests rendered of {known.counts.files:,} files, in memory"
    facts = {"clusters": len(known.graphs), "manifests": known.counts.resources}
    return Result("renders", "none", title, (Row("nothing known", cold), *rows), facts)


def _judged(files: Mapping[str, str], base: Report | None, took: dict[str, list[Spent]], what: str) -> Report:
    snapshot = Snapshot("", {path: Blob(path, blob_id(t.encode()), t.encode()) for path, t in sorted(files.items())})
    with spent() as found:
        report = analyze(snapshot, as_of=AS_OF, base=base, keep=True)
    took.setdefault(what, []).append(found)
    return report


def _repository(name: str, count: int) -> dict[str, str]:
    """A base, and so many overlays that about `count` manifests are deployed."""
    manifests = {f"{place:05}.yaml": each for place, each in enumerate(tenant(name, 0))}
    files = {f"base/{path}": _text(each) for path, each in manifests.items()}
    files["base/kustomization.yaml"] = _text({"resources": [*manifests]})
    for number in range(-(-count // len(manifests))):
        changes = {"resources": ["../../base"], "commonAnnotations": {"site": f"{number:03}"}}
        patches = {"patches": [{"path": "patch.yaml"}]}
        files[f"overlays/{number:03}/kustomization.yaml"] = _text(changes | patches)
        files[f"overlays/{number:03}/patch.yaml"] = _patch(name, "2Gi")
    return files


def _patch(name: str, size: str) -> str:
    return _text(manifest("Volume", "v00000", {"size": size}, f"tenant-{name}"))


def _volume(files: Mapping[str, str]) -> str:
    """The file of the last volume."""
    volumes = [path for path, text in files.items() if path.startswith("base/") and "kind: Volume" in text]
    return max(volumes).removeprefix("base/")


def _text(value: object) -> str:
    return str(yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False))
