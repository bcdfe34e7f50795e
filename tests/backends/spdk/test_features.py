"""The table of methods: everything that is sent stands in it, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import backends.spdk
from backends.objects import ObjectKind
from backends.spdk.features import ALWAYS, NEEDED, allowlist
from backends.spdk.simulator.methods import METHODS

FOLDER = Path(backends.spdk.__file__).parent
MAKERS = ("Call", "_writes", "writes")  # what a method's name is handed to
DELETED_LIKE = "bdev_{}_delete"


def sent() -> Iterator[str]:
    """The names of methods in our code, as they stand at the calls that are made of them."""
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                yield from _names(node.args[0])


def _names(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr():
            parts = (str(p.value) if isinstance(p, ast.Constant) else "{}" for p in argument.values)
            yield "".join(parts)


def test_every_method_that_is_sent_stands_in_the_table() -> None:
    """Guards the allowlist against code that asks for more, and against methods that nobody sends any more."""
    table = {*ALWAYS, *(method for needs in NEEDED.values() for method in needs.all)}
    named = set(sent()) - {DELETED_LIKE}
    deleted = {method for method in table if method.startswith("bdev_") and method.endswith("_delete")}
    assert DELETED_LIKE in set(sent())
    assert named <= table
    assert table - named <= deleted


def test_every_kind_of_object_stands_in_the_table() -> None:
    """Guards kinds that come later: each says with what it is made."""
    assert {feature.partition("/")[0] for feature in NEEDED} == {str(kind) for kind in ObjectKind}


def test_there_are_such_methods() -> None:
    """Guards against misspelt names: the simulator has every one of them."""
    assert set(allowlist(NEEDED)) <= METHODS.keys()
