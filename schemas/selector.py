"""Label selectors as Kubernetes reads them: every requirement must hold, and one without any matches everything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.validation import Path, did_you_mean, quoted

_WITH_VALUES, _WITHOUT = ("In", "NotIn"), ("Exists", "DoesNotExist")
_OPERATORS = (*_WITH_VALUES, *_WITHOUT)
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_FORM = "letters, digits, - _ and ., at most 63, with a letter or digit at both ends"


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


@dataclass(frozen=True, slots=True)
class Fault:
    """What Kubernetes refuses in a selector, where in it, and what to do."""

    path: Path
    message: str
    advice: str


def faults(selector: object) -> Iterator[Fault]:
    """Everything for which a selector would be refused that is of the right types."""
    if isinstance(selector, Mapping):
        exact: Any = selector.get("matchLabels") or {}
        for key, value in exact.items():
            yield from _label(key, ("matchLabels", key), _KEY, "name", f"{_FORM}; before it a domain and / may stand")
            yield from _label(value, ("matchLabels", key), _VALUE, "value", _FORM)
        requirements: Any = selector.get("matchExpressions") or []
        for index, requirement in enumerate(requirements):
            yield from _faults_of(requirement, ("matchExpressions", index))


def _faults_of(requirement: Mapping[str, Any], here: Path) -> Iterator[Fault]:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    yield from _label(requirement.get("key"), (*here, "key"), _KEY, "name", _FORM)
    if operator not in _OPERATORS:
        message = f"{quoted(operator)} is no operator{did_you_mean(str(operator), _OPERATORS)}"
        yield Fault((*here, "operator"), message, f"use {', '.join(_OPERATORS[:-1])} or {_OPERATORS[-1]}")
    elif operator in _WITH_VALUES and not values:
        yield Fault((*here, "operator"), f"{operator} needs values", "list them in `values`")
    elif operator in _WITHOUT and values:
        other = _WITH_VALUES[_WITHOUT.index(operator)]
        message = f"{operator} takes no values, for it is about the label as such"
        yield Fault((*here, "values"), message, f"leave `values` out, or use {other}")
    for at, value in enumerate(values):
        yield from _label(value, (*here, "values", at), _VALUE, "value", _FORM)


def _label(text: object, path: Path, form: re.Pattern[str], what: str, advice: str) -> Iterator[Fault]:
    if isinstance(text, str) and not form.fullmatch(text):
        yield Fault(path, f"{quoted(text)} cannot be the {what} of a label", advice)
