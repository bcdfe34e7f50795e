"""What of a graph is drawn, what is left out, and how Graphviz, Mermaid and programs are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from published import valid

from analyzer import picture
from analyzer.impact.difference import impact
from analyzer.render import dot, mermaid
from analyzer.render import json as machine
from analyzer.report import Report
from schemas.resources import ResourceKey

Lint = Callable[..., Report]
House = dict[str, str]


def shown(found: picture.Picture) -> list[str]:
    return [f"{node.key}{f' {node.state}' if node.state else ''}" for node in found.nodes]


def test_the_whole(lint: Lint, house: House) -> None:
    """Guards completeness: every resource, and one edge for each pair with all of its fields."""
    found = picture.whole(lint(house).graph)
    assert len(found.nodes) == len(lint(house).graph.manifests)
    pairs = {(edge.source.kind, edge.target.kind): edge.fields for edge in found.edges}
    assert pairs["StoragePool", "BlockDevice"] == ("deviceRef",)
    assert pairs["Subsystem", "Target"] == (
        "exports[targetRef=node-1].targetRef",
        "exports[targetRef=node-1].portals[front]",
    )
    assert (found.left_out, found.unsaid) == (0, 0)


def test_around_a_resource(lint: Lint, house: House) -> None:
    """Guards the neighbourhood: so many steps each way, never back down from what it leads to."""
    graph = lint(house).graph
    pool = ResourceKey("StoragePool", "", "fast")
    near = shown(picture.around(graph, pool, 1))
    assert near == ["BlockDevice disk-0", "StoragePool fast centre", "Volume team-a/db"]
    far = shown(picture.around(graph, pool, 2))
    assert [name for name in far if name not in near] == ["Subsystem team-a/db", "Target node-1"]


def test_what_is_not_declared_is_shown_as_that(lint: Lint, house: House) -> None:
    """Guards dangling references: the name is drawn, dashed, and said not to be declared."""
    without = {path: text for path, text in house.items() if path != "pool.yaml"}
    found = picture.whole(lint(without).graph)
    assert "StoragePool fast missing" in shown(found)
    assert "not declared here" in dot.render(found)


def test_too_much_is_left_out_and_that_is_said(lint: Lint, house: House) -> None:
    """Guards big graphs: what is nearest stays, and what is not drawn is counted in the picture itself."""
    volume = house["db.yaml"].split("---")[0]
    many = house | {f"{n}.yaml": volume.replace("name: db", f"name: v{n}") for n in range(40)}
    graph = lint(many).graph
    found = picture.around(graph, ResourceKey("StoragePool", "", "fast"), 2, limit=5)
    assert (len(found.nodes), found.left_out) == (5, 40)
    assert "left out: 40 resources" in dot.render(found)
    assert "left out: 40 resources" in mermaid.render(found)
    assert "StoragePool fast" in shown(picture.whole(graph, limit=3))
    few = picture.whole(graph, references=2)
    assert (len(few.edges), few.unsaid > 0) == (2, True)


def test_a_change_by_colour(lint: Lint, house: House) -> None:
    """Guards the impact: what changes has the colour of its hazard, whom it reaches another, what goes is dashed."""
    base = house | {"old.yaml": house["db.yaml"].split("---")[0].replace("name: db", "name: old")}
    head = house | {"target.yaml": house["target.yaml"].replace("4420", "4421")}
    before, after = lint(base).graph, lint(head).graph
    found = picture.touched(impact(before, after), before, after)
    assert shown(found) == ["Subsystem team-a/db reached", "Target node-1 disruptive", "Volume team-a/old safe"]
    drawn = dot.render(found)
    assert re.search(r'label="Volume\\nold\\ndelete, safe".*dashed', drawn)
    assert "#fdba74" in drawn


def test_order_is_stable(lint: Lint, house: House) -> None:
    """Guards diffs of pictures: the same graph is the same text, whatever the files are called."""
    moved = {f"z{9 - n}.yaml": text for n, text in enumerate(house.values())}
    for render in (dot.render, mermaid.render, machine.render_picture):
        assert render(picture.whole(lint(house).graph)) == render(picture.whole(lint(moved).graph))


def test_hostile_names_stay_text(lint: Lint) -> None:
    """Guards what draws it: a name of another tool's manifest ends no string, and brings no markup of its own."""
    name = '"]; x [label="<b>&`|#\\\\\\u202e'
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {json.dumps(name)}, namespace: '\"a'}}\n"
    found = picture.whole(lint({"x.yaml": text}).graph)
    assert len(found.nodes) == 1
    for line in dot.render(found).splitlines():
        assert len(re.sub(r"\\.", "", line).split('"')) % 2 == 1, line
    node = next(line for line in mermaid.render(found).splitlines() if "ConfigMap" in line)
    assert not set(re.sub(r"^ *n1\W+|\W+$|<br>|#\w+;", "", node)) & set('"<>`|\u202e')


@pytest.mark.parametrize("words", ["Volume/team-a/db", "vol/db", "volumes/team-a/db", "Volume team-a/db", "volume/db"])
def test_what_somebody_means(lint: Lint, house: House, words: str) -> None:
    """Guards --around: kind, short name, with a tenant or without."""
    assert str(picture.find(lint(house).graph, words)) == "Volume team-a/db"


@pytest.mark.parametrize(
    ("words", "message"),
    [("team-a/db", "may be any of Subsystem/team-a/db, Volume/team-a/db"), ("Volume/team-a/bd", "did you mean")],
)
def test_what_nobody_can_tell(lint: Lint, house: House, words: str, message: str) -> None:
    """Guards --around: two of a name are told apart by whoever asks, and what is near a mistake is offered."""
    with pytest.raises(picture.NoSuchResource, match=message):
        picture.find(lint(house).graph, words)


def test_json(lint: Lint, house: House) -> None:
    """Every graph follows the published schema."""
    before = lint(house).graph
    after = lint({path: text for path, text in house.items() if path != "pool.yaml"}).graph
    for found in (
        picture.whole(before),
        picture.around(before, ResourceKey("StoragePool", "", "fast"), 1, limit=1),
        picture.touched(impact(before, after), before, after),
    ):
        told = valid("graph", machine.render_picture(found))
        assert [node["resource"]["name"] for node in told["nodes"]] == [node.key.name for node in found.nodes]
