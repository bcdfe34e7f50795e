"""`holdfast.toml` and `.holdfast.yaml`: every key is read, every mistake is told with its place, no secret is loose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import schemas
from analyzer.analyze import analyze
from analyzer.config import AnalyzerConfig
from analyzer.snapshot import POLICY_FILE, Blob, Snapshot, blob_id
from reconciler.config import Config, ConfigError, SourceConfig, load, read_secret, socket_of
from reconciler.policy import BUILT_IN, Policy, policy_of

SCHEMAS = Path(schemas.__file__).parent / "config"
URL = '[source]\nurl = "https://git.example.com/storage.git"\n'


def config(folder: Path, text: str) -> Config:
    file = folder / "holdfast.toml"
    file.write_text(text)
    return load(file)


def refusal(folder: Path, text: str | bytes) -> str:
    """The message, without the file's name."""
    file = folder / "holdfast.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert all(line.startswith(f"{file}:") for line in str(refused.value).splitlines())
    return str(refused.value).replace(f"{file}:", "")


# --- what is read


def test_what_is_not_said_is_built_in(tmp_path: Path) -> None:
    """Guards the defaults of operate.md: only the address of the repository has to be said."""
    assert config(tmp_path, URL) == Config(
        source=SourceConfig("https://git.example.com/storage.git", branch="main", path="", interval=60.0, timeout=30.0),
        state=Path("/var/lib/holdfast"),
        listen="unix:/var/lib/holdfast/http.sock",
        resync=30.0,
        watch=0.5,
        log_format="json",
    )


def test_every_key_is_read(tmp_path: Path) -> None:
    """Guards against a key that is accepted and forgotten."""
    text = """\
[source]
url = "ssh://git@git.example.com/storage.git"
branch = "live"
tag = "production"
path = "sites/berlin"
interval = "1h30m"
timeout = "250ms"
username = "holdfast"
passwordFrom = {file = "/etc/holdfast/token"}
sshKey = "/etc/holdfast/id_ed25519"
allowRewind = true
trustedRevision = "9fceb02d0ae598e95dc970b74767f19372d61af8"
[state]
dir = "/srv/state"
[serve]
listen = "127.0.0.1:8770"
webhookSecretFrom.file = "/etc/holdfast/hook"
[resync]
interval = "1d"
watch = "2s"
[log]
format = "text"
"""
    source = SourceConfig(
        "ssh://git@git.example.com/storage.git",
        branch="live",
        tag="production",
        path="sites/berlin",
        interval=5400.0,
        timeout=0.25,
        username="holdfast",
        password_file="/etc/holdfast/token",  # noqa: S106  # a path
        ssh_key="/etc/holdfast/id_ed25519",
        allow_rewind=True,
        trusted="9fceb02d0ae598e95dc970b74767f19372d61af8",
    )
    wanted = Config(source, Path("/srv/state"), "127.0.0.1:8770", "/etc/holdfast/hook", 86400.0, 2.0, "text")
    assert config(tmp_path, text) == wanted
    assert socket_of(wanted) == ""


def test_paths_are_meant_from_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards relative paths: it does not matter where the command is started."""
    monkeypatch.chdir("/")
    text = '[source]\nurl = "site.git"\n[state]\ndir = "state"\n[serve]\nlisten = "unix:run/http.sock"\n'
    found = config(tmp_path, text)
    assert found.source.url == str(tmp_path / "site.git")
    assert found.state == tmp_path / "state"
    assert socket_of(found) == str(tmp_path / "run/http.sock")


@pytest.mark.parametrize(
    "url", ["file:///srv/site.git", "git@git.example.com:storage.git", "https://[::1]/a.git", "/srv/site.git"]
)
def test_addresses_stay_as_they_are(tmp_path: Path, url: str) -> None:
    """Guards addresses: what is no relative path is handed to Git untouched."""
    assert config(tmp_path, f'[source]\nurl = "{url}"\n').source.url == url


# --- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1"),
        ("[sourc]\nurl = 'a'\n", ':1:2: sourc: unknown field "sourc"; did you mean "source"?'),
        (
            f"{URL}  intervall = '5s'\n",
            ':3:3: source.intervall: unknown field "intervall"; did you mean "interval"?',
        ),
        (f"{URL}interval = 60\n", ':3:1: source.interval: 60 is not a string, such as "60s"'),
        (f"{URL}allowRewind = 'yes'\n", ':3:1: source.allowRewind: "yes" is not true or false, such as false'),
        (f"{URL}branch = ''\n", ':3:1: source.branch: "" is shorter than 1 characters'),
        ("source = 'here'\n", ':1:1: source: "here" is not a mapping'),
        ("[[source]]\nurl = 'a'\n", ':1:3: source: [{"url": "a"}] is not a mapping'),
        (f"{URL}passwordFrom = {{fil = '/a'}}\n", ':3:1: source.passwordFrom.fil: unknown field "fil"'),
        (f"{URL}passwordFrom.file = 'a'\n", ':3:1: source.passwordFrom.file: "a" is not an absolute path'),
        (f"{URL}sshKey = 'id_rsa'\n", ':3:1: source.sshKey: "id_rsa" is not an absolute path'),
        (f"{URL}[ log ] # loud\nformat = 'xml'\n", ':4:1: log.format: "xml" is not one of json, text'),
        (f"{URL}[serve]\nlisten = '0.0.0.0:80'\n", ':4:1: serve.listen: "0.0.0.0:80" is not unix:PATH or a loopback'),
        (f"{URL}[serve]\nlisten = 'localhost:0'\n", ":4:1: serve.listen: "),
        (f"{URL}[serve]\nlisten = 'localhost:65536'\n", ":4:1: serve.listen: "),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """Guards against hunting: line, column, key, what is wrong, and what was probably meant."""
    expected = ' top level: "source" is missing' if message == "1" else message.removeprefix(":")
    assert expected in refusal(tmp_path, text)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Guards against one round for each mistake: a line for each of them."""
    assert refusal(tmp_path, "[source]\nurl = 1\n[logs]\n[log]\nformat = 'x'\n").count("\n") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[source]\nurl = \n", "2:7: Invalid value"),
        (f"{URL}branch 'main'\n", "3:8: Expected '=' after a key in a key/value pair"),
        (f"{URL}{URL}", "3:8: Cannot declare ('source',) twice"),
        ("[source", " Expected ']' at the end of a table declaration (at end of document)"),
        (b"[source]\nurl = '\xff'\n", " not UTF-8: "),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    """Guards broken files: line and column where they are known, and never a traceback."""
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize(("name", "message"), [("nowhere.toml", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    """Guards what is not there: the path and the system's word for it."""
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("written", "seconds"), [("10ms", 0.01), ("60s", 60.0), ("5m", 300.0), ("1h30m", 5400.0), ("7d", 604800.0)]
)
def test_forms_of_durations(tmp_path: Path, written: str, seconds: float) -> None:
    """Guards durations: every unit, and several together."""
    assert config(tmp_path, f"{URL}interval = '{written}'\n").source.interval == seconds


@pytest.mark.parametrize("key", ["source.interval", "source.timeout", "resync.interval", "resync.watch"])
@pytest.mark.parametrize("written", ["60", "1.5s", "-1s", "5 s", "0s", "1ms", "8d", f"{'9' * 400}d"])
def test_durations_that_would_stall_or_spin_are_refused(tmp_path: Path, key: str, written: str) -> None:
    """Guards the daemon's rhythm: 0s would spin, or wait for a silent remote for ever; ages overflow a calendar."""
    table, _, name = key.partition(".")
    text = f"source.url = 'a'\n{table}.{name} = '{written}'\n"
    assert refusal(tmp_path, text).startswith(f"2:1: {key}: ")
    assert "a duration from 10ms to 7d, such as" in refusal(tmp_path, text)


@pytest.mark.parametrize("url", ["https://me:swordfish@git.example.com/a.git", "ssh://git:swordfish@host/a.git"])
def test_a_password_in_the_address_is_refused(tmp_path: Path, url: str) -> None:
    """Guards against passwords in logs and on the page; the refusal does not show it either."""
    message = refusal(tmp_path, f"[source]\nurl = '{url}'\n")
    assert message.startswith("2:1: source.url: a password in the URL would show")
    assert "swordfish" not in message


def test_an_address_that_is_none(tmp_path: Path) -> None:
    """Guards against a traceback for what only looks like a URL."""
    assert refusal(tmp_path, "[source]\nurl = 'https://[::1/a.git'\n") == "2:1: source.url: Invalid IPv6 URL"


# --- secrets


def test_a_secret_is_the_first_line(tmp_path: Path) -> None:
    """Guards secrets: editors add a newline, people a remark below."""
    file = tmp_path / "secret"
    file.write_text(" swordfish \nfrom the vault\n")
    file.chmod(0o600)
    assert read_secret(str(file)) == "swordfish"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o677])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Guards secrets on the disk: like ssh, Holdfast does not use one that is no secret."""
    file = tmp_path / "secret"
    file.write_text("swordfish")
    file.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        read_secret(str(file))
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \nswordfish\n", b"\xff\xfe"])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """Guards against an empty secret, which everybody knows, and against a traceback for bytes."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="secret"):
        read_secret(str(file))


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    """Guards a wrong path: it is named."""
    with pytest.raises(ConfigError, match="nowhere: the secret cannot be read: No such file"):
        read_secret(str(tmp_path / "nowhere"))


# --- schema, documentation and reader agree


def keys(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield (*path, name), child
        yield from keys(child, (*path, name))


def schema_of(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return found


DAEMON = dict(keys(schema_of("daemon")))
POLICY = dict(keys(schema_of("policy")))
LEAVES = {
    "daemon": [path for path, schema in DAEMON.items() if "properties" not in schema],
    "policy": [path for path, schema in POLICY.items() if "properties" not in schema],
}


@pytest.mark.parametrize("name", [path.name.partition(".")[0] for path in sorted(SCHEMAS.iterdir())])
def test_every_key_is_documented(name: str) -> None:
    """Guards `explain` and the reader of the schema: each key says what it is, each value is shown by an example."""
    for path, schema in keys(schema_of(name)):
        assert schema["description"].endswith("."), path
        assert schema.get("examples") or "properties" in schema, path
        if "default" in schema and "enum" in schema:
            assert schema["default"] in schema["enum"], path


def other(schema: Mapping[str, Any], example: Any) -> Any:
    """A valid value that is neither the default nor the example."""
    if "enum" in schema:
        return next((value for value in schema["enum"] if value != schema.get("default")), None)
    if schema["type"] == "boolean":
        return not schema["default"]
    if schema["type"] == "array":
        return ["other"]
    if schema["type"] == "integer":
        return schema["default"] + 1
    return {"duration": "11m", "interval": "11m"}.get(schema.get("x-format", ""), f"{str(example)[:-1]}1")


@pytest.mark.parametrize("path", LEAVES["daemon"], ids=".".join)
def test_every_key_of_the_daemons_file_has_an_effect(tmp_path: Path, path: tuple[str, ...]) -> None:
    """Guards the schema against keys that nobody reads: another value gives another configuration."""
    schema = DAEMON[path]
    changed = config(tmp_path, f"{'.'.join(path)} = {json.dumps(other(schema, schema['examples'][0]))}\n" + (
        "" if path == ("source", "url") else "source.url = 'a'\n"
    ))  # fmt: skip
    assert changed != config(tmp_path, "source.url = 'a'\n")


def policy(settings: Mapping[str, Any]) -> AnalyzerConfig:
    files = {POLICY_FILE: json.dumps(settings).encode(), "crds/example.com/widget_v1.yaml": b"type: object"}
    blobs = {path: Blob(path, blob_id(data), data) for path, data in files.items()}
    report = analyze(Snapshot("", blobs), as_of=_today())
    assert not report.policy_is_broken, [finding.message for finding in report.findings]
    return report.config


def _today() -> Any:
    from datetime import date  # noqa: PLC0415  # beside its only use

    return date(2026, 11, 21)


@pytest.mark.parametrize("path", LEAVES["policy"], ids=".".join)
def test_every_key_of_the_policy_has_an_effect(path: tuple[str, ...]) -> None:
    """Guards the schema against keys that nobody reads: another value gives another policy, or another analysis."""
    schema = POLICY[path]
    example = schema["examples"][0]
    value = example if schema.get("type") == "array" else other(schema, example)
    if value is None:  # a severity that cannot be another
        return
    settings: Any = value
    for name in reversed(path):
        settings = {name: settings}
    found = policy(settings)
    assert policy_of(found.settings) != BUILT_IN or replace(found, settings={}) != AnalyzerConfig(settings={})


def test_the_built_in_policy_is_the_documented_one() -> None:
    """Guards two copies of one fact: the schema's defaults are what holds when nothing is said."""
    defaults: dict[str, Any] = {}
    for path, schema in POLICY.items():
        if "properties" not in schema and path[0] in ("budget", "driftBudget", "contested", "driftPolicy"):
            here = defaults
            for name in path[:-1]:
                here = here.setdefault(name, {})
            here[path[-1]] = schema["default"]
    assert policy_of(defaults) == BUILT_IN
    assert policy_of({}) == BUILT_IN
    assert BUILT_IN.budget.disruptive == 1
    assert BUILT_IN.budget.data_losing == 0


def test_a_policy_survives_the_ledger() -> None:
    """Guards the policy in force, which is kept as JSON with its revision: it comes back as it went."""
    settings = {
        "budget": {"window": "90s", "disruptiveSubsystems": 3, "dataLosingResources": 2},
        "driftBudget": {"window": "1500ms", "disruptiveSubsystems": 4},
        "contested": {"corrections": 7, "within": "500ms"},
        "driftPolicy": "warn",
    }
    made: Policy = policy_of(settings)
    kept: Any = made.to_json()
    assert policy_of(kept) == made
