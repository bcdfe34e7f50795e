"""The pages on policy and findings can be copied from, and name what is there."""

from __future__ import annotations

import json
import re
import shlex
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml

from analyzer.analyze import analyze
from analyzer.config import read_config
from analyzer.snapshot import Blob, Snapshot, blob_id
from reconciler.cli import build_parser, main
from reconciler.cli.verbs.lint import FORMATS
from schemas.kinds import config_validator

DOCS = Path(__file__).parents[2] / "docs"
POLICY, FINDINGS = ((DOCS / name).read_text() for name in ("policy.md", "findings.md"))
PAGES = pytest.mark.parametrize("page", [POLICY, FINDINGS], ids=["policy", "findings"])


def fences(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def snapshot(**files: str) -> Snapshot:
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    return Snapshot("", blobs)


def test_its_policy_is_sound() -> None:
    """Guards copies: what the page shows is accepted, and a rule that is off is off."""
    [text] = fences(POLICY, "yaml")
    config, problems = read_config(snapshot(**{".holdfast.yaml": text}))
    assert problems == ()
    assert config.off == {"rounded-iops"}
    assert len(config.suppressions) == 2


def test_it_names_every_key() -> None:
    """Guards the table: every key of the schema is there, and no other."""
    table = POLICY.partition("| key | says |")[2].partition("\n\n")[0]
    named = {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert named == set(config_validator("policy")._schema["properties"])


def test_the_schema_is_one_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards completion: what `--schema` prints stands alone, and finds the page's policy valid and a slip invalid."""
    assert main(["explain", ".holdfast.yaml", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    [text] = fences(POLICY, "yaml")
    value = yaml.load(text.replace("2026-12-31", '"2026-12-31"'), yaml.SafeLoader)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(value)
    assert not validator.is_valid(value | {"fialOn": "error"})
    assert main(["explain", "Volume", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["spec"]
    assert main(["explain", "open-subsystem", "--schema"]) == 2


def test_it_names_every_format() -> None:
    """Guards the table of formats."""
    assert tuple(re.findall(r"^\| `(\w+)` \|", FINDINGS, re.MULTILINE)) == FORMATS


def test_its_comment_allows() -> None:
    """Guards the example: the finding is set aside until its day, and back after it."""
    [text] = fences(FINDINGS, "yaml")
    aside = [one.finding.rule for one in analyze(snapshot(**{"a.yaml": text}), as_of=date(2026, 12, 31)).aside]
    assert aside == ["open-subsystem"]
    after = {finding.rule for finding in analyze(snapshot(**{"a.yaml": text}), as_of=date(2027, 1, 1)).findings}
    assert {"open-subsystem", "expired-suppression"} <= after


@PAGES
def test_its_commands_can_be_typed(page: str) -> None:
    """Guards against options that are gone."""
    for line in "".join(fences(page, "sh")).splitlines():
        words = shlex.split(line.partition(" > ")[0])[1:]
        assert build_parser(words).parse_args(words).verb == words[0]


@PAGES
def test_its_links_lead_somewhere(page: str) -> None:
    """Guards links between the pages."""
    assert [link for link in re.findall(r"\]\(([^)]+)\)", page) if not (DOCS / link).is_file()] == []
