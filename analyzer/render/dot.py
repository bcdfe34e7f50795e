"""A picture for Graphviz: `holdfast graph | dot -Tsvg > site.svg`."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.picture import Edge, Node, Picture
from analyzer.render import drawing

_SHAPES = {
    "bytes": "cylinder", "place": "box", "door": "hexagon", "guest": "ellipse", "rule": "note", "other": "component",
}  # fmt: skip
_LINES = {"": ("#6b7280", "solid"), "create": ("#15803d", "solid"), "delete": ("#b91c1c", "dashed")}


def render(picture: Picture) -> str:
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    names = drawing.names(picture)
    yield "digraph holdfast {"
    yield '  graph [rankdir=LR, fontname="sans-serif", fontsize=11, nodesep=0.25, ranksep=0.9]'
    yield '  node [fontname="sans-serif", fontsize=10, style=filled, color="#374151"]'
    yield '  edge [fontname="sans-serif", fontsize=8, fontcolor="#4b5563"]'
    if left_out := drawing.omission(picture):
        yield f"  label={_quoted(left_out)}"
    for number, (tenant, nodes) in enumerate(drawing.tenants(picture)):
        if tenant:
            yield f"  subgraph cluster_{number} {{"
            yield f'    label={_quoted(drawing.cut(tenant))}; style=rounded; color="#9ca3af"'
        yield from (f"{'    ' if tenant else '  '}{names[node.key]} {_node(node)}" for node in nodes)
        if tenant:
            yield "  }"
    for edge in picture.edges:
        yield f"  {names[edge.source]} -> {names[edge.target]} {_edge(edge)}"
    yield "}"


def _node(node: Node) -> str:
    style = "filled,dashed" if node.state == "missing" or node.action == "delete" else "filled"
    shape = _SHAPES[drawing.family(node.key)]
    text = _quoted(*drawing.label(node))
    return f'[label={text}, shape={shape}, style="{style}", fillcolor="{drawing.fill(node)}"]'


def _edge(edge: Edge) -> str:
    colour, style = _LINES[edge.action]
    return f'[label={_quoted(drawing.fields(edge.fields))}, color="{colour}", style={style}]'


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
