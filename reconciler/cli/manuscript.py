"""Imported manifests as files that a person would have written: commented, one resource after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.importing import Imported

_HEADS = {
    "hosts/hosts.yaml": "Hosts that may connect, by their NQN.",
    "volumes.yaml": "Volumes as they were found; holdfast.dev/adopt names the lvol that each takes over.",
    "snapshots.yaml": "Snapshots as they were found; holdfast.dev/adopt names the lvol that each takes over.",
    "subsystems.yaml": "What hosts see.",
    "images.yaml": "Files that are only read, and that volumes may be cloned from.",
}
_FOREIGN = "Left out, because no manifest can say it. It stays as it is on the target, and is none of Holdfast's:"


def manuscripts(found: Imported, target: str) -> Mapping[str, str]:
    """The text of each file, by its path."""
    return {
        path: "---\n".join([_manifest(m, found.notes) for m in documents]).join((_head(path, found, target), ""))
        for path, documents in found.files.items()
    }


def _head(path: str, found: Imported, target: str) -> str:
    lines = next((words for end, words in _HEADS.items() if path.endswith(end)), "").splitlines()
    if path == f"nodes/{target}.yaml":
        lines = [f"{target}, as `holdfast import` found it: nothing on it has changed, and the next plan is empty."]
        lines += ["", _FOREIGN, *(f"- {line}" for line in found.left_out)] if found.left_out else []
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _manifest(manifest: Mapping[str, Any], notes: Mapping[tuple[str, str], str]) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415  # only this verb writes YAML
    from ruamel.yaml.comments import CommentedMap  # noqa: PLC0415  # only this verb writes YAML

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    document = CommentedMap(_tidy(manifest))
    note = notes.get((manifest["kind"], manifest["metadata"]["name"]))
    if note:
        document.yaml_set_start_comment(note)
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _tidy(value: Any) -> Any:  # noqa: ANN401  # YAML values
    """Lists of names on one line."""
    from ruamel.yaml.comments import CommentedSeq  # noqa: PLC0415  # see above

    if isinstance(value, Mapping):
        return {name: _tidy(inside) for name, inside in value.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    found = CommentedSeq(map(_tidy, value))
    if not any(isinstance(item, Mapping) for item in value):
        found.fa.set_flow_style()
    return found
