"""Explanations as text for people."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from analyzer.explain import FieldTopic, Topic, children, reference_of, transitions, type_name
from analyzer.rule import Rule
from analyzer.rules import RULES
from analyzer.scalar import resolve
from schemas.annotations import Annotation, known_annotations
from schemas.kind import FRAME
from schemas.kinds import ITEM, Field, FieldPath, Kind, Reference, Settings, Transition, kinds, our_kinds, settings
from schemas.reasons import Reason, reasons
from schemas.resources import OUR_GROUP, Json

WIDTH = 80
FOLDED = {("severities",)}  # a key for each rule; the list of rules says them
_PLAIN = re.compile(r"[A-Za-z0-9/][-A-Za-z0-9_./]*(:[-A-Za-z0-9_./]+)*")


def render(topic: Topic) -> str:
    """Everything about a kind, a field, a rule, a reason, an annotation or a configuration file."""
    match topic:
        case Rule():
            return topic.page
        case Settings():
            return _text(_settings(topic))
        case Reason():
            return _text(_reason(topic))
        case Annotation():
            return _text(_annotation(topic))
        case FieldTopic():
            return _text(_field(topic.kind, topic.field))
    return _text(_kind(topic))


def render_index() -> str:
    """Every kind, rule, reason, annotation and configuration file."""
    ours = [(f"{kind.name} ({', '.join(kind.short_names)})", kind.description) for kind in our_kinds().values()]
    rules = [(rule.id, f"{rule.severity}: {rule.summary}") for rule in sorted(RULES, key=lambda rule: rule.id)]
    words = textwrap.wrap(", ".join(sorted(reasons())), WIDTH - 2)
    return _text(
        [
            "Kinds",
            *_table(ours),
            "",
            *_others(),
            "Rules",
            *_table(rules),
            "",
            "Reasons",
            *(f"  {line}" for line in words),
            "",
            "Annotations",
            *_table((note.name, note.meaning) for note in known_annotations().values()),
            "",
            *_files(),
        ]
    )


def _others() -> Iterator[str]:
    """The kinds of other groups, each group in a paragraph."""
    groups: dict[str, list[str]] = {}
    for name in sorted(kinds().names):
        group, slash, kind = name.rpartition("/")
        if slash:
            groups.setdefault(group, []).append(kind)
    for group, names in groups.items():
        yield f"Kinds of {group}"
        yield from (f"  {line}" for line in textwrap.wrap(", ".join(names), WIDTH - 2))
        yield ""


def _kind(kind: Kind) -> Iterator[str]:
    short = f", short: {', '.join(kind.short_names)}" if kind.short_names else ""
    yield f"{kind.name}  {kind.api_version}, {_SCOPES[kind.scope]}{short}"
    yield ""
    yield from _prose(kind.description)
    yield from _lifecycle(kind)
    yield from ("", "Fields of spec" if kind.body else "Fields")
    yield from _table(_tree(kind, kind.body))
    if "x-create" in kind.schema:
        yield from ("", "When it is created")
        yield from _table([("always", _meaning(kind.schema["x-create"]))])
    yield from ("", "When its manifest is removed")
    yield from _table(_deletions(kind))
    yield from ("", "Example")
    yield from _yaml(kind.example)


def _lifecycle(kind: Kind) -> Iterator[str]:
    """Whose release is described, and what takes the place of a kind that is on its way out."""
    removed, deprecated = kind.schema.get("x-removed"), kind.schema.get("x-deprecated")
    if kind.edition:
        yield from ("", *_prose(f"As in {kind.edition}."))
    if removed:
        yield from ("", *_prose(f"Removed in {removed['in']}; use {removed['use']}."))
    elif deprecated:
        yield from ("", *_prose(f"Deprecated; use {deprecated['use']}."))
    if "x-replaced-by" in kind.schema:
        yield from ("", *_prose(f"See {', '.join(kind.schema['x-replaced-by'])}."))


_SCOPES = {"Cluster": "cluster-scoped", "Namespaced": "namespaced", "Either": "namespaced or not"}


def _tree(whole: Kind | Settings, path: FieldPath, indent: str = "") -> Iterator[tuple[str, str]]:
    for field in children(whole, path):
        if not path and isinstance(whole, Kind) and field.path[0] in FRAME:
            continue
        yield f"{indent}{field.path[-1]}", f"{field.description} [{'; '.join(_brief(whole, field))}]"
        if field.path not in FOLDED:
            yield from _tree(whole, field.path, f"{indent}  ")


def _brief(whole: Kind | Settings, field: Field) -> Iterator[str]:
    """A field's type, and whether it can be left out."""
    reference = reference_of(whole, field)
    form = "list of names" if field.schema.get("type") == "array" else "name"
    yield f"{form}: {' or '.join(reference.kinds)}" if reference and not reference.via else type_name(field)
    if field.required:
        yield "required"
    elif "default" in field.schema:
        yield f"default {json.dumps(field.schema['default'], ensure_ascii=False)}"


def _settings(file: Settings) -> Iterator[str]:
    yield file.name
    yield ""
    yield from _prose(str(file.schema["description"]))
    yield from ("", "Keys")
    yield from _table(_tree(file, ()))
    if file.name.endswith(".yaml"):
        schema = f"{file.name.removesuffix('.yaml')}.schema.json"
        yield from ("", "In an editor", *_prose(f"`holdfast explain {file.name} --schema > {schema}`, and in line 1:"))
        yield f"  # yaml-language-server: $schema={schema}"


def _files() -> Iterator[str]:
    yield "Settings"
    yield from _table((file.name, str(file.schema["description"])) for file in settings().values())


def _reason(reason: Reason) -> Iterator[str]:
    yield reason.name
    yield ""
    yield from _prose(reason.meaning)
    if reason.act:
        yield from ("", "What to do", *_prose(reason.act))


def _annotation(note: Annotation) -> Iterator[str]:
    yield note.name
    yield ""
    yield from _prose(note.meaning)
    yield from ("", "What may be written", *_prose(note.value))
    yield from ("", "Example", "  metadata:", "    annotations:", f"      {note.name}: {note.example}")


def _deletions(kind: Kind) -> Iterator[tuple[str, str]]:
    meaning = kind.schema.get("x-delete", {"hazard": "safe", "reason": "nothing is known of it"})
    if "by" not in meaning:
        yield "always", _meaning(meaning)
        return
    for value, entry in meaning.items():
        if isinstance(entry, Mapping):
            yield f"{meaning['by']}: {value}", _meaning(entry)


def _meaning(entry: Mapping[str, str]) -> str:
    return f"{entry['hazard']}: {entry['reason']}"


def _field(kind: Kind, field: Field) -> Iterator[str]:
    yield f"{kind.name}.{field}{'  (required)' if field.required else ''}"
    yield ""
    yield from _prose(field.description)
    yield ""
    yield from _table(_facts(kind, field))
    changes = [(direction, _transition(meaning)) for direction, meaning in transitions(field)]
    if changes:
        yield from ("", "When it changes")
        yield from _table(changes)
    inside = children(kind, field.path)
    if inside:
        yield from ("", "Fields")
        yield from _table((child.path[-1], child.description) for child in inside)


def _facts(kind: Kind, field: Field) -> Iterator[tuple[str, str]]:
    schema = field.schema
    yield "type", type_name(field)
    if "x-unit" in schema:
        yield "unit", schema["x-unit"]
    if "default" in schema:
        yield "default", json.dumps(schema["default"], ensure_ascii=False)
    if schema.get("examples"):
        yield "example", json.dumps(schema["examples"][0], ensure_ascii=False)
    reference = reference_of(kind, field)
    if reference:
        yield "refers to", _target(reference)
    for word, said in (("removed", schema.get("x-removed")), ("deprecated", schema.get("x-deprecated"))):
        if said:
            since = f"in {said['in']}; " if "in" in said else ""
            yield word, f"{since}use {said['use']}"
    if kind.group == OUR_GROUP and field.path[0] == "spec" and (why := kind.unobservable(field.path)):
        yield "drift", f"cannot be seen: {why}"
    elif field.always:
        yield "drift", "also of what nobody declares here"


def _target(reference: Reference) -> str:
    names = " or ".join(".".join(path).replace(f".{ITEM}", ITEM) for path in reference.names)
    target = " or ".join(reference.kinds)
    return f"{target}, {names} of the one that {reference.via} names" if reference.via else target


def _transition(meaning: Transition) -> str:
    hazard = f", {meaning.hazard}" if meaning.update != "refuse" else ""  # what is never done costs nothing
    return f"{_UPDATES[meaning.update]}{hazard}{': ' + meaning.reason if meaning.reason else ''}"


_UPDATES = {
    "in-place": "in place",
    "recreate": "made anew",
    "restart": "waits for a restart of the target",
    "refuse": "refused",
}


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = list(rows)
    first = min(28, max((len(name) for name, _ in listed), default=0)) + 4
    for name, text in listed:
        lead = f"  {name}".ljust(first)
        yield from textwrap.wrap(
            (lead if len(lead) == first else lead + "  ") + text,
            WIDTH,
            subsequent_indent=" " * first,
            break_on_hyphens=False,
        )


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _yaml(value: Mapping[str, Json], indent: str = "  ") -> Iterator[str]:
    """One line for each field, the spec and what is too long for a line opened up. JSON for scalars is YAML too."""
    for name, child in value.items():
        line = f"{indent}{name}: {_flow(child)}"
        if isinstance(child, dict) and (name == "spec" or len(line) > WIDTH):
            yield f"{indent}{name}:"
            yield from _yaml(child, f"{indent}  ")
        else:
            yield line


def _flow(value: Json) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(child)}" for name, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and resolve(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"
