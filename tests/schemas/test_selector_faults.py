"""What Kubernetes refuses in a label selector."""

from __future__ import annotations

import pytest

from schemas.selector import faults, matches


def requirement(operator: object, values: object = None, key: str = "area") -> dict[str, object]:
    return {"matchExpressions": [{"key": key, "operator": operator} | ({} if values is None else {"values": values})]}


@pytest.mark.parametrize(
    "selector",
    [
        {}, {"matchLabels": None}, {"matchLabels": {"example.com/area": "shop", "tier": ""}}, requirement("Exists"),
        requirement("DoesNotExist", []), requirement("In", ["a"]), requirement("NotIn", ["a", "b.c_d-e"]),
    ],
)  # fmt: skip
def test_sound_selectors(selector: object) -> None:
    """Whatever an API server takes has no fault."""
    assert list(faults(selector)) == []


@pytest.mark.parametrize(
    ("selector", "path", "message"),
    [
        (requirement("Equals", ["a"]), ("matchExpressions", 0, "operator"), '"Equals" is no operator'),
        (requirement("in", ["a"]), ("matchExpressions", 0, "operator"), 'did you mean "In"?'),
        (requirement("In"), ("matchExpressions", 0, "operator"), "In needs values"),
        (requirement("NotIn", []), ("matchExpressions", 0, "operator"), "NotIn needs values"),
        (requirement("Exists", ["a"]), ("matchExpressions", 0, "values"), "Exists takes no values"),
        (requirement("Exists", key="-a"), ("matchExpressions", 0, "key"), "cannot be the name"),
        (requirement("In", ["a", "b c"]), ("matchExpressions", 0, "values", 1), "cannot be the value"),
        ({"matchLabels": {"a": "x" * 64}}, ("matchLabels", "a"), "cannot be the value"),
        ({"matchLabels": {"Example.com/a": "x"}}, ("matchLabels", "Example.com/a"), "cannot be the name"),
    ],
)
def test_faults(selector: object, path: tuple[object, ...], message: str) -> None:
    """Each fault is told at its place; what is refused where it counts matches nothing either."""
    [fault] = faults(selector)
    assert fault.path == path
    assert message in fault.message


def test_an_operator_that_there_is_not_matches_nothing() -> None:
    """Nobody is picked by what would be refused."""
    assert not matches(requirement("Equals", ["a"]), {"area": "a"})
