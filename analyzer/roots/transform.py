"""What a kustomization does to the resources it holds, in the order in which kustomize does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from analyzer.document import Document
from analyzer.roots import field_specs
from analyzer.roots.config import Kustomization, given, inside, listed, mapping_at, text_at
from analyzer.roots.embedded import parse_embedded
from analyzer.roots.field_specs import FieldSpec, set_fields
from analyzer.roots.item import Item, identity_of
from analyzer.roots.json_patch import apply_operations, is_json_patch
from analyzer.roots.merge import Merge
from analyzer.roots.names import rename
from analyzer.roots.problem import broken
from analyzer.roots.replacements import replace
from analyzer.roots.targets import picks, target_of
from analyzer.roots.tree import Allowance, Origin, Part
from schemas.validation import Path

Patch: TypeAlias = tuple[Part, ...]
ReadPatch: TypeAlias = Callable[[Origin, str], Patch | None]
"""The documents of a patch file that a place names; None where it is there and not read. Raises Unrenderable."""


class Transformation:
    """One kustomization at work on a list of resources. `sparing`: what a patch is for may be elsewhere."""

    def __init__(
        self, kustomization: Kustomization, items: list[Item], read: ReadPatch, allowance: Allowance, *, sparing: bool
    ) -> None:
        self._file, self._items, self._read, self._sparing = kustomization, items, read, sparing
        self._allowance = allowance

    def _look_through(self, entry: Origin) -> list[Item]:
        """All resources, of which an entry means some."""
        self._allowance.spend(2 * len(self._items), entry)
        return self._items

    def run(self) -> None:
        self._merge_patches()
        self._patches()
        self._namespace()
        prefix, suffix = self._file.text("namePrefix"), self._file.text("nameSuffix")
        if prefix or suffix:
            rename(self._items, prefix, suffix, self._file.at("namePrefix" if prefix else "nameSuffix"))
        self._labels()
        self._annotations()
        self._json_patches()
        self._replicas()
        self._images()
        self._replacements()

    def _merge_patches(self) -> None:
        for entry in (*self._file.entries("patchesStrategicMerge"), *self._listed_patches(plain=True)):
            text = text_at(entry)
            documents = _inline(entry) if "\n" in text or ": " in text else self._read(entry, text)
            for part in documents or ():
                self._merge_by_name(part, entry)

    def _listed_patches(self, *, plain: bool) -> Iterator[Origin]:
        """The entries of `patches`. A mere list of files is what patchesStrategicMerge was called at first."""
        entries = list(self._file.entries("patches"))
        return iter(entries if plain == (bool(entries) and isinstance(entries[0].value, str)) else ())

    def _patches(self) -> None:
        for entry in self._listed_patches(plain=False):
            patch = self._patch(entry)
            if not patch:
                continue
            operations = is_json_patch(patch[0].value)
            if operations:
                self._operate(entry, patch[0])
            elif mapping_at(entry).get("target") is None:
                for part in patch:
                    self._merge_by_name(part, entry)
            elif len(patch) > 1:
                raise broken(entry, "of several patches in one entry each says itself what it is for; leave out target")
            else:
                self._merge(self._picked(entry), patch[0], inside(entry, "options"))

    def _json_patches(self) -> None:
        for entry in self._file.entries("patchesJson6902"):
            patch = self._patch(entry)
            if patch:
                self._operate(entry, patch[0])

    def _patch(self, entry: Origin) -> Patch | None:
        """What an entry brings, wherever it is written."""
        inline, path = given(entry, "patch").strip(), given(entry, "path")
        if bool(inline) == bool(path):
            raise broken(entry, "an entry has either `patch` or `path`")
        return _inline(entry.at("patch")) if inline else self._read(entry.at("path"), path)

    def _picked(self, entry: Origin) -> list[Item]:
        if mapping_at(entry).get("target") is None:
            raise broken(entry, "a JSON patch needs a target")
        target = target_of(entry.at("target"))
        return [item for item in self._look_through(entry) if picks(target, item)]

    def _operate(self, entry: Origin, patch: Part) -> None:
        if not isinstance(patch.value, list):
            raise broken(patch.origin, "a JSON patch is a list of operations")
        for item in self._picked(entry):
            item.remember()
            apply_operations(item.tree, patch)

    def _merge_by_name(self, patch: Part, entry: Origin) -> None:
        wanted = identity_of(patch.value)
        if not wanted.kind or not wanted.name:
            raise broken(patch.origin, "a patch says what it is for: by apiVersion, kind and name, or by `target`")
        named = (item for item in self._look_through(entry) if item.before or item.name == wanted.name)
        meant = [item for item in named if wanted in item.identities()]
        if len(meant) != 1 and not (self._sparing and not meant):
            count = "several resources are" if meant else "there is no"
            name = f"{wanted.kind} {wanted.name} in namespace {wanted.namespace}" if wanted.namespace else wanted.name
            raise broken(patch.origin, f"{count} {name} that this could patch")
        self._merge(meant, patch, inside(entry, "options") if isinstance(entry.value, dict) else {})

    def _merge(self, items: Sequence[Item], patch: Part, options: Any) -> None:  # noqa: ANN401  # JSON
        if not isinstance(patch.value, dict):
            raise broken(patch.origin, "a patch is a mapping, or a list of operations")
        for item in items:
            renames, changes_kind = bool(options.get("allowNameChange")), bool(options.get("allowKindChange"))
            if renames or changes_kind:
                item.remember()
            fixed: list[Path] = [("apiVersion",), ("metadata", "namespace")]
            fixed += [] if changes_kind else [("kind",)]
            fixed += [] if renames else [("metadata", "name")]
            kept = [(path, item.tree.part(path)) for path in fixed]
            if not Merge(item.tree, item.api_version, item.kind).apply(patch):
                self._items.remove(item)
            else:
                _restore(item, kept)

    def _namespace(self) -> None:
        if not self._file.text("namespace"):
            return
        part = Part(self._file.text("namespace"), self._file.at("namespace"))
        for item in self._items:
            item.remember()
            if not item.cluster_wide:
                item.tree.create(("metadata", "namespace"), part)
            for spec in field_specs.REACHABLE_BY_NAMESPACE:
                if spec.concerns(item) and (spec.kind != "Namespace" or item.api_version == "v1"):
                    set_fields(item, spec, part)
            if item.kind in ("RoleBinding", "ClusterRoleBinding"):
                self._subjects(item, part)

    def _subjects(self, item: Item, part: Part) -> None:
        subjects = item.tree.get(("subjects",))
        for index, subject in enumerate(subjects if isinstance(subjects, list) else ()):
            if isinstance(subject, dict) and subject.get("name") == "default":
                item.tree.set(("subjects", index, "namespace"), part)

    def _labels(self) -> None:
        for entry in self._file.entries("labels"):
            specs = list(_label_specs(entry))
            for key in inside(entry, "pairs"):
                self._set(specs, key, entry.at("pairs", key))
        for key in self._file.mapping("commonLabels"):
            self._set(_EVERY_LABEL, key, self._file.at("commonLabels").at(key))

    def _annotations(self) -> None:
        for key in self._file.mapping("commonAnnotations"):
            self._set(field_specs.ANNOTATIONS, key, self._file.at("commonAnnotations").at(key))

    def _set(self, specs: Sequence[FieldSpec], key: str, origin: Origin) -> None:
        part = Part(text_at(origin), origin)
        for item in self._look_through(origin):
            for spec in specs:
                if spec.concerns(item):
                    for path in list(field_specs.places(item, spec)):
                        item.tree.create((*path, key), part)

    def _replicas(self) -> None:
        for entry in self._file.entries("replicas"):
            name, part = given(entry, "name"), Part(mapping_at(entry).get("count"), entry.at("count"))
            found = [
                (item, spec)
                for item in self._look_through(entry)
                for spec in field_specs.REPLICAS
                if spec.concerns(item) and any(identity.name == name for identity in item.identities())
            ]
            if not found and not self._sparing:
                raise broken(entry, f"there is no {name} that has replicas")
            for item, spec in found:
                set_fields(item, spec, part)

    def _images(self) -> None:
        for entry in (*self._file.entries("images"), *self._file.entries("imageTags")):
            for item in self._look_through(entry):
                for path in field_specs.image_places(item):
                    old = item.tree.get(path)
                    new = _image(entry, old)
                    if new != old:
                        item.tree.set(path, Part(new, _said(entry)))

    def _replacements(self) -> None:
        for entry in self._file.entries("replacements"):
            path = given(entry, "path")
            if not path:
                self._replace(entry)
                continue
            for part in self._read(entry.at("path"), path) or ():
                listed = isinstance(part.value, list)
                for each in [part.origin.at(n) for n in range(len(part.value))] if listed else [part.origin]:
                    self._replace(each)

    def _replace(self, entry: Origin) -> None:
        replace(self._look_through(entry), entry, sparing=self._sparing)


def _restore(item: Item, kept: Sequence[tuple[Path, Part]]) -> None:
    """A patch does not change what it only names."""
    for path, part in kept:
        if part.value is not None:
            item.tree.create(path, part)
        elif item.tree.has(path):
            item.tree.remove(path)


_EVERY_LABEL = (field_specs.OWN_LABELS, *field_specs.TEMPLATE_LABELS, field_specs.CLAIM_LABELS, *field_specs.SELECTORS)


def _label_specs(entry: Origin) -> Iterator[FieldSpec]:
    value = mapping_at(entry)
    if value.get("includeSelectors"):
        yield from _EVERY_LABEL
    else:
        yield field_specs.OWN_LABELS
        yield from field_specs.TEMPLATE_LABELS if value.get("includeTemplates") else ()
        yield from [field_specs.CLAIM_LABELS] if value.get("includeVolumeClaimTemplates") else ()
    for field in listed(entry, "fields"):
        create = bool(mapping_at(field).get("create"))
        names = (given(field, name) for name in ("path", "kind", "group", "version"))
        yield field_specs.spec_of(*names, create=create)


def _inline(origin: Origin) -> Patch:
    """The documents of a patch that is written in the kustomization itself."""
    parsed = parse_embedded(origin)
    if parsed.defects:
        raise broken(origin, f"this patch cannot be read: {parsed.defects[0].message}")
    return patch_of(origin.file, parsed.documents)


def patch_of(file: str, documents: Sequence[Document]) -> Patch:
    origins = (Origin(file, document) for document in documents)
    return tuple(Part(origin.document.value, origin) for origin in origins)


def _image(entry: Origin, image: str) -> str:
    """An image with the name, tag or digest that an entry gives it."""
    name, tag, digest = _split_image(image)
    if name != given(entry, "name"):
        return image
    new_tag, new_digest, suffix = (given(entry, field) for field in ("newTag", "digest", "tagSuffix"))
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    elif suffix:
        tag, digest = tag + suffix, ""
    return (given(entry, "newName") or name) + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _said(entry: Origin) -> Origin:
    """Where an entry says what an image is to be."""
    fields = (name for name in ("newTag", "digest", "tagSuffix", "newName") if given(entry, name))
    return entry.at(next(fields, "name"))


def _split_image(image: str) -> tuple[str, str, str]:
    path, at, digest = image.partition("@")
    head, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    return head + slash + name, tag, digest if at else ""
