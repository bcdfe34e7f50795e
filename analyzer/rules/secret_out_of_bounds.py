from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from analyzer.finding import Severity
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit
from schemas.validation import Path

KINDS = ("Target", "BlockDevice", "StorageClass", "Volume", "Host")
ADVICE = "name another, or allow it here and in [secrets] of holdfast.toml where the daemon runs"


def check(case: Case, manifest: Manifest) -> Iterator[Hit]:
    if case.config.secret_dirs is None and case.config.secret_env is None:
        return  # nothing is said, and there may be many volumes
    for path, name in _named(manifest.spec, ("spec",)):
        if why := _refused(case, str(path[-1]), name):
            yield hit(manifest, path, why, ADVICE)


def _named(value: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401  # JSON
    """Every file and variable that a secret is read from, by where it is named."""
    if isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, dict) and name.endswith("From"):
                yield from (((*path, name, kind), text) for kind, text in child.items())
            else:
                yield from _named(child, (*path, name))


def _refused(case: Case, kind: str, name: str) -> str:
    """Why a daemon would not read it; empty when it would, or the policy says nothing of it."""
    dirs, env = case.config.secret_dirs, case.config.secret_env
    if kind == "file" and dirs is not None and not any(PurePosixPath(name).is_relative_to(path) for path in dirs):
        return f"{name} is in none of the directories that may be named: {', '.join(dirs) or 'none'}"
    if kind == "env" and env is not None and not any(_fits(name, pattern) for pattern in env):
        return f"{name} is none of the variables that may be named: {', '.join(env) or 'none'}"
    return ""


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


RULE = ResourceRule("secret-out-of-bounds", Severity.WARNING, KINDS, check)
