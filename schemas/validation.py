"""Check a value against a JSON Schema of ours and say in words what is wrong. The one door to JSON Schema libraries.

jsonschema-rs does the work (a hundred times faster than jsonschema, and its patterns take linear time); the tests
compare the two.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from schemas.calendar import parse_cron, parse_zone
from schemas.checks import broken
from schemas.forms import (
    parse_absolute_path,
    parse_go_duration,
    parse_https_url,
    parse_kubernetes_quantity,
    parse_ldap_url,
    parse_semver,
    parse_url,
)
from schemas.keys import parse_ssh_key
from schemas.quantity import (
    parse_bytes,
    parse_interval,
    parse_percent,
    parse_power_of_two,
    parse_seconds,
    quantities_near,
)

if TYPE_CHECKING:
    import jsonschema_rs

Path: TypeAlias = tuple[str | int, ...]

_IN_ADDRESS = re.compile(r'(://[^\s/:@"]*:)[^\s/@"]+@')  # somebody's password

LONGEST_NAME = 300  # characters, of names that are compared to find what somebody meant
MOST_NAMES = 1_000

_FORMATS: Mapping[str, Callable[[Any], object]] = {
    "quantity": parse_bytes,
    "duration": parse_seconds,
    "interval": parse_interval,
    "percent": parse_percent,
    "date": date.fromisoformat,
    "date-time": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"),
    "ip": ipaddress.ip_address,
    "cron": parse_cron,
    "time-zone": parse_zone,
    "power-of-two": parse_power_of_two,
    "ssh-key": parse_ssh_key,
    "absolute-path": parse_absolute_path,
    "go-duration": parse_go_duration,
    "https-url": parse_https_url,
    "kubernetes-quantity": parse_kubernetes_quantity,
    "ldap-url": parse_ldap_url,
    "semver": parse_semver,
    "url": parse_url,
}
_TYPE_NAMES = {"object": "a mapping", "array": "a list", "string": "a string", "integer": "a whole number",
               "number": "a number", "boolean": "true or false", "null": "null"}  # fmt: skip


RuleID: TypeAlias = Literal[
    "invalid-resource", "unknown-field", "encrypted-pool-without-key", "pool-neither-initialised-nor-imported"
]


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One way in which a value breaks its schema. `path` leads to the value (for an unknown field: to the field)."""

    path: Path
    rule: RuleID
    message: str


class Validator:
    """A compiled schema. Safe to share between threads."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._formats = tuple(_saying("x-format", schema, ()))
        self._checks = tuple(_saying("x-checks", schema, ()))
        self._compiled: jsonschema_rs.Validator | None = None

    def problems(self, value: object) -> tuple[Problem, ...]:
        """Everything wrong with `value`, in order of position; empty when valid."""
        if self._compiled is None:
            self._compiled = self._compile()
        if self._compiled.is_valid(value):
            found: Iterable[Problem] = ()
        else:
            found = (p for error in _once(self._compiled.iter_errors(value)) for p in self._explain(error))
        return tuple(
            sorted(
                {*found, *self._format_problems(value), *self._check_problems(value)},
                key=lambda p: (tuple(map(str, p.path)), p.message),
            )
        )

    def flaw(self) -> tuple[Path, str] | None:
        """Where and why this is no schema at all; None when it is one."""
        try:
            self._compile()
        except ValueError as error:
            return tuple(getattr(error, "instance_path", ())), str(error).strip().partition("\n")[0]
        return None

    def _compile(self) -> jsonschema_rs.Validator:
        import jsonschema_rs  # noqa: PLC0415  # 20 ms that `--help` need not pay

        return jsonschema_rs.Draft202012Validator(dict(self._schema))

    def _explain(self, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
        path: Path = tuple(error.instance_path)
        schema = self._fragment(error.schema_path)
        if error.kind.name == "additionalProperties":
            known = list(schema.get("properties", ()))
            for name in _detail(error, "unexpected"):
                yield Problem(
                    (*path, name), "unknown-field", f"unknown field {quoted(name)}{did_you_mean(name, known)}"
                )
            return
        words = "the secret here is not as its schema says" if self._is_secret(error.schema_path) else None
        said = _sentence(error, schema) if schema else str(error.message)
        yield Problem(path, _rule_of(error, schema), words or said)

    def _is_secret(self, schema_path: Iterable[str | int]) -> bool:
        """Whether what failed is a secret, or holds nothing else."""
        here: Any = self._schema
        for step in schema_path:
            if isinstance(here, Mapping) and here.get("x-secret"):
                return True
            if isinstance(here, Mapping) and step not in here:
                return False  # behind a $ref
            here = here[step]
        return False

    def _fragment(self, schema_path: Iterable[str | int]) -> Mapping[str, Any]:
        """The subschema that holds the keyword which failed."""
        *parents, _keyword = schema_path
        here: Any = self._schema
        for step in parents:
            if isinstance(here, Mapping) and step not in here:
                return {}  # behind a $ref
            here = here[step]
        return here if isinstance(here, Mapping) else {}

    def _check_problems(self, value: object) -> Iterator[Problem]:
        for schema_path, schema in self._checks:
            for path, found in _values(value, schema_path, ()):
                for steps, message in broken(found, schema["x-checks"]):
                    yield Problem((*path, *steps), "invalid-resource", message)

    def _format_problems(self, value: object) -> Iterator[Problem]:
        for schema_path, schema in self._formats:
            for path, text in _values(value, schema_path, ()):
                if _matches_pattern(schema, text) and not _has_format(schema, text):
                    yield Problem(path, "invalid-resource", f"{quoted(text)} is not {_expectation(schema, text)}")


def pattern(text: str) -> Callable[[str], bool]:
    """A regular expression that is found in linear time, whoever wrote it. Raises ValueError when it is none."""
    import jsonschema_rs  # noqa: PLC0415  # 20 ms that `--help` need not pay

    try:
        options = jsonschema_rs.RegexOptions()
        return jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=options).is_valid
    except jsonschema_rs.ValidationError:
        raise ValueError(f"{quoted(text)} is not a regular expression") from None


def _matches_pattern(schema: Mapping[str, Any], value: object) -> bool:
    """Whether the pattern already let it through; what it refused is reported once."""
    if not isinstance(value, str):
        return isinstance(value, int) and not isinstance(value, bool) and "integer" in schema["type"]
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def _has_format(schema: Mapping[str, Any], text: Any) -> bool:  # noqa: ANN401  # a string or a number
    parse = _FORMATS[schema["x-format"]]
    try:
        amount: Any = parse(text)
    except ValueError:
        return False
    return not ("x-least" in schema and amount < parse(schema["x-least"])) and not (
        "x-most" in schema and amount > parse(schema["x-most"])
    )


def _saying(
    keyword: str, schema: Mapping[str, Any], path: tuple[str | None, ...]
) -> Iterator[tuple[tuple[str | None, ...], Mapping[str, Any]]]:
    """Every subschema that has a keyword of ours, and the way to its values; None stands for every item of a list."""
    if keyword in schema:
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        if isinstance(child, Mapping):
            yield from _saying(keyword, child, (*path, name))
    if isinstance(schema.get("items"), Mapping):
        yield from _saying(keyword, schema["items"], (*path, None))


def _values(value: object, way: tuple[str | None, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not way:
        yield path, value
    elif way[0] is None:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _values(item, way[1:], (*path, index))
    elif isinstance(value, Mapping) and way[0] in value:
        yield from _values(value[way[0]], way[1:], (*path, way[0]))


def _sentence(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> str:  # noqa: C901, PLR0911, PLR0912  # one arm per keyword
    kind, value = error.kind, error.instance
    match kind.name:
        case "required":
            name = _detail(error, "property")
            return f"{quoted(name)} is missing{_example(schema.get('properties', {}).get(name, {}))}"
        case "type":
            wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            return f"{quoted(value)} is not {' or '.join(_TYPE_NAMES[w] for w in wanted)}{_example(schema)}"
        case "enum":
            options = [str(option) for option in schema["enum"]]
            if len(options) == 1:
                return f"{quoted(value)} is not {quoted(schema['enum'][0])}, the only value that is allowed here"
            return f"{quoted(value)} is not one of {', '.join(options)}{did_you_mean(str(value), options)}"
        case "const":
            return f"{quoted(value)} is not {quoted(schema['const'])}"
        case "pattern":
            return f"{quoted(value)} is not {_expectation(schema, value)}"
        case "oneOf":
            return _choice(schema["oneOf"], value)
        case "minimum" | "maximum":
            bound = "smaller" if kind.name == "minimum" else "larger"
            return f"{quoted(value)} is {bound} than {schema[kind.name]}, the {kind.name} here"
        case "exclusiveMinimum" | "exclusiveMaximum":
            bound = "larger" if kind.name == "exclusiveMinimum" else "smaller"
            return f"{quoted(value)} is not {bound} than {schema[kind.name]}"
        case "minLength" | "maxLength":
            side = "shorter" if kind.name == "minLength" else "longer"
            return f"{quoted(value)} is {side} than {schema[kind.name]} characters"
        case "minItems":
            return f"the list needs at least {schema['minItems']} item(s){_example(schema)}"
        case "maxItems":
            return f"the list may have at most {schema['maxItems']} item(s)"
        case "uniqueItems":
            return f"{quoted(value)} has the same item twice"
    return str(error.message)


def _once(errors: Iterable[jsonschema_rs.ValidationError]) -> Iterator[jsonschema_rs.ValidationError]:
    """What is none of a list of values is not said to be of the wrong type as well."""
    found = [*errors]
    listed = {tuple(error.instance_path) for error in found if error.kind.name == "enum"}
    return (error for error in found if not (error.kind.name == "type" and tuple(error.instance_path) in listed))


def _rule_of(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any]) -> RuleID:
    """`x-rule` of a field says by which rule it is told that it is `missing`, or that it is `empty`: it makes no choice
    of those that it has.
    """
    match error.kind.name:
        case "required":
            said = schema.get("properties", {}).get(_detail(error, "property"), {}).get("x-rule", {}).get("missing")
        case "oneOf":
            bare = isinstance(error.instance, Mapping) and not _given(schema["oneOf"], error.instance)
            said = schema.get("x-rule", {}).get("empty") if bare else None
        case _:
            said = None
    return next((rule for rule in get_args(RuleID) if rule == said), "invalid-resource")


def _given(branches: Sequence[Mapping[str, Any]], value: Mapping[str, Any]) -> list[str]:
    """The fields of a `oneOf` that are there."""
    return [name for branch in branches if (name := branch.get("required", [""])[0]) in value]


def _detail(error: jsonschema_rs.ValidationError, name: str) -> Any:  # noqa: ANN401  # each kind of error has its own
    return getattr(error.kind, name)


def _choice(branches: Sequence[Mapping[str, Any]], value: object) -> str:
    """A `oneOf` of ours always chooses between fields."""
    names = [branch.get("required", [""])[0] for branch in branches]
    if not all(names):
        return f"{quoted(value)} is none of the forms that are allowed here"
    given = _given(branches, value) if isinstance(value, Mapping) else []
    tail = f"{' and '.join(given)} are given" if given else "none is given"
    return f"exactly one of {', '.join(names)} is needed; {tail}"


def _expectation(schema: Mapping[str, Any], value: object) -> str:
    expected = schema.get("x-expects", "of the form " + schema.get("pattern", ""))
    near = [text for text in quantities_near(str(value)) if text != value] if expected == "a quantity" else []
    return f"{expected}; did you mean {' or '.join(map(quoted, near))}?" if near else f"{expected}{_example(schema)}"


def _example(schema: Mapping[str, Any]) -> str:
    return f", such as {json.dumps(schema['examples'][0], ensure_ascii=False)}" if schema.get("examples") else ""


def quoted(value: object) -> str:
    """A value as a message shows it: JSON, cut to 60 characters."""
    text = _IN_ADDRESS.sub(r"\1(secret)@", json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else text[:57] + "…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "size"?`, or nothing when no known name is near. Nobody guesses for long: of very many names only
    the first are looked at, and endless ones are like no other.
    """
    if len(name) > LONGEST_NAME:
        return ""
    short = (candidate for candidate in sorted(known) if len(candidate) <= LONGEST_NAME)
    folded = {candidate.casefold(): candidate for candidate in islice(short, MOST_NAMES)}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {quoted(folded[near[0]])}?" if near else ""
