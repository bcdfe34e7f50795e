"""Label selectors as Kubernetes reads them: every requirement must hold, and one without any matches everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a selector matches these labels; one that is not well-formed matches nothing."""
    if not isinstance(selector, Mapping):
        return False
    exact: Any = selector.get("matchLabels") or {}
    requirements: Any = selector.get("matchExpressions") or []
    if not (isinstance(exact, Mapping) and isinstance(requirements, list)):
        return False
    return all(labels.get(name) == value for name, value in exact.items()) and all(
        _holds(requirement, labels) for requirement in requirements
    )


def is_empty(selector: object) -> bool:
    """Whether a selector requires nothing, and so matches everything."""
    return isinstance(selector, Mapping) and not (selector.get("matchLabels") or selector.get("matchExpressions"))


def _holds(requirement: Any, labels: Mapping[str, str]) -> bool:  # noqa: ANN401  # JSON
    match requirement:
        case {"key": str(key), "operator": "In", "values": list(values)}:
            return key in labels and labels[key] in values
        case {"key": str(key), "operator": "NotIn", "values": list(values)}:
            return key not in labels or labels[key] not in values
        case {"key": str(key), "operator": "Exists"}:
            return key in labels
        case {"key": str(key), "operator": "DoesNotExist"}:
            return key not in labels
    return False
