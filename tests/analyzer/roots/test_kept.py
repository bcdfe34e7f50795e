"""What is rendered once is kept as long as all that it looked at is the same, and no longer."""

from __future__ import annotations

from collections.abc import Mapping

from forgetting import forget

from analyzer.roots.deployment import Deployment, Root, deployment_of
from analyzer.roots.files import files_of
from analyzer.roots.kept import VARIANTS, Kept
from analyzer.roots.kustomize import MAX_DEPTH
from analyzer.snapshot import Blob, Snapshot, blob_id

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {size: '%s'}\n"
OVERLAY = "resources: [../../base]\npatches: [{path: patch.yaml}]\nnamePrefix: %s-\n"
FILES = {
    "base/kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
    "base/a.yaml": CONFIG % ("a", 1),
    "base/b.yaml": CONFIG % ("b", 1),
    "overlays/lab/kustomization.yaml": OVERLAY % "lab",
    "overlays/lab/patch.yaml": CONFIG % ("a", 2),
    "overlays/prod/kustomization.yaml": OVERLAY % "prod",
    "overlays/prod/patch.yaml": CONFIG % ("a", 3),
}
FLUX = """apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec: {path: ./apps, sourceRef: {kind: GitRepository, name: flux-system}}
"""


def snapshot(files: Mapping[str, str]) -> Snapshot:
    return Snapshot("", {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()})


def deployed(files: Mapping[str, str]) -> Deployment:
    return deployment_of(files_of(snapshot(files)), sorted(files))


def roots(files: Mapping[str, str]) -> dict[str, Root]:
    return {root.path: root for cluster in deployed(files).clusters for root in cluster.roots}


def test_only_the_root_that_differs_is_rendered_again() -> None:
    """Guards that a patch of one overlay leaves the others as they are, and in its own what it does not touch."""
    before, after = roots(FILES), roots(FILES | {"overlays/lab/patch.yaml": CONFIG % ("a", 4)})
    assert after["overlays/prod"] is before["overlays/prod"]
    assert after["overlays/lab"].declarations[0].document.value["data"] == {"size": "4"}  # type: ignore[call-overload, index]
    assert after["overlays/lab"].declarations[1] is before["overlays/lab"].declarations[1]


def test_a_change_of_the_base_reaches_every_root() -> None:
    """Guards that what a base reads counts for all that take it in."""
    before, after = roots(FILES), roots(FILES | {"base/b.yaml": CONFIG % ("b", 9)})
    assert not any(after[path] is before[path] for path in ("overlays/lab", "overlays/prod"))


def test_what_was_not_there_is_looked_for_again() -> None:
    """Guards against an answer that hangs on the absence of a file: a second kustomization, or a manifest below a
    folder that Flux reads whole.
    """
    files = FILES | {"clusters/one/apps.yaml": FLUX, "apps/a.yaml": CONFIG % ("x", 1)}
    assert not roots(files)["apps"].problems
    assert len(roots(files | {"apps/deep/b.yaml": CONFIG % ("y", 1)})["apps"].declarations) == 2
    assert roots(FILES)["overlays/lab"].problems == ()
    assert roots(FILES | {"base/kustomization.yml": "resources: []\n"})["overlays/lab"].problems


def test_two_repositories_share_no_renders() -> None:
    """Guards repositories whose folders have the same names."""
    other = {path: text.replace("size: '1'", "size: '7'") for path, text in FILES.items()}
    for _ in range(VARIANTS + 1):
        values = [roots(files)["overlays/lab"].declarations[1].document.value["data"] for files in (FILES, other)]  # type: ignore[call-overload, index]
        assert values == [{"size": "1"}, {"size": "7"}]


def test_what_was_kept_stands_on_no_taller_tower() -> None:
    """Guards the limit of kustomizations within each other: what was rendered alone counts with all it stands on."""
    tower = {f"f{n}/kustomization.yaml": f"resources: [../f{n + 1}]\n" for n in range(MAX_DEPTH)}
    tower[f"f{MAX_DEPTH}/kustomization.yaml"] = "resources: [a.yaml]\n"
    tower[f"f{MAX_DEPTH}/a.yaml"] = CONFIG % ("a", 1)
    roots({path: text for path, text in tower.items() if not path.startswith("f0/")})
    warm = [str(problem) for problem in roots(tower)["f0"].problems]
    forget()
    assert warm == [str(problem) for problem in roots(tower)["f0"].problems]
    assert warm


def test_no_more_is_kept_than_there_is_room() -> None:
    """Guards the memory of a daemon: what nobody has asked for longest goes."""
    kept: Kept[str] = Kept()
    files = files_of(snapshot(FILES))
    for number in range(5):
        kept.keep(number, (), str(number), 150_000)
        kept.find(0, files)
    assert [kept.find(number, files) for number in range(5)] == ["0", None, None, None, "4"]
