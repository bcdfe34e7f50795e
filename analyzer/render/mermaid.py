"""A picture for Mermaid, which GitHub draws where it stands in a Markdown fence."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.picture import Edge, Node, Picture
from analyzer.render import drawing
from schemas.resources import ResourceKey

MOST_EDGES = 400  # GitHub draws no more than 500 edges and 50,000 characters

_SHAPES = {
    "bytes": "[({})]", "place": "[{}]", "door": "{{{{{}}}}}", "guest": "([{}])", "rule": ">{}]", "other": "[[{}]]",
}  # fmt: skip
_ARROWS = {"": "-->", "create": "==>", "delete": "-.->"}
_WORDS = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "|": "#124;", "\\": "#92;"}


def render(picture: Picture) -> str:
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    names = drawing.names(picture)
    yield "flowchart LR"
    for number, (tenant, nodes) in enumerate(drawing.tenants(picture)):
        if tenant:
            yield f"  subgraph t{number} [{_quoted(drawing.cut(tenant))}]"
        yield from (f"{'    ' if tenant else '  '}{names[node.key]}{_node(node)}" for node in nodes)
        if tenant:
            yield "  end"
    for edge in picture.edges:
        yield f"  {names[edge.source]} {_arrow(edge)} {names[edge.target]}"
    if left_out := drawing.omission(picture):
        yield f"  omitted[{_quoted(left_out)}]"
    yield from _colours(picture, names)


def _node(node: Node) -> str:
    return _SHAPES[drawing.family(node.key)].format(_quoted(*drawing.label(node)))


def _arrow(edge: Edge) -> str:
    return f"{_ARROWS[edge.action]}|{_quoted(drawing.fields(edge.fields))}|"


def _colours(picture: Picture, names: dict[ResourceKey, str]) -> Iterator[str]:
    """One class for each colour, and who has it."""
    drawn: dict[tuple[str, bool], list[str]] = {}
    for node in picture.nodes:
        dashed = node.state == "missing" or node.action == "delete"
        drawn.setdefault((drawing.fill(node), dashed), []).append(names[node.key])
    for number, ((fill, dashed), members) in enumerate(sorted(drawn.items())):
        line = ",stroke-dasharray:4 3" if dashed else ""
        yield f"  classDef c{number} fill:{fill},stroke:#374151,color:#111827{line}"
        yield f"  class {','.join(members)} c{number}"


def _quoted(*lines: str) -> str:
    return f'"{"<br>".join("".join(_WORDS.get(c, c) for c in line) for line in lines)}"'
