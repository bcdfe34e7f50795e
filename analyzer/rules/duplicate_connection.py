from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from analyzer.finding import Severity
from analyzer.indexes import Index
from analyzer.manifest import Manifest
from analyzer.rule import Case, Hit, ResourceRule, hit

PATH = ("spec", "connection")


def check(case: Case, target: Manifest) -> Iterator[Hit]:
    other, *_ = case.graph.sharing(CONNECTIONS, _address(target.spec["connection"]))
    if other is not target:
        note = (other.position_of(_place(other)), f"{other.key} is reached here")
        message = f"the same connection as {other.key}: one SPDK process under two names"
        yield hit(target, _place(target), message, "keep one Target for each SPDK process", note)


def _place(target: Manifest) -> tuple[str, ...]:
    connection = target.spec["connection"]
    return (*PATH, "http", "url") if "http" in connection else (*PATH, *connection)


def _address(connection: Mapping[str, object]) -> str:
    """Where it leads to, however it is written."""
    match connection:
        case {"unixSocket": str(path)}:
            return posixpath.normpath(path)
        case {"tcp": str(address)}:
            return address.replace("localhost", "127.0.0.1")
        case {"http": {"url": str(url)}}:
            return url.rstrip("/")
    raise AssertionError(connection)  # the schema lets no other through


CONNECTIONS = Index("connection", ("Target",), lambda target: [_address(target.spec["connection"])])
RULE = ResourceRule("duplicate-connection", Severity.ERROR, ("Target",), check)
