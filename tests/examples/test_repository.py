"""examples/repo is what people copy first: it is clean, its README is true, and it travels with the command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
import readme

from analyzer.access.api import api_grants
from analyzer.analyze import analyze
from analyzer.finding import Severity
from analyzer.snapshot import from_directory
from reconciler.cli import build_parser, main
from reconciler.demo.repository import Repository, document, without

AS_OF = date(2026, 6, 1)
CHANGES = [heading for heading, section in readme.sections().items() if readme.manifests(section)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy to edit."""
    return Path(shutil.copytree(readme.REPO, tmp_path / "site"))


def test_the_manifests_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is to be said about the example, not even a warning."""
    assert main(["lint", str(readme.REPO), "--fail-on", "info"]) == 0
    assert capsys.readouterr().out.startswith("No findings")


def test_the_site_is_as_the_readme_says() -> None:
    """Two targets with three pools, sixteen volumes in two tenants, each shown once."""
    graph = analyze(from_directory(readme.REPO), as_of=AS_OF).graph
    assert [len(graph.of_kind(kind)) for kind in ("Target", "StoragePool", "Volume")] == [2, 3, 16]
    assert {manifest.key.namespace for manifest in graph.of_kind("Volume")} == {"team-a", "team-b"}
    shown = [entry["volumeRef"] for subsystem in graph.of_kind("Subsystem") for entry in subsystem.spec["namespaces"]]
    assert sorted(shown) == sorted(manifest.key.name for manifest in graph.of_kind("Volume"))


def test_who_may_call_the_self_service_api() -> None:
    """Applications call what they are subscribed to, the teams find everything in the portal, and others a part."""
    grants = api_grants(analyze(from_directory(readme.REPO), as_of=AS_OF).graph)
    found = {f"{grant.principal} {grant.right} {grant.resource.name}": dict(grant.terms) for grant in grants}
    assert [row for row in found if " call " in row] == [
        "application storage-backup call snapshots",
        "application team-a-pipelines call snapshots",
        "application team-a-pipelines call volumes-v1",
        "application team-a-pipelines call volumes-v2",
    ]
    pipelines = found["application team-a-pipelines call volumes-v2"]
    assert pipelines["operations"].startswith("grow (PUT matching ^/v2/volumes/")
    assert (pipelines["rate limit"], pipelines["quota"]) == ("5 per 1s", "1000 per 24h")
    assert pipelines["at"] == "Host(`storage.example.com`) && PathPrefix(`/v2/volumes`)"
    assert found["everyone see snapshots"]["operations"] == "read (GET below /v1/snapshots)"
    assert {row for row in found if row.startswith("group team-b see")} == {
        f"group team-b see {name}" for name in ("snapshots", "volumes-v1", "volumes-v2")
    }


@pytest.mark.parametrize("heading", CHANGES)
def test_a_change_that_the_readme_shows_passes(heading: str, clone: Path) -> None:
    """Each section's manifests, put into the files it names, give no finding, also none about the change itself; but
    perhaps a remark on what the next section does (a volume is declared before it is shown).
    """
    before = analyze(from_directory(clone), as_of=AS_OF)
    if gone := readme.TAKEN_OUT.get(heading):
        volumes = clone / "team-b/volumes.yaml"
        volumes.write_text(without(volumes.read_text(), gone))
    for path, manifest in readme.manifests(readme.sections()[heading]):
        readme.edit(clone, path, manifest)
    after = analyze(from_directory(clone), as_of=AS_OF, base=before)
    assert [f"{finding.location}: {finding.message}" for finding in after.at_least(Severity.WARNING)] == []
    assert after.graph.resources != before.graph.resources


def test_what_the_readme_says_of_existing_manifests_is_all_that_changes(clone: Path) -> None:
    """A manifest shown after its change must not quietly differ in something else: only the named field changes."""
    path, manifest = readme.manifests(readme.sections()["Grow a volume"])[0]
    before = document((clone / path).read_text(), "notebooks")
    assert manifest == before.replace("size: 512Mi", "size: 1Gi")


def test_files_that_the_readme_names_exist() -> None:
    """Every file named in the text is there, unless a manifest of the README is what makes it."""
    named = set(re.findall(r"`([\w./-]+\.yaml)`", readme.README))
    made = {path for section in readme.sections().values() for path, _ in readme.manifests(section)}
    assert "team-a/volumes.yaml" in named
    assert [path for path in named - made if not (readme.REPO / path).exists()] == []


def test_commands_that_the_readme_shows_exist() -> None:
    """Every holdfast command line is one that the command accepts."""
    lines = [shlex.split(line)[1:] for line in readme.commands() if line.startswith("holdfast ")]
    assert len(lines) > 5
    for words in lines:
        build_parser(words).parse_args(words)


def test_the_readmes_way_to_change_something(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lint, commit, impact, push, as the README has them, work in a clone."""
    repository = Repository(clone.parent / "site.git", clone)
    repository.publish()
    repository.replace("team-b/volumes.yaml", "size: 512Mi", "size: 1Gi", within="notebooks")
    monkeypatch.chdir(clone)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    holdfast = f"{shlex.quote(sys.executable)} -c 'from reconciler.cli import main; raise SystemExit(main())'"
    lines = [line for line in readme.commands(readme.sections()["How to change anything"]) if "status" not in line]
    script = f'holdfast() {{ {holdfast} "$@"; }}\n' + "\n".join(lines)
    ran = subprocess.run(["/bin/sh", "-ec", script], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "team-b/notebooks" in ran.stdout


def test_the_example_travels_in_the_wheel(tmp_path: Path) -> None:
    """An installed command finds the whole example beside its own modules, hidden policy file included."""
    root = readme.REPO.parents[1]
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    ask = "from reconciler.demo.site import example; print(example())"
    found = subprocess.run(
        [sys.executable, "-P", "-c", ask],
        env={"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert found == str(tmp_path / "installed/reconciler/demo/repo")
    files = {path.relative_to(readme.REPO) for path in readme.REPO.rglob("*") if path.is_file()}
    assert {path.relative_to(found) for path in Path(found).rglob("*") if path.is_file()} == files
