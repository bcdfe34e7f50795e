"""`holdfast import` as people meet it: files that lint, what was left out, and mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Holdfast = Callable[..., tuple[int, str, str]]
ADDRESS = {"trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.2", "trsvcid": "4420"}
NQN = "nqn.2020-01.io.old:one"
UUID = "574a72aa-7964-44c2-86d7-bd6dbd7d8264"


def saved(folder: Path) -> Path:
    """What `rpc.py save_config` writes of a small target."""
    memory = {"name": "N1", "num_blocks": 32768, "block_size": 512, "uuid": UUID}
    key = {"name": "key0", "cipher": "AES_XTS", "key": "00112233445566778899aabbccddeeff", "key2": "0f" * 16}
    shown = {"nsid": 1, "bdev_name": "N1", "uuid": UUID, "nguid": UUID.replace("-", "").upper()}
    calls: dict[str, list[tuple[str, Any]]] = {
        "accel": [("accel_crypto_key_create", key)],
        "bdev": [("bdev_set_options", {}), ("bdev_null_create", memory), ("bdev_split_create", {"base_bdev": "N1"})],
        "nvmf": [
            ("nvmf_create_transport", {"trtype": "TCP", "max_queue_depth": 64}),
            ("nvmf_create_subsystem", {"nqn": NQN, "serial_number": "S1", "model_number": "M", "max_namespaces": 8}),
            ("nvmf_subsystem_add_host", {"nqn": NQN, "host": "nqn.2014-08.org.example:web"}),
            ("nvmf_subsystem_add_ns", {"nqn": NQN, "namespace": shown}),
            ("nvmf_subsystem_add_listener", {"nqn": NQN, "listen_address": ADDRESS}),
        ],
    }
    parts = [
        {"subsystem": name, "config": [{"method": method, "params": params} for method, params in made]}
        for name, made in calls.items()
    ]
    path = folder / "spdk.json"
    path.write_text(json.dumps({"subsystems": [*parts, {"subsystem": "nbd", "config": None}]}))
    return path


def test_a_saved_configuration_becomes_a_repository_that_lints(holdfast: Holdfast, tmp_path: Path) -> None:
    """Guards the way in without a target: every file is written, sound and commented; what is left out is said."""
    site = tmp_path / "site"
    code, out, err = holdfast("import", "--saved-config", str(saved(tmp_path)), "--name", "node-1", "--to", str(site))
    assert code == 0
    written = {Path(line).relative_to(site).as_posix() for line in out.splitlines()}
    assert written == {"nodes/node-1.yaml", "hosts/hosts.yaml", "default/subsystems.yaml"}
    assert "left out: bdev_split_create" in err
    assert "bdev_split_create" in (site / "nodes/node-1.yaml").read_text()
    assert "00112233" not in "".join(file.read_text() for file in site.rglob("*.yaml"))
    assert holdfast("lint", str(site))[0] == 0
    again = holdfast("import", "--saved-config", str(tmp_path / "spdk.json"), "--name", "node-1", "--to", str(site))
    assert (again[0], "never overwritten" in again[2]) == (3, True)


def test_what_is_no_saved_configuration_is_said(holdfast: Holdfast, tmp_path: Path) -> None:
    """Guards mistakes: another file, no JSON, no file; each with its name, and no traceback."""
    for text, words in (
        ("{", "not JSON"),
        ('{"subsystems": 1}', "not what save_config writes"),
        (None, "No such file"),
    ):
        path = tmp_path / "other.json"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        code, out, err = holdfast("import", "--saved-config", str(path), "--name", "node-1")
        assert (code in (2, 3), out, words in err, "other.json" in err) == (True, "", True, True)
