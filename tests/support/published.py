"""Machine output against its published schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

import schemas

_SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text())
    for path in sorted((Path(schemas.__file__).parent / "output").glob("*.schema.json"))
}
_REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in _SCHEMAS.values()
)


def valid(name: str, output: str) -> Any:  # JSON
    """The parsed output, after its published schema let it through."""
    value = json.loads(output)
    jsonschema.Draft202012Validator(_SCHEMAS[name], registry=_REGISTRY).validate(value)
    return value
