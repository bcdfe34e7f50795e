"""A kustomization file as its author wrote it: typed access to its fields, with a place for every complaint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer.composer import Place
from analyzer.document import load
from analyzer.roots.problem import Problem, Unrenderable, broken, place_of
from analyzer.roots.tree import Origin
from analyzer.snapshot import Blob
from schemas.validation import did_you_mean, quoted

FIELDS: Final = frozenset({
    "apiVersion", "kind", "metadata", "openapi", "namePrefix", "nameSuffix", "namespace", "commonLabels", "labels",
    "commonAnnotations", "patchesStrategicMerge", "patchesJson6902", "patches", "images", "imageTags", "replacements",
    "replicas", "vars", "sortOptions", "resources", "components", "crds", "bases", "configMapGenerator",
    "secretGenerator", "helmGlobals", "helmCharts", "helmChartInflationGenerator", "generatorOptions", "configurations",
    "generators", "transformers", "validators", "buildMetadata",
})  # fmt: skip
ELSEWHERE: Final[Mapping[str, str]] = {
    "helmCharts": "helm charts are not rendered here",
    "helmChartInflationGenerator": "helm charts are not rendered here",
    "generators": "generator plugins are not run here",
    "transformers": "transformer plugins are not run here",
    "configurations": "transformer configurations are not applied here",
    "vars": "vars are not applied here",
}
"""Fields that only kustomize itself, or a program or network that it calls, can apply."""
_SPELLING: Final = {name.casefold(): name for name in FIELDS}
_ADVICE: Final = {"vars": "`replacements` do the same, and are applied here"}


@dataclass(frozen=True)
class Kustomization:
    """One kustomization file. Raises Unrenderable when it cannot be read as one."""

    folder: str
    top: Origin
    names: Mapping[str, str] = field(default_factory=dict)  # what a field is called where it has another name

    def value(self, name: str) -> Any:  # noqa: ANN401  # JSON
        return mapping_at(self.top).get(self._called(name))

    def at(self, name: str) -> Origin:
        return self.top.at(self._called(name))

    def _called(self, name: str) -> str:
        """What a field is called here: kustomize does not mind about small and capital letters."""
        wanted = self.names.get(name, name)
        if wanted in mapping_at(self.top):
            return wanted
        return next((each for each in mapping_at(self.top) if each.casefold() == wanted.casefold()), wanted)

    def text(self, name: str) -> str:
        """A field that is a text; empty when it is not given."""
        return text_at(self.at(name)) if self.value(name) is not None else ""

    def entries(self, name: str) -> Iterator[Origin]:
        """The items of a field that is a list."""
        return items_at(self.at(name)) if self.value(name) is not None else iter(())

    def mapping(self, name: str) -> Mapping[str, Any]:
        return mapping_at(self.at(name)) if self.value(name) is not None else {}

    def problems(self) -> Iterator[Problem]:
        """What kustomize would refuse, or what it takes a program or a network to apply."""
        for written in self.top.value:
            name = _SPELLING.get(written.casefold(), written)
            if name not in FIELDS:
                message = f"a kustomization has no field {quoted(name)}{did_you_mean(name, FIELDS)}"
                yield Problem(place_of(self.at(name), key=True), message, broken=True)
            elif name in ELSEWHERE and self.value(name):
                yield Problem(
                    place_of(self.at(name), key=True), ELSEWHERE[name], broken=False, help=_ADVICE.get(name, "")
                )


def read_kustomization(folder: str, blob: Blob) -> Kustomization:
    """The kustomization that a file holds."""
    parsed = load(blob)
    if parsed.defects or not parsed.documents:
        place = parsed.defects[0].place if parsed.defects else Place(1, 1)
        why = parsed.defects[0].message if parsed.defects else "it is empty"
        raise Unrenderable(
            Problem(parsed.source.at(blob.path, place), f"this kustomization cannot be read: {why}", broken=True)
        )
    document = parsed.documents[0]
    top = Origin(blob.path, document)
    if not isinstance(document.value, dict) or len(parsed.documents) > 1:
        raise broken(top, "a kustomization is one mapping")
    return Kustomization(folder, top)


def text_at(origin: Origin) -> str:
    value = origin.value
    if not isinstance(value, str):
        raise broken(origin, f"{quoted(value)} is not a text", "put it in quotes")
    return value


def mapping_at(origin: Origin) -> Mapping[str, Any]:
    value = origin.value
    if not isinstance(value, dict):
        raise broken(origin, f"{quoted(value)} is not a mapping")
    return value


def items_at(origin: Origin) -> Iterator[Origin]:
    value = origin.value
    if not isinstance(value, list):
        raise broken(origin, f"{quoted(value)} is not a list")
    return (origin.at(index) for index in range(len(value)))


def inside(origin: Origin, name: str) -> Mapping[str, Any]:
    """A field of an entry that is a mapping; empty when it is not given."""
    return mapping_at(origin.at(name)) if mapping_at(origin).get(name) is not None else {}


def listed(origin: Origin, name: str) -> Iterator[Origin]:
    """The items of a field of an entry that is a list."""
    return items_at(origin.at(name)) if mapping_at(origin).get(name) is not None else iter(())


def given(origin: Origin, name: str) -> str:
    """A field of an entry that is a text; empty when it is not given."""
    return text_at(origin.at(name)) if mapping_at(origin).get(name) is not None else ""
