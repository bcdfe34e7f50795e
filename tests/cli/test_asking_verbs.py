"""The verbs that ask the daemon: what they print for people and for programs, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from premises import Premises, settle
from published import valid
from world import GENEROUS, NQN, manifest, removal, subsystem, volume

from reconciler.daemon import Daemon

Holdfast = Callable[..., tuple[int, str, str]]
SHOP = [volume("a"), volume("b"), subsystem("s", {1: "a"}), subsystem("t", {1: "b"})]
FRUGAL = {"budget": {"disruptiveSubsystems": 0}}


@pytest.fixture
def daemon(site: Premises) -> Iterator[Daemon]:
    """A daemon that answers, and has not looked at its repository yet."""
    with site.daemon() as running:
        yield running


@pytest.fixture
def shop(site: Premises, daemon: Daemon) -> str:
    """A repository that has converged; its revision."""
    revision = site.push(*SHOP)
    settle(daemon)
    return revision


@pytest.fixture
def held(site: Premises, daemon: Daemon) -> str:
    """A subsystem is to go, and a budget of none holds that back; the approval id."""
    site.push(*SHOP, policy=FRUGAL)
    settle(daemon)
    site.push(*SHOP[:3], policy=FRUGAL)
    settle(daemon)
    waits: str = daemon.status()["targets"][0]["approvalID"]
    assert waits
    return waits


def answer(holdfast: Holdfast, *words: str) -> tuple[int, Any]:
    """Exit code and the JSON on stdout: exactly one document, and as its schema says; stderr is empty."""
    code, out, err = holdfast(*words, "-o", "json")
    assert err == ""
    published = {"apply": "ticks", "events": "events", "drift": "drift", "plan": "plan", "status": "status"}
    return code, valid(published[words[0]], out) if words[0] in published else json.loads(out)


def narrow(text: str) -> bool:
    """Whether every line fits 80 columns, or is one word that cannot be broken."""
    return all(len(line) <= 80 or len(line.split()) == 1 for line in text.splitlines())


# --- status


def test_status_of_what_is_well(holdfast: Holdfast, shop: str) -> None:
    """Guards the answer that all hope for: what is enforced, every resource with its uid, exit code 0."""
    code, out, err = holdfast("status")
    assert (code, err) == (0, "")
    assert f"converged  {shop}" in out.splitlines()
    assert "n1  converged  (seen " in out
    assert out.count("\n  ok  Volume team/") == 2
    assert narrow(out)


def test_status_before_the_first_look(holdfast: Holdfast, daemon: Daemon) -> None:
    """Guards the first minute: nothing is known yet, and that is no failure."""
    code, out, _ = holdfast("status")
    assert code == 0
    assert {"           not read yet", "accepted   none yet", "converged  never"} <= set(out.splitlines())


def test_status_follows_its_schema(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards programs that read it: before the first look, well, held back, rejected, and out of reach."""
    seen = [valid("status", holdfast("status", "-o", "json")[1])]
    site.push(*SHOP, policy=FRUGAL)
    settle(daemon)
    seen.append(valid("status", holdfast("status", "-o", "json")[1]))
    site.push(*SHOP[:3], policy=FRUGAL)
    settle(daemon)
    seen.append(valid("status", holdfast("status", "-o", "json")[1]))
    site.forge.commit("a: [")
    site.simulators["n1"].stop()
    settle(daemon)
    seen.append(valid("status", holdfast("status", "-o", "json")[1]))
    site.simulators["n1"].start()
    verdicts = [[target["verdict"] for target in status["targets"]] for status in seen]
    assert verdicts == [[], ["converged"], ["held"], ["unreachable"]]
    assert seen[2]["targets"][0]["held"][0]["approvable"]
    assert [finding["rule"] for finding in seen[3]["revision"]["rejected"]["findings"]] == ["invalid-yaml"]


def test_status_tells_why_a_resource_is_not_as_declared(holdfast: Holdfast, shop: str, site: Premises) -> None:
    """Guards the person who has to act: the reason and the words stand below the resource."""
    with_less = [volume("b"), subsystem("s", {}), subsystem("t", {1: "b"})]
    site.push(*with_less)
    holdfast("apply")
    holdfast("apply")
    code, out, _ = holdfast("status")
    assert code == 0
    lines = out.splitlines()
    place = next(n for n, line in enumerate(lines) if " Volume team/a " in line)
    assert lines[place + 1].startswith("      Retained: ")
    assert narrow(out)


# --- plan, apply, approve


def test_plan_before_and_after(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards --detailed-exitcode: 10 while there is something to do, 0 after it was done."""
    site.push(*SHOP)
    daemon.poll()
    code, out, err = holdfast("plan", "--detailed-exitcode")
    assert (code, err) == (10, "")
    assert "  + subsystem nqn.2026-01.com.example:s\n      Subsystem team/s: the subsystem is new\n" in out
    assert narrow(out)
    assert holdfast("plan")[0] == 0
    settle(daemon)
    assert holdfast("plan", "--detailed-exitcode")[0] == 0


def test_plan_follows_its_schema(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards programs that read it: steps, drift, what is held, what a commit has wrong, and a target out of reach."""
    site.push(*SHOP, policy=FRUGAL)
    daemon.poll()
    new = valid("plan", holdfast("plan", "-o", "json")[1])
    assert {step["action"] for step in new["items"][0]["steps"]} == {"create"}
    settle(daemon)
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 1})
    site.push(*SHOP[:3], policy=FRUGAL)
    daemon.poll()
    site.forge.commit("a: [")
    daemon.poll()
    code, out, _ = holdfast("plan", "-o", "json")
    strayed = valid("plan", out)
    [item] = strayed["items"]
    assert [drift["class"] for drift in item["drift"]] == ["Missing"]
    assert item["approvalID"] in holdfast("plan")[1]
    assert strayed["rejected"]["findings"]
    assert code == 4
    site.simulators["n1"].stop()
    code, out, _ = holdfast("plan", "-o", "json")
    site.simulators["n1"].start()
    assert code == 3
    [unread] = valid("plan", out)["items"]
    assert unread["error"].startswith(f"{site.folder}/n1.sock: ")


def test_apply_is_one_tick(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards apply: it fetches, carries out, says each step, and finds nothing to do the second time."""
    site.push(*SHOP)
    code, out, err = holdfast("apply")
    assert (code, err) == (0, "")
    assert "  ok create subsystem nqn.2026-01.com.example:s\n" in out
    assert set(_exports(site)) == {f"{NQN}s", f"{NQN}t"}
    before = len(site.simulators["n1"].mutations)
    code, found = answer(holdfast, "apply")
    assert (code, found["kind"], [tick["results"] for tick in found["items"]]) == (0, "TickList", [[]])
    assert len(site.simulators["n1"].mutations) == before


def test_what_is_held_is_let_through_by_its_id(holdfast: Holdfast, held: str, site: Premises) -> None:
    """Guards the way of a held change: exit code 4 everywhere, the command to type, and it is done once approved."""
    for verb in ("plan", "status", "apply"):
        code, out, _ = holdfast(verb)
        assert code == 4, verb
        assert narrow(out)
    assert f"  to let this through: holdfast approve {held}\n" in holdfast("plan")[1]
    assert holdfast("approve", held) == (0, f"approved {held}; it holds for 24 hours and is used once\n", "")
    assert holdfast("apply")[0] == 0
    assert set(_exports(site)) == {f"{NQN}s"}


def test_approving_what_nobody_holds(holdfast: Holdfast, held: str, site: Premises) -> None:
    """Guards a slip in the id: it is refused, and nothing goes through."""
    code, out, err = holdfast("approve", "A-00000000000000000000000000000000")
    assert (code, out) == (3, "")
    assert err.startswith("holdfast approve: nothing waits for approval A-00000000000000000000000000000000; ")
    assert answer(holdfast, "approve", held) == (
        0, {"apiVersion": "holdfast.dev/v1alpha1", "kind": "Approval", "id": held},
    )  # fmt: skip


def test_a_commit_that_does_not_pass(holdfast: Holdfast, shop: str, site: Premises) -> None:
    """Guards exit code 1: what is wrong and where is said by each verb, and what runs goes on."""
    site.forge.commit("a: [")
    for verb in ("apply", "plan", "status"):
        code, out, err = holdfast(verb)
        assert (code, err) == (1, "")
        assert "site.yaml:2:1: " in " ".join(out.split())
        assert "[invalid-yaml]" in out
        assert narrow(out)
    assert set(_exports(site)) == {f"{NQN}s", f"{NQN}t"}


def test_no_commit_that_passes(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards the first commit: where none has passed there is nothing to plan, and the message says what is wrong."""
    site.forge.commit("a: [")
    daemon.poll()
    for verb in ("plan", "apply"):
        code, out, err = holdfast(verb)
        assert (code, out) == (1, "")
        assert err.startswith(f"holdfast {verb}: no revision is accepted yet: RevisionRejected: site.yaml:2:1: ")


def test_a_repository_that_is_gone(holdfast: Holdfast, shop: str, site: Premises) -> None:
    """Guards exit code 3: the last good revision goes on, and that it may be old is said."""
    with site.forge.gone():
        code, out, err = holdfast("apply")
        assert (code, err) == (3, "")
        assert "the repository cannot be read: " in out
        assert "n1: converged" in out
        assert holdfast("status")[0] == 3


def test_a_target_that_is_not_declared(holdfast: Holdfast, shop: str) -> None:
    """Guards a slip in --target: an empty answer would read as if all were well."""
    for words in (["plan"], ["apply"], ["events"], ["drift", "--detailed-exitcode"]):
        code, out, err = holdfast(*words, "--target", "n2")
        assert (code, out) == (3, ""), words
        assert err == f"holdfast {words[0]}: there is no target n2; there are: n1\n"


# --- events, drift, import


def test_events_oldest_first(holdfast: Holdfast, shop: str) -> None:
    """Guards the timeline: the newest stands above the prompt, --limit counts from there, JSON has the same."""
    code, out, err = holdfast("events")
    assert (code, err) == (0, "")
    assert " RevisionAccepted site: " in out.splitlines()[0]
    assert " Converged site: " in out.splitlines()[-1]
    assert narrow(out)
    [line] = holdfast("events", "--limit", "1")[1].splitlines()
    assert line == out.splitlines()[-1]
    assert answer(holdfast, "events")[1]["items"][0]["reason"] == "Converged"
    _, found = answer(holdfast, "events", "--limit", "1", "--target", "n1")
    assert (found["kind"], [event["target"] for event in found["items"]]) == ("EventList", ["n1"])


def test_no_events(holdfast: Holdfast, daemon: Daemon) -> None:
    """Guards the first minute: that there is nothing is said."""
    assert holdfast("events") == (0, "no events\n", "")
    assert holdfast("drift") == (0, "no drift\n", "")


def test_drift_open_and_closed(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards the record of drift: want and have while it is open (10 for scripts), and how long it took."""
    site.push(*SHOP, policy=GENEROUS | {"driftPolicy": "warn"})
    settle(daemon)
    site.call("nvmf_subsystem_remove_ns", {"nqn": f"{NQN}s", "nsid": 1})
    settle(daemon)
    code, out, err = holdfast("drift", "--open", "--detailed-exitcode")
    assert (code, err) == (10, "")
    assert "Missing on n1: Subsystem team/s (OPEN, Warned)" in " ".join(out.split())
    assert narrow(out)
    assert holdfast("drift")[0] == 0
    site.push(*SHOP)
    settle(daemon)
    assert holdfast("drift", "--open", "--detailed-exitcode") == (0, "no drift\n", "")
    code, found = answer(holdfast, "drift")
    assert (code, found["kind"]) == (0, "DriftList")
    assert [drift["class"] for drift in found["items"] if drift["closed"]] == ["Missing"]


def test_import_after_the_ledger_was_lost(holdfast: Holdfast, site: Premises) -> None:
    """Guards recovery: without a ledger nothing of ours is touched; once confirmed, the same bytes are ours again."""
    site.push(volume("a"), subsystem("s", {1: "a"}))
    with site.daemon() as daemon:
        settle(daemon)
    before = _exports(site)
    for path in site.state.glob("holdfast.db*"):
        path.unlink()
    with site.daemon() as daemon:
        settle(daemon)
        assert holdfast("status")[0] == 4
        code, found = answer(holdfast, "import", "--confirm")
        assert (code, found["kind"], found["recovered"]) == (0, "Recovery", {"n1": 2})
        settle(daemon)
        assert holdfast("status")[0] == 0
        assert holdfast("import", "--confirm") == (0, "n1: 0 object(s) taken into the ledger\n", "")
    assert _exports(site) == before


def test_a_removal_that_was_honoured_stays_so(holdfast: Holdfast, shop: str, site: Premises) -> None:
    """Guards exit code 4 for what only a person can mend: bytes that are gone are missed, not made anew."""
    site.push(volume("b", reclaimPolicy="Delete"), *SHOP[::3], subsystem("s", {}), SHOP[0])
    holdfast("apply")
    uid = next(v["uid"] for v in answer(holdfast, "status")[1]["targets"][0]["resources"] if v["name"] == "b")
    site.push(SHOP[0], subsystem("s", {}), subsystem("t", {}), removal("b", uid))
    for _ in range(3):
        holdfast("apply")
    site.push(SHOP[0], subsystem("s", {}), subsystem("t", {}), volume("b"))
    holdfast("apply")
    code, out, _ = holdfast("status")
    assert code == 4
    assert "NO  Volume team/b" in out
    assert "      DataMissing: " in out


def _exports(site: Premises) -> dict[str, Any]:
    """Namespaces by NQN, as the target shows them."""
    found = site.call("nvmf_get_subsystems")
    return {s["nqn"]: s["namespaces"] for s in found if s["subtype"] == "NVMe"}


def test_status_tells_of_tasks_and_schedules(holdfast: Holdfast, daemon: Daemon, site: Premises) -> None:
    """Guards what takes long and what runs by the clock: for people and for programs, and as the schema says."""
    labelled = volume("a") | {"metadata": {"name": "a", "namespace": "team", "labels": {"backup": "yes"}}}
    spec = {"selector": {"matchLabels": {"backup": "yes"}}, "cron": "0 2 * * *", "retain": {"daily": 7}}
    yearly = manifest("SnapshotSchedule", "nightly", spec, "team")
    site.push(labelled, yearly)
    settle(daemon)
    site.push(labelled | {"spec": labelled["spec"] | {"thin": False}}, yearly)
    settle(daemon)
    code, out, _ = holdfast("status")
    assert (code, narrow(out)) == (0, True)
    assert "  task  inflate Volume team/a: done" in out
    assert "  runs  SnapshotSchedule team/nightly: 0 snapshots of 1 volume, last never" in out
    target = valid("status", holdfast("status", "-o", "json")[1])["targets"][0]
    assert [(task["kind"], task["state"], task["percent"]) for task in target["tasks"]] == [("inflate", "done", 100)]
    assert [schedule["next"][11:] for schedule in target["schedules"]] == ["02:00:00Z"]


# --- usage


def test_usage_and_what_a_change_would_take(
    holdfast: Holdfast, site: Premises, shop: str, daemon: Daemon, tmp_path: Path
) -> None:
    """Guards --live: from the daemon, and from what it wrote into a file, a change names the hosts that lose a path."""
    guest = f"{NQN}host-guest"
    allowed = [manifest("Host", "guest", {"nqn": guest, "allowedNamespaces": ["team"]})]
    exported = subsystem("s", {1: "a"}, hosts=["guest"])
    before = site.push(*allowed, *SHOP[:2], exported, SHOP[3])
    settle(daemon)
    site.simulators["n1"].connect(f"{NQN}s", guest, ("127.0.0.2", 4420))
    after = site.push(*allowed, *SHOP[:2], SHOP[3])

    shown = holdfast("usage")
    assert shown[0] == 0
    assert f"    {guest}  TCP:127.0.0.2:4420" in shown[1].splitlines()
    assert "    nobody" in shown[1].splitlines()
    saved = tmp_path / "usage.json"
    saved.write_text(holdfast("usage", "-o", "json")[1])
    valid("usage", saved.read_text())

    words = ("impact", f"{before}..{after}", "--repo", site.forge.path, "--live")
    expected = {"host": guest, "loses": ["n1/TCP:127.0.0.2:4420"], "keeps": [], "namespaces": []}
    for place in (saved, f"unix:{site.folder / 'http.sock'}"):
        found = valid("impact", holdfast(*words, place, "-o", "json")[1])
        (loss,) = found["live"]["losses"]
        assert loss.items() >= expected.items()
        assert found["live"]["connectedHosts"] == 1
    assert "which is all it has" in " ".join(holdfast(*words, saved)[1].split())


def test_the_approval_that_a_pull_request_would_need(
    holdfast: Holdfast, site: Premises, shop: str, daemon: Daemon, tmp_path: Path
) -> None:
    """Guards the id before and after: what impact prints of a branch is what the daemon asks for once it is merged."""
    guest = f"{NQN}host-guest"
    allowed = [manifest("Host", "guest", {"nqn": guest, "allowedNamespaces": ["team"]})]
    before = site.push(*allowed, *SHOP[:2], subsystem("s", {1: "a"}, hosts=["guest"]), SHOP[3])
    settle(daemon)
    site.simulators["n1"].connect(f"{NQN}s", guest, ("127.0.0.2", 4420))
    after = site.push(*allowed, *SHOP[:2], SHOP[3])
    words = ("impact", f"{before}..{after}", "--repo", site.forge.path, "-o", "json", "--live")

    blind = json.loads(holdfast(*words[:-1])[1])["verdict"]
    assert (blind["outcome"], [p["code"] for p in blind["provisos"]]) == ("pass", ["HostsConnected", "BudgetExceeded"])
    code, out, _ = holdfast(*words, f"unix:{site.folder / 'http.sock'}")
    told = valid("impact", out)["verdict"]
    assert (code, told["outcome"], [r["code"] for r in told["reasons"]]) == (4, "needs-approval", ["HostsConnected"])
    saved = tmp_path / "usage.json"
    saved.write_text(holdfast("usage", "-o", "json", "--revision", after)[1])
    valid("usage", saved.read_text())
    assert valid("impact", holdfast(*words, saved)[1])["verdict"] == told
    assert [row["connected"] for answer in json.loads(out)["access"] for row in answer["rows"]] == [True]
    assert daemon.gate.desired
    assert daemon.gate.desired.revision == before

    settle(daemon)
    (plan,) = valid("plan", holdfast("plan", "-o", "json")[1])["items"]
    assert told["approvals"] == [{"target": "n1", "id": plan["approvalID"]}]
    assert f"holdfast approve {plan['approvalID']}" in holdfast("usage", "--revision", after)[1]


def test_what_is_not_rehearsed(holdfast: Holdfast, site: Premises, shop: str, daemon: Daemon) -> None:
    """Guards the daemon against what nobody has reviewed: no place is asked that no accepted revision names."""
    settle(daemon)
    elsewhere = manifest("Target", "n2", {"connection": {"unixSocket": str(site.folder / "other.sock")}})
    named = site.push(*SHOP, elsewhere)
    assert "nobody is asked" in " ".join(holdfast("usage", "--revision", named)[1].split())
    assert "no branch is at 000000000000" in " ".join(holdfast("usage", "--revision", "0" * 40)[1].split())
    assert holdfast("usage", "--revision", "HEAD")[0] == 3
    broken = site.push(*SHOP, manifest("Volume", "x", {"poolRef": "nope", "size": "1Gi"}, "team"))
    assert "would not be accepted" in " ".join(holdfast("usage", "--revision", broken)[1].split())


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("nowhere.json", 3, "--live nowhere.json: No such file"),
        ("site.git/config", 3, "not JSON"),
        ("unix:/nowhere.sock", 3, "the daemon does not answer on unix:/nowhere.sock"),
        ("https://example.com", 2, "plain HTTP"),
    ],
)
def test_a_place_without_live_data(  # noqa: PLR0913, PLR0917  # a table of cases
    holdfast: Holdfast, site: Premises, shop: str, place: str, code: int, message: str
) -> None:
    """Guards --live: nobody to ask is an error, never nobody connected."""
    found, out, err = holdfast("impact", f"{shop}..{shop}", "--repo", site.forge.path, "--live", place)
    assert (found, out) == (code, "")
    assert message in err
