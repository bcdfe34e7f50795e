"""What is secret is recognised, also where a file is broken, and is never part of what is shown."""

from __future__ import annotations

import base64

import pytest

from analyzer.document import Source
from analyzer.secrecy import HIDDEN, decoded, hidden_lines, is_placeholder, masked, shapes_in

PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 2 + "-----END RSA PRIVATE KEY-----"
TOKENS = {
    "a private key": PEM,
    "an age key": "AGE-SECRET-KEY-1" + "QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQ",
    "an NVMe authentication key": "DHHC-1:00:" + "ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n" + ":",
    "an NVMe TLS key": "NVMeTLSkey-1:01:" + "VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ" + ":",
    "a GitHub token": "ghp_" + "a1B2" * 9,
    "a GitLab token": "glpat-" + "a1B2" * 5,
    "a Slack token": "xoxb-" + "1234567890-" + "a1B2" * 6,
    "an AWS access key": "AKIA" + "Q3ZL" * 4,
    "a Google API key": "AIza" + "a1B2c" * 7,
    "a Stripe key": "sk_live_" + "a1B2" * 6,
    "an npm token": "npm_" + "a1B2" * 9,
    "a Vault token": "hvs." + "a1B2" * 8,
    "an API key of an AI provider": "sk-ant-" + "a1B2" * 12,
    "a JSON Web Token": "eyJ" + "a1B2" * 4 + ".eyJ" + "a1B2" * 4 + "." + "a1B2" * 8,
}


@pytest.mark.parametrize("what", TOKENS)
def test_a_secret_gives_itself_away(what: str) -> None:
    """Each shape is known for what it is, wherever it stands in a line."""
    assert [shape.what for shape in shapes_in(f"# key={TOKENS[what]} # rotate")] == [what]


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE", "ghp_short", "-----BEGIN PUBLIC KEY-----", "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----", "task-ant-colony-is-not-an-api-key-at-all-not-even-near-it", "DHHC-1:00:…:",
        "hvs.example", "eyJhbGciOiJIUzI1NiJ9",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_passed_over(text: str) -> None:
    """Public halves, examples, encrypted keys and words are no secrets."""
    assert list(shapes_in(text)) == []


@pytest.mark.parametrize(
    "text",
    ["", " ", "<password>", "${TOKEN}", "$(cat key)", "{{ .Values.key }}", "changeme", "CHANGE_ME", "your-token",
     "xxxxxxxx", "********", "REPLACE_ME", "ENC[AES256_GCM,data:x]", "vault:secret/data/x#y", "example-key", "...",
     "see README.md"],
)  # fmt: skip
def test_placeholders(text: str) -> None:
    """What holds a place, or is encrypted, is no secret."""
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["hunter2", "password", "correct-horse-battery", "p@$$w0rd", "aab"])
def test_no_placeholders(text: str) -> None:
    """A poor password is a password."""
    assert not is_placeholder(text)


def test_base64_hides_nothing() -> None:
    """What is encoded is looked at; what is no base64 is taken as it stands."""
    assert decoded(base64.b64encode(b"changeme").decode()) == "changeme"
    assert decoded("not base64!") == "not base64!"


MANIFESTS = """\
apiVersion: v1
kind: Secret
metadata:
  name: database
  labels: {app: shop}
data:
  password: aHVudGVyMg==
  more: |
    hunter2

    hunter3
type: Opaque
---
kind: ConfigMap
data:
  shown: yes
---
items:
- kind: Secret
  stringData: {password: hunter4}
---
items:
- kind: ManagedApplication
  spec:
    apiKeys:
    - title: first
      value: hunter5
    appId: shown
"""


def test_lines_of_a_secret_are_not_shown() -> None:
    """Of everything below data, stringData and apiKeys of what holds secrets only keys are shown; all else is whole."""
    shown = [Source(MANIFESTS.encode()).line(number) for number in range(1, MANIFESTS.count("\n") + 1)]
    assert "hunter" not in "\n".join(shown)
    assert "aHVudGVyMg" not in "\n".join(shown)
    assert shown[6] == f"  password: {HIDDEN}"
    kept = [line for line in MANIFESTS.splitlines() if "hunter" not in line and "aHVud" not in line]
    assert [line for line in kept if line not in shown] == ["  more: |", "    - title: first"]


def test_a_broken_secret_is_not_shown_either() -> None:
    """A file that is no YAML, with Windows line breaks, shows as little."""
    source = Source(b"kind: Secret\r\nstringData:\r\n\tpassword: hunter2\r\n  other: [hunter3\r\n")
    assert [source.line(3), source.line(4)] == [f"\tpassword: {HIDDEN}", f"  other: {HIDDEN}"]


def test_a_key_is_hidden_to_its_last_line() -> None:
    """Of a private key no line is shown, and what follows it is."""
    text = f"key: |\n{PEM}\nnext: 1"
    assert hidden_lines(text) == {2, 3, 4, 5}


def test_what_is_left_of_a_line() -> None:
    """Its key, so that people know where they are; an item or a loose line keeps nothing."""
    assert masked('  - "password": x') == f'  - "password": {HIDDEN}'
    assert masked("    hunter2").strip() == HIDDEN
    assert masked("") == ""


@pytest.mark.parametrize(
    "text",
    ["---\n" * 1_000_000, f"{TOKENS['an AWS access key']}\n" * 200_000, "-----BEGIN PRIVATE KEY-----\n" * 100_000,
     "-----BEGIN PRIVATE KEY-----\n" * 100_000 + "-----END", "-eyJaaaaaaaaaa" * 100_000],
    ids=["documents", "tokens", "keys without an end", "keys with one end", "the beginnings of a token"],
)  # fmt: skip
def test_hostile_files_are_looked_through_once(text: str) -> None:
    """Guards the time that a file of 8 MiB may take: one that is looked through for each of its lines never ends."""
    assert len(hidden_lines(text)) in (0, text.count("\n"), text.count("\n") + 1)
