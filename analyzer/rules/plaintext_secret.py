from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from analyzer.composer import Place
from analyzer.finding import Severity
from analyzer.manifest import Declaration
from analyzer.rule import File, FileRule, Hit
from analyzer.secrecy import Shape, decoded, is_placeholder, may_have_shapes, shapes_in
from schemas.loose import items, mapping
from schemas.validation import Path

ADVICE = (
    "take it out of the repository and out of use: whoever has a copy has it, also of older commits. "
    "Keep it in a secret store, or encrypt it (SOPS, SealedSecret)"
)
# Keys of a Secret that say whose it is or where it counts, and public halves.
NOT_SECRET = frozenset(
    (
        "bucket",
        "database",
        "dbname",
        "endpoint",
        "host",
        "hostname",
        "login",
        "name",
        "port",
        "project",
        "region",
        "server",
        "type",
        "user",
        "username",
    )
)
_AUTHORITIES = frozenset(("ca", "ca.pem", "cabundle", "ca-bundle", "ca-bundle.crt", "tls.ca"))
_PUBLIC = ("-----BEGIN CERTIFICATE", "-----BEGIN PUBLIC KEY", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-")
_SETTINGS = (".cfg", ".conf", ".config", ".ini", ".json", ".properties", ".toml", ".xml", ".yaml", ".yml")
_CREDENTIAL = re.compile(r"pass|pwd|secret|token|credential|private|key|auth|://[^/\s]*@", re.IGNORECASE)
HASH_LENGTH = 128  # hexadecimal digits of a key's SHAKE-256 hash


class Found(NamedTuple):
    """Where a secret is, what it is, and how bad that is if worse than usual."""

    path: Path
    what: str
    severity: Severity | None = None


def check(file: File) -> Iterator[Hit]:
    shaped = {place.line: (place, what) for place, what in _shaped(file)}
    for place, what in shaped.values():
        yield Hit(file.at(place), f"{what} in plain text", help=ADVICE, severity=Severity.ERROR)
    for declaration in file.declarations:
        for path, what, severity in _declared(declaration):
            location = declaration.position_of(path)
            if location.line not in shaped:
                yield Hit(location, what, declaration.subject, path, help=ADVICE, severity=severity)


def _shaped(file: File) -> Iterator[tuple[Place, str]]:
    """What gives itself away, wherever it stands: also in comments, and in what is no manifest."""
    if may_have_shapes(file.source.data):
        text = file.source.text
        yield from ((_place(text, shape), shape.what) for shape in sorted(shapes_in(text), reverse=True))


def _place(text: str, shape: Shape) -> Place:
    before = text[: shape.start]
    return Place(before.count("\n") + 1, shape.start - (before.rfind("\n") + 1) + 1)


def _declared(declaration: Declaration) -> Iterator[Found]:
    """Where a manifest of a kind that holds secrets has one in plain text, and what that is."""
    value: Any = declaration.document.value
    if not isinstance(value, dict) or "sops" in value:
        return
    group = declaration.api_version.partition("/")[0]
    match declaration.kind_name:
        case "Secret" if declaration.api_version == "v1":
            yield from _of_secret(value)
        case "ManagedApplication" if group == "hub.traefik.io":
            yield from _of_application(value)
        case "AccessControlPolicy" if group == "hub.traefik.io":
            yield from _of_policy(value)
        case "Kustomization" | "Component" if group == "kustomize.config.k8s.io":
            yield from _of_generators(value)


def _of_secret(secret: Mapping[str, Any]) -> Iterator[Found]:
    values = [
        (block, key, decode(value))
        for block, decode in (("data", decoded), ("stringData", str))
        for key, value in mapping(secret.get(block)).items()
        if isinstance(value, str) and _is_secret(key, decode(value))
    ]
    encoded = ", in base64, which hides nothing"
    for block, key, text in values:
        if block == "data" and (shape := next(shapes_in(text), None)):
            yield Found((block, key), f"{shape.what} in plain text{encoded}", Severity.ERROR)
            return
    if values:
        keys = ", ".join(key for _, key, _ in values)
        hidden = encoded if all(block == "data" for block, *_ in values) else ""
        yield Found(values[0][:2], f"{keys}: in plain text{hidden}")


def _is_secret(key: str, text: str) -> bool:
    name = key.lower()
    about = name in NOT_SECRET or (name == "url" and "@" not in text)
    public = name in _AUTHORITIES or key.endswith((".crt", ".pub")) or text.startswith(_PUBLIC)
    settings = "\n" in text and name.endswith(_SETTINGS) and not _CREDENTIAL.search(text)
    return not (about or public or settings or is_placeholder(text) or is_placeholder(decoded(text)))


def _of_application(application: Mapping[str, Any]) -> Iterator[Found]:
    for index, key in enumerate(items(mapping(application.get("spec")).get("apiKeys"))):
        value = mapping(key).get("value")
        if isinstance(value, str) and not (is_placeholder(value) or _is_hash(value)):
            path = ("spec", "apiKeys", index, "value")
            yield Found(path, "an API key in plain text; name a Secret in secretName instead")


def _of_policy(policy: Mapping[str, Any]) -> Iterator[Found]:
    secret = mapping(mapping(policy.get("spec")).get("jwt")).get("signingSecret")
    if isinstance(secret, str) and not is_placeholder(secret):
        yield Found(("spec", "jwt", "signingSecret"), "the key that signs tokens, in plain text")


def _of_generators(kustomization: Mapping[str, Any]) -> Iterator[Found]:
    for index, generator in enumerate(items(kustomization.get("secretGenerator"))):
        for at, literal in enumerate(items(mapping(generator).get("literals"))):
            key, _, value = str(literal).partition("=")
            if _is_secret(key, value):
                yield Found(("secretGenerator", index, "literals", at), f"{key}: in plain text")


def _is_hash(value: str) -> bool:
    return len(value) == HASH_LENGTH and all(digit in "0123456789abcdefABCDEF" for digit in value)


RULE = FileRule("plaintext-secret", Severity.WARNING, check)
