"""Which host reaches which volume, before and after a change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzer.access.questions import answers
from analyzer.access.storage import changes, grants
from analyzer.impact.assess import assess
from analyzer.render import impact as text
from analyzer.report import Report

Lint = Callable[..., Report]
House = dict[str, str]
WEB = "4c4c4544-0051-4d10-8052-b7c04f4d3432"
GUEST = "4c4c4544-0051-4d10-8052-b7c04f4d3499"
WAY = "node-1/TCP:10.0.0.11:4420"
BACK = "node-1/TCP:10.0.1.11:4420"


@pytest.fixture
def two(house: House) -> House:
    """Two hosts on one subsystem, over two portals."""
    guest = house["host.yaml"].replace("web-1", "guest").replace(WEB, GUEST)
    db = house["db.yaml"].replace("refs: [web-1]", "refs: [web-1, guest]").replace("[front]", "[front, back]")
    return house | {"guest.yaml": guest, "db.yaml": db}


def edited(house: House, file: str, *edits: tuple[str, str]) -> House:
    content = house[file]
    for old, new in edits:
        assert old in content
        content = content.replace(old, new)
    return house | {file: content}


def asked(lint: Lint, base: House, head: House) -> dict[str, list[str]]:
    """Question → who and what."""
    found = answers(changes(lint(base).graph, lint(head).graph))
    return {
        answer.id: [
            f"{change.row.principal}: {change.row.resource} {change.row.right}"
            + "".join(f" {name}={old}>{new}" for name, old, new in change.terms if change.before and change.after)
            for change in answer.rows
        ]
        for answer in found
    }


def test_the_rows_of_a_revision(lint: Lint, house: House) -> None:
    """Guards the matrix: one row for the volume with where it is found and its limits, one for each way."""
    limited = edited(house, "db.yaml", ("size: 100Gi", "size: 100Gi, qos: {iops: 1000}"))
    found = list(grants(lint(limited).graph))
    assert [(str(g.principal), str(g.resource), g.right) for g in found] == [
        ("host web-1", "Subsystem team-a/db", f"connect over {WAY}"),
        ("host web-1", "Volume team-a/db", "use"),
    ]
    assert dict(found[1].terms) == {"through": "team-a/db", "nsid": "1", "iops": "1000 IO/s"}
    assert [str(reference.target) for reference in found[1].because] == ["Host web-1", "Volume team-a/db"]


def test_nothing_differs(lint: Lint, two: House) -> None:
    """Guards quiet: order, moved files and what is not access change no row."""
    head = edited(two, "db.yaml", ("[web-1, guest]", "[guest, web-1]"), ("100Gi", "200Gi"))
    assert asked(lint, two, head) == {}


def test_a_host_that_is_put_out(lint: Lint, two: House) -> None:
    """Guards losses: the volume is told; the ways to it go without saying."""
    head = edited(two, "db.yaml", ("[web-1, guest]", "[web-1]"))
    assert asked(lint, two, head) == {"loses-volume": ["host guest: Volume team-a/db use"]}
    assert asked(lint, head, two) == {"gains-volume": ["host guest: Volume team-a/db use"]}


def test_a_way_that_goes(lint: Lint, two: House) -> None:
    """Guards paths: who keeps another way loses that one alone."""
    head = edited(two, "db.yaml", ("[front, back]", "[front]"))
    lost = [f"host {name}: Subsystem team-a/db connect over {BACK}" for name in ("guest", "web-1")]
    assert asked(lint, two, head) == {"loses-path": lost}
    assert asked(lint, head, two) == {"gains-path": lost}


def test_what_cannot_be_reached_is_not_reached(lint: Lint, two: House) -> None:
    """Guards ANA: over an inaccessible export no host has its volume, though it is listed."""
    reported = edited(two, "db.yaml", ("spec:\n  nqn", "spec:\n  anaReporting: true\n  nqn"))
    shut = edited(reported, "db.yaml", ("portals: [front, back]", "portals: [front, back], anaState: inaccessible"))
    assert [*asked(lint, reported, shut)] == ["loses-volume"]


def test_selectors_are_resolved_on_both_sides(lint: Lint, two: House) -> None:
    """Guards labels: a host that drops out of a selector loses what one that is struck off a list does."""
    picked = edited(two, "db.yaml", ("{refs: [web-1, guest]}", "{refs: [web-1], selector: {matchLabels: {a: b}}}"))
    tagged = edited(picked, "guest.yaml", ("{name: guest}", "{name: guest, labels: {a: b}}"))
    tagged = edited(tagged, "guest.yaml", (f'{GUEST}"', f'{GUEST}", allowedNamespaces: [team-a]'))
    gone = edited(tagged, "guest.yaml", ("a: b", "a: c"))
    assert asked(lint, tagged, gone) == {"loses-volume": ["host guest: Volume team-a/db use"]}


def test_a_mask(lint: Lint, two: House) -> None:
    """Guards masks: who is not named by one does not see the volume, and keeps its way to the subsystem."""
    head = edited(two, "db.yaml", ("volumeRef: db}", "volumeRef: db, visibleTo: [web-1]}"))
    assert asked(lint, two, head) == {"loses-volume": ["host guest: Volume team-a/db use"]}


def test_everyone(lint: Lint, two: House) -> None:
    """Guards open subsystems: everyone gains, and who was listed before loses nothing."""
    head = edited(two, "db.yaml", ("hosts: {refs: [web-1, guest]}", "hosts: {any: true}"))
    assert asked(lint, two, head) == {"gains-volume": ["everyone: Volume team-a/db use"]}
    assert asked(lint, head, two) == {"loses-volume": ["everyone: Volume team-a/db use"]}


def test_limits_in_force(lint: Lint, two: House) -> None:
    """Guards limits: those of a policy count as the volume's own do, also when only a label brings them."""
    policy = (
        "apiVersion: storage.holdfast.dev/v1alpha1\nkind: QoSPolicy\nmetadata: {name: slow, namespace: team-a}\n"
        "spec: {selector: {matchLabels: {tier: slow}}, iops: 1000}\n"
    )
    base = two | {"policy.yaml": policy}
    head = edited(base, "db.yaml", ("team-a}\nspec: {p", "team-a, labels: {tier: slow}}\nspec: {p"))
    rows = [f"host {name}: Volume team-a/db use iops=None>1000 IO/s" for name in ("guest", "web-1")]
    assert asked(lint, base, head) == {"limits": rows}


def test_a_volume_that_is_found_elsewhere(lint: Lint, two: House) -> None:
    """Guards identity: another namespace id, and another NQN, are no loss but no nothing."""
    head = edited(two, "db.yaml", ("nsid: 1", "nsid: 2"))
    assert [*asked(lint, two, head)] == ["volume-elsewhere"]
    assert [*asked(lint, two, edited(two, "host.yaml", (WEB, GUEST[:-1] + "8")))] == ["host-identity"]


def test_it_is_told_by_question(lint: Lint, two: House) -> None:
    """Guards the text: hosts that fare alike share a line, and a list ends where it stops helping."""
    head = edited(two, "db.yaml", ("[front, back]", "[front]"), ("100Gi", "100Gi, qos: {iops: 5, readMBps: 0}"))
    shown = text.render(assess(lint(two), lint(head, two)))
    assert (
        f"""\
Which hosts lose a path:
  - host guest, host web-1: Subsystem team-a/db connect over {BACK},
    NQN nqn.2014-08.org.nvmexpress:uuid:{GUEST}
"""
        not in shown
    )
    assert (
        """\
Whose limits change:
  - host guest, host web-1: Volume team-a/db, iops none -> 1000 IO/s
"""
        in shown
    ), shown
