"""`init`, and `plan` and `apply` without a daemon."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable

from premises import Premises
from published import valid
from world import NQN, subsystem, volume

Holdfast = Callable[..., tuple[int, str, str]]
SHOP = [volume("a"), subsystem("s", {1: "a"})]


def test_init_mints_an_id_once(holdfast: Holdfast, site: Premises) -> None:
    """Guards the site's id, by which it knows its own: a second `init` shows the same, and only its owner reads it."""
    first = holdfast("init")
    assert first == holdfast("init")
    minted = (site.state / "site-id").read_text().strip()
    assert first == (0, f"site {minted} in {site.state}\n", "")
    assert json.loads(holdfast("init", "-o", "json")[1]) == {
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "Site", "site": minted, "state": str(site.state),
    }  # fmt: skip
    assert stat.S_IMODE(site.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((site.state / "site-id").stat().st_mode) == 0o600


def test_the_whole_way_without_a_daemon(holdfast: Holdfast, site: Premises) -> None:
    """Guards --standalone: what plan shows apply does, the second time there is nothing left, and stdout is JSON."""
    site.push(*SHOP)
    code, out, err = holdfast("plan", "--standalone", "--detailed-exitcode", "-o", "json")
    assert (code, err) == (10, "")
    planned = {step["id"] for step in valid("plan", out)["items"][0]["steps"]}
    code, out, err = holdfast("apply", "--standalone", "-o", "json")
    assert (code, err) == (0, "")
    assert {result["step"] for result in valid("ticks", out)["items"][0]["results"]} == planned
    assert f"{NQN}s" in {found["nqn"] for found in site.call("nvmf_get_subsystems")}
    code, out, err = holdfast("plan", "--standalone", "--detailed-exitcode")
    assert (code, out.splitlines()[0].endswith(": 0 steps, 0 held"), err) == (0, True, "")


def test_planning_writes_nothing(holdfast: Holdfast, site: Premises) -> None:
    """Guards looking: a plan changes nothing at the target, and the next apply still finds its news."""
    site.push(*SHOP)
    holdfast("plan", "--standalone")
    assert site.simulators["n1"].mutations == []
    assert "RevisionAccepted" not in holdfast("plan", "--standalone")[1]
    code, out, _ = holdfast("apply", "--standalone")
    assert (code, "  ok create subsystem" in out) == (0, True)


def test_only_one_target(holdfast: Holdfast, site: Premises) -> None:
    """Guards --target: a name that is not declared is refused, with those that are."""
    site.push(*SHOP)
    for verb in ("plan", "apply"):
        assert holdfast(verb, "--standalone", "--target", "n1")[0] == 0
        code, out, err = holdfast(verb, "--standalone", "--target", "n2")
        assert (code, out) == (3, "")
        assert err == f"holdfast {verb}: there is no target n2; there are: n1\n"


def test_a_repository_without_targets(holdfast: Holdfast, site: Premises) -> None:
    """Guards the empty site: it is well, and says why there is nothing to see."""
    site.forge.commit({"README.md": "soon"})
    assert holdfast("plan", "--standalone") == (0, "no targets are declared\n", "")
    assert holdfast("apply", "--standalone") == (0, "no targets are declared\n", "")
