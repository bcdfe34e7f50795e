"""Who is asked what: every rule about the files, resources and changes that are its concern."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from analyzer.document import MAX_REMEMBERED
from analyzer.manifest import Manifest
from analyzer.renames import compared
from analyzer.rule import AnyRule, Case, CaseRule, ChangeRule, File, FileRule, Hit, ResourceRule
from analyzer.rules import RULES
from schemas.kind import Kind
from schemas.resources import ResourceKey

Found: TypeAlias = tuple[AnyRule, Hit]

_CASE_RULES = tuple(rule for rule in RULES if isinstance(rule, CaseRule))
_FILE_RULES = tuple(rule for rule in RULES if isinstance(rule, FileRule))
_USUAL_FILE_RULES = tuple(rule for rule in _FILE_RULES if not rule.odd)
_RESOURCE_RULES = tuple(rule for rule in RULES if isinstance(rule, ResourceRule))
_CHANGE_RULES = tuple(rule for rule in RULES if isinstance(rule, ChangeRule))


def ask_of_case(case: Case) -> Iterator[Found]:
    for rule in _CASE_RULES:
        for hit in rule.check(case):
            yield rule, hit


def ask_of_files(files: Iterable[File]) -> Iterator[Found]:
    for file in files:
        yield from ask_of_file(file)


def ask_of_file(file: File) -> Iterator[Found]:
    for rule in _FILE_RULES if file.odd else _USUAL_FILE_RULES:
        for hit in rule.check(file):
            yield rule, hit


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def told_of_file(file: File) -> tuple[Found, ...]:
    """The same, asked once as long as the file is the same."""
    return tuple(ask_of_file(file))


def ask_of_resources(case: Case) -> Iterator[Found]:
    for manifest in case.graph.manifests.values():
        yield from ask_of_resource(case, manifest)


def ask_of_resource(case: Case, manifest: Manifest) -> Iterator[Found]:
    for rule in _rules_of(manifest.kind, manifest.key.kind_name, sound=manifest.sound):
        for hit in rule.check(case, manifest):
            yield rule, hit


def ask_of_changes(case: Case, keys: Collection[ResourceKey] | None = None) -> Iterator[Found]:
    """`keys`: the resources that may differ from the base, where that is known; otherwise all are compared."""
    for before, after in compared(case.base, case.graph, keys) if case.base else ():
        for rule in _CHANGE_RULES:
            for hit in rule.check(case, before, after):
                yield rule, hit


@functools.lru_cache(maxsize=4096)
def _rules_of(kind: Kind | None, name: str, *, sound: bool) -> tuple[ResourceRule, ...]:
    """The rules that a resource of this kind is any concern of."""
    concerned = (rule for rule in _RESOURCE_RULES if rule.concerns(kind, name))
    return tuple(rule for rule in concerned if sound or not rule.sound)
