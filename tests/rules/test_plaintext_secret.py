"""Secrets in the repository are told of, and never shown in any output."""

from __future__ import annotations

import base64
import json
from datetime import date

import pytest

from analyzer.analyze import analyze
from analyzer.finding import Severity
from analyzer.render import text
from analyzer.report import Report
from analyzer.snapshot import Blob, Snapshot, blob_id

PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIOpensesame\n-----END EC PRIVATE KEY-----\n"
KUSTOMIZATION = "kind: Kustomization\napiVersion: kustomize.config.k8s.io/v1beta1\n"
SEALED = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s}\n"
BARE = "kind: Secret\napiVersion: v1\nmetadata: {name: s}\n"


def lint(content: str) -> Report:
    data = content.encode()
    return analyze(Snapshot("", {"a.yaml": Blob("a.yaml", blob_id(data), data)}), as_of=date(2026, 6, 1))


def secret(values: str, block: str = "stringData", more: str = "") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: a}}\n{block}: {{{values}}}\n{more}"


def hub(kind: str, spec: str) -> str:
    return f"apiVersion: hub.traefik.io/v1alpha1\nkind: {kind}\nmetadata: {{name: a, namespace: a}}\nspec: {spec}\n"


def told(content: str) -> list[Severity]:
    return [finding.severity for finding in lint(content).findings if finding.rule == "plaintext-secret"]


@pytest.mark.parametrize(
    "content",
    [
        secret("password: opensesame"),
        secret(f"password: {base64.b64encode(b'opensesame').decode()}", "data"),
        secret("user: anna, token: opensesame"),
        secret('broker.properties: "user=anna\\npassword=opensesame\\n"'),
        hub("ManagedApplication", "{appId: a, owner: b, apiKeys: [{value: opensesame}]}"),
        hub("AccessControlPolicy", "{jwt: {signingSecret: opensesame}}"),
        f"{KUSTOMIZATION}secretGenerator: [{{name: a, literals: [password=opensesame]}}]\n",
    ],
)
def test_a_secret_by_where_it_stands(content: str) -> None:
    """What a kind keeps secret is one, however it is written."""
    assert told(content) == [Severity.WARNING]


@pytest.mark.parametrize(
    "content",
    [
        secret(f"tls.key: {base64.b64encode(PEM.encode()).decode()}", "data"),
        secret(f"tls.key: {json.dumps(PEM)}"),
        f"# {PEM.splitlines()[0]}\nkind: other\n",
        "not: [yaml\nkey: ghp_" + "a1B2" * 9 + "\n",
    ],
)
def test_a_secret_by_its_shape(content: str) -> None:
    """A key or token is an error in whatever file, sound or not, and in base64 too."""
    assert told(content) == [Severity.ERROR]


@pytest.mark.parametrize(
    "content",
    [
        secret(""),
        secret("password: <password>, username: anna, tls.crt: abc"),
        secret("password: 'ENC[AES256_GCM]'", more="sops: {version: 3.9.0}\n"),
        secret("password: aGVsbG8=", "data", "sops: {version: 3.9.0}\n"),
        f"{SEALED}spec: {{encryptedData: {{password: AgBy3i4OJSWK}}}}\n",
        hub("ManagedApplication", "{appId: a, owner: b, apiKeys: [{secretName: s}, {value: " + "0a" * 64 + "}]}"),
        hub("ManagedApplication", "{appId: a, owner: b, apiKeys: [{value: '${API_KEY}'}]}"),
        secret("AWS_ACCESS_KEY_ID: UPDATE_AWS_ACCESS_KEY_ID"),
        secret("key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 anna@example.org, tls.ca: abc"),
        secret('broker.properties: "clustered=true\\nsize=2\\n"'),
        f"{KUSTOMIZATION}secretGenerator: [{{name: a, literals: [token=Y2hhbmdlbWU=]}}]\n",
    ],
)
def test_what_is_no_secret(content: str) -> None:
    """Placeholders, what is encrypted, hashes, names, public halves and mere settings are passed over."""
    assert told(content) == []


@pytest.mark.parametrize(
    "content",
    [
        secret("password: opensesame"),
        secret("password: [opensesame]"),
        secret("password: opensesame", "stringdata"),
        BARE + "stringdata:\n  password: opensesame\n",
        BARE + "stringData:\n  password: !opensesame\n",
        BARE + "stringData:\n  opensesame\n",
        "items:\n- kind: Secret\n  apiVersion: v1\n  metadata: {name: s}\n  datas: opensesame\n",
        json.dumps({"kind": "Secret", "apiVersion": "v1", "data": {"password": ["opensesame"]}}),
        json.dumps({"kind": "Secret", "apiVersion": "v1", "data": {"password": ["opensesame"]}}, indent=1),
        BARE.replace("name: s", 'name: s, annotations: {last: \'{"stringData":"opensesame"}\', other: 1}'),
        secret("password: opensesame\n\t"),
        secret("password: opensesame") + "stringData: {password: opensesame}\n",
        secret("password: opensesame") + "type: [opensesame\n",
        BARE + "data: opensesame\n",
        BARE + "stringData:\n  password: *opensesame\n",
        hub("ManagedApplication", "{appId: a, owner: b, apiKeys: [{value: opensesame, secretName: s}]}"),
        hub("ManagedApplication", "\n  appId: a\n  apiKeys:\n    - value: [opensesame]"),
        f"key: |\n{PEM}",
    ],
)
def test_a_secret_is_never_shown(content: str) -> None:
    """Neither this rule nor any other that has something to say of the file puts the secret into its output."""
    report = lint(content)
    assert report.findings
    shown = text.render(report) + json.dumps(report.to_json()) + repr(report.findings)
    assert "opensesame" not in shown
