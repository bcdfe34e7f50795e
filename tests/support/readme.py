"""The README of examples/repo as something that can be tried: its sections, its manifests, its commands."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from reconciler.cli.exits import CommandError
from reconciler.demo.repository import document

REPO = Path(__file__).parents[2] / "examples" / "repo"
README = (REPO / "README.md").read_text()
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What the words of a section say and no manifest can: the volume whose manifest is taken out.
TAKEN_OUT = {"Remove a volume and keep its bytes": "reports", "Destroy a volume": "scratch"}


def sections() -> dict[str, str]:
    """By heading."""
    parts = re.split(r"^## (.*)\n", README, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def manifests(section: str) -> list[tuple[str, str]]:
    """File and content of each YAML block."""
    return [(path, body) for language, path, body in _FENCE.findall(section) if language == "yaml"]


def commands(text: str = README) -> list[str]:
    """Every line of every shell block, without its comment."""
    lines = (line for language, _, body in _FENCE.findall(text) if language == "sh" for line in body.splitlines())
    return [line.partition("  #")[0].strip() for line in lines]


def edit(folder: Path, path: str, manifest: str) -> None:
    """Put a manifest into a file, in place of the one of its name."""
    file = folder / path
    text = file.read_text() if file.exists() else ""
    try:
        before = document(text, yaml.safe_load(manifest)["metadata"]["name"])
    except CommandError:
        file.write_text(f"{text}---\n{manifest}" if text else manifest)
    else:
        file.write_text(text.replace(before, manifest))
