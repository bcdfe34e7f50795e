"""One resource declared twice: how sure that is a mistake depends on who applies it."""

from __future__ import annotations

from datetime import date

import pytest

from analyzer.analyze import analyze
from analyzer.finding import Confidence
from analyzer.snapshot import Blob, Snapshot, blob_id

API = "apiVersion: hub.traefik.io/v1alpha1\nkind: API\nmetadata: {name: a, namespace: apps}\nspec: {title: A}\n"
QUOTA = (
    "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Quota\nmetadata: {name: a, namespace: t}\nspec: {volumes: 1}\n"
)


@pytest.mark.parametrize(
    ("files", "confidence"),
    [
        ({"a.yaml": f"{API}---\n{API}"}, Confidence.HIGH),
        ({"a.yaml": API, "variant/a.yaml": API}, Confidence.LOW),
        ({"a.yaml": QUOTA, "variant/a.yaml": QUOTA}, Confidence.HIGH),
    ],
)
def test_how_sure_a_duplicate_is(files: dict[str, str], confidence: Confidence) -> None:
    """Two files of other kinds may be variants; what Holdfast applies, and one file, is one whole."""
    blobs = {path: Blob(path, blob_id(text.encode()), text.encode()) for path, text in files.items()}
    report = analyze(Snapshot("", blobs), as_of=date(2026, 6, 1))
    assert [(finding.rule, finding.confidence) for finding in report.findings] == [("duplicate-resource", confidence)]
