"""The stages of the tour. Each does what an operator (or a mishap) does, waits for the daemon to say that it is done,
and then looks at the target with eyes that are not the daemon's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.demo.daemon_view import DaemonView
from reconciler.demo.initiator import Initiator
from reconciler.demo.patience import until
from reconciler.demo.playground import Playground
from reconciler.demo.recorder import Recorder
from reconciler.demo.repository import Repository
from reconciler.demo.witness import Witness

GIB = 1 << 30
NODE_1, NODE_2 = "node-1", "node-2"
KEPT, DOOMED, NEW, GROWN = "team-b/reports", "team-b/scratch", "team-a/web-uploads", "team-b/notebooks"
LIMITED = "team-a/web-assets"
LAB = "Subsystem team-b/lab"  # which exports the doomed one
PATTERNED = (KEPT, "team-b/models")  # a thick and a thin volume
DATABASE, SEARCH = "nqn.2026-01.com.example.team-a:db", "nqn.2026-01.com.example.team-a:search"

NEW_VOLUME = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Volume
metadata:
  name: web-uploads
  namespace: team-a
spec:
  poolRef: node-1-fast
  size: 512Mi
  thin: true
  qos:
    writeMBps: 50
"""
REMOVAL = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Removal
metadata:
  name: scratch
  namespace: team-b
spec:
  ref:
    kind: Volume
    name: scratch
  uid: {uid}
  reason: the experiment is over
  expires: 2031-12-31
"""


class Failed(Exception):
    """What was seen is not what ought to be."""


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise Failed(otherwise)


@dataclass
class Story:
    """The stages, and what one must remember of another."""

    playground: Playground
    recorders: Mapping[str, Recorder]
    initiator: Initiator | None
    revision: str
    live: bool = False
    checksums: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Repository:
        return self.playground.repository

    @property
    def daemon(self) -> DaemonView:
        return self.playground.view

    @property
    def witnesses(self) -> Mapping[str, Witness]:
        return self.playground.witnesses

    @property
    def node_1(self) -> Witness:
        return self.witnesses[NODE_1]

    @property
    def node_2(self) -> Witness:
        return self.witnesses[NODE_2]

    # --- the stages, in order

    def converged(self) -> str:
        for name, witness in self.witnesses.items():
            expect(not witness.bdevs() and not witness.subsystems(), f"{name} is not empty to begin with")
        self.playground.start_daemon()
        self.playground.settle(self.revision)
        site = self.playground.site
        witnesses = self.witnesses.values()
        volumes = {uuid for witness in witnesses for uuid in witness.volumes()}
        shown = {uuid for witness in witnesses for uuid in witness.namespaces()}
        subsystems = [subsystem for witness in witnesses for subsystem in witness.subsystems().values()]
        open_ = [s["nqn"] for s in subsystems if s["listen_addresses"] and s["hosts"] and not s["allow_any_host"]]
        expect(volumes == shown, f"lvols {sorted(volumes)}, but namespaces {sorted(shown)}")
        expect(len(volumes) == site.volumes, f"{len(volumes)} lvols for {site.volumes} volumes")
        expect(len(open_) == site.subsystems, f"{len(open_)} of {site.subsystems} subsystems are open to their hosts")
        self.uids = {name: self.daemon.uid(f"Volume {name}") for name in (KEPT, DOOMED, GROWN, LIMITED, *PATTERNED)}
        return f"{len(volumes)} volumes, {len(open_)} subsystems, {len(site.nodes)} targets{self._write_patterns()}"

    def no_op(self) -> str:
        """The recorders step in between daemon and targets, which takes a restart of the daemon: so this also shows
        that a daemon which comes back to a converged site writes nothing.
        """
        before = self._digests()
        self.playground.daemon.stop()
        for recorder in self.recorders.values():
            recorder.open()
        self.playground.start_daemon()
        until(lambda: all(looks(recorder) >= 2 for recorder in self.recorders.values()), "two looks at each target")
        self.playground.settle(self.revision)
        writes = [call for recorder in self.recorders.values() for call in recorder.writes]
        calls = sum(len(recorder.calls) for recorder in self.recorders.values())
        expect(not writes, f"writes at the targets: {', '.join(writes)}")
        expect(self._digests() == before, "the targets' state or their notifications are not what they were")
        return f"{calls} calls at the targets, 0 of them writes"

    def change(self) -> str:
        self.repository.write("team-a/uploads.yaml", NEW_VOLUME)
        last = "    - nsid: 2\n      volumeRef: web-sessions\n"
        added = "    - nsid: 3\n      volumeRef: web-uploads\n"
        self.repository.replace("team-a/subsystems.yaml", last, last + added)
        self.repository.commit("Room for uploads")
        self.repository.replace("team-b/volumes.yaml", "size: 512Mi", "size: 1Gi", within="notebooks")
        self.commits["grow"] = self.repository.commit("More room for notebooks")
        self._push_and_settle()
        uid = self.daemon.uid(f"Volume {NEW}")
        shown = self.node_1.namespaces().get(uid)
        expect(shown == ("nqn.2026-01.com.example.team-a:web", 3), f"lvol {uid} is shown as {shown}")
        expect(self.node_1.limits(uid)["w_mbytes_per_sec"] == 50, "its limit is not set")
        size = self.node_2.size(self.uids[GROWN])
        expect(size == GIB, f"notebooks has {size} bytes")
        return "web-uploads is nsid 3 of web; notebooks grew"

    def drift_closed(self) -> str:
        before, newest = self._exports(), self.daemon.newest_drift()
        began = time.monotonic()
        self.node_1.call("nvmf_subsystem_remove_ns", nqn=DATABASE, nsid=1)
        self.node_1.call("bdev_set_qos_limit", name=self.uids[LIMITED], r_mbytes_per_sec=7)
        self.node_2.call("nvmf_delete_subsystem", nqn=SEARCH)
        wanted = {f"namespace {DATABASE}#1": "Missing", f"subsystem {SEARCH}": "Missing"}
        closed = self._drifts_closed(newest, [*wanted, "qos "])
        found = {drift["object"]: drift["class"] for drift in closed}
        expect(wanted.items() <= found.items(), f"drift records show {found}")
        [limit] = [drift for drift in closed if drift["object"].startswith("qos ")]
        expect(
            [(f["want"], f["have"]) for f in limit["fields"]] == [(300, 7)], f"the limit's drift is {limit['fields']}"
        )
        expect(self._exports() == before, "the exports are not what they were")
        return f"namespace, limit, subsystem: back in {time.monotonic() - began:.1f} s"

    def bad_commit_blocked(self) -> str:
        before, accepted = self._digests(), self.revision
        path, bad = "team-a/subsystems.yaml", "volumeRef: db-wall"
        self.repository.replace(path, "volumeRef: db-wal\n", f"{bad}\n")
        line = self.repository.read(path).partition(bad)[0].count("\n") + 1
        commit = self.repository.commit("A slip of the finger")
        said = self._push_and_be_rejected()
        expect(f"{path}:{line}" in said, f"the event does not say {path}:{line}: {said}")
        expect("dangling-reference" in said, f"the event does not name the rule: {said}")
        expect(self.daemon.status()["revision"]["accepted"] == accepted, "the last good revision is not kept")
        expect(self._digests() == before, "the bad commit changed something")
        self.repository.revert([commit])
        self._push_and_settle()
        return f"{path}:{line} dangling-reference"

    def data_kept(self) -> str:
        uid, newest = self.uids[KEPT], self.daemon.newest_event()
        self.repository.remove_volume("reports", "team-b/volumes.yaml", "team-b/subsystems.yaml")
        self.commits["kept"] = self.repository.commit("Reports are not needed any more")
        self._push_and_settle()
        expect(uid not in self.node_1.namespaces(), "reports is still exported")
        expect(uid in self.node_1.lvols(), f"lvol {uid} is gone")
        ready = self.daemon.readiness().get(f"Volume {KEPT}", {})
        expect(ready.get("reason") == "Retained", f"status says {ready}")
        expect(self._event("Retained", newest), "there is no event Retained")
        return "the export is gone, the bytes are Retained"

    def data_loss_blocked(self) -> str:
        before = self._digests()
        self._take_out_scratch()
        self.commits["lost"] = self.repository.commit("Scratch is not needed any more")
        said = self._push_and_be_rejected()
        expect("data-loss-without-removal" in said, f"the event does not name the rule: {said}")
        expect(self.uids[DOOMED] in self.node_1.namespaces(), "scratch is not exported any more")
        expect(self._digests() == before, "the rejected commit changed something")
        return "data-loss-without-removal; nothing changed"

    def removal_honoured(self) -> str:
        uid, before, newest = self.uids[DOOMED], self.node_1.lvols(), self.daemon.newest_event()
        self.repository.write("team-b/removals.yaml", REMOVAL.format(uid=uid))
        self.commits["removal"] = self.repository.commit("Scratch may go")
        self._push_and_settle()
        expect(before - self.node_1.lvols() == {uid}, f"these lvols are gone: {before - self.node_1.lvols()}")
        expect(uid not in self.node_1.namespaces(), "scratch is still exported")
        expect(self._event("DataDestroyed", newest), "there is no event DataDestroyed")
        return f"lvol {uid[:8]} is gone, and no other"

    def reverted(self) -> str:
        """Four commits are reverted; then scratch, which cannot come back, is taken out again with its Removal."""
        before = self.node_1.lvols()
        self.repository.revert([self.commits[name] for name in ("removal", "lost", "kept", "grow")])
        self.revision = self.repository.push()
        until(self._at_rest, lambda: f"the reverts: {self.daemon.unfinished()}")
        uid, ready = self.uids[KEPT], self.daemon.readiness()
        wrong = {name: is_so["reason"] for name, is_so in ready.items() if is_so["status"] != "True"}
        expect(wrong == {f"Volume {DOOMED}": "DataMissing", LAB: "ExportedIncomplete"}, f"not ready: {wrong}")
        expect(ready[f"Volume {GROWN}"]["reason"] == "KeptLarger", f"notebooks is {ready[f'Volume {GROWN}']}")
        expect(self.daemon.uid(f"Volume {KEPT}") == uid, "reports has another uid")
        expect(self.node_1.namespaces().get(uid) == ("nqn.2026-01.com.example.team-b:lab", 3), "reports is not nsid 3")
        expect(self.node_1.lvols() == before, "an lvol was made or destroyed")
        expect(self.node_2.size(self.uids[GROWN]) == GIB, "notebooks shrank")
        read = self._compare([KEPT])
        self._take_out_scratch()
        self.repository.write("team-b/removals.yaml", REMOVAL.format(uid=self.uids[DOOMED]))
        self.repository.commit("Scratch is gone for good")
        self._push_and_settle()
        return f"reports back{read}; DataMissing, KeptLarger"

    def target_restarted(self) -> str:
        """The door is shut until the witness has seen how the targets come back; the daemon is quick to help them."""
        exports, lvols = self._exports(), {name: witness.lvols() for name, witness in self.witnesses.items()}
        newest = self.daemon.newest_event()
        for name, target in self.playground.targets.items():
            target.kill()
            self.recorders[name].close()
        until(lambda: {t["verdict"] for t in self.daemon.targets()} == {"unreachable"}, "both targets to be missed")
        self.playground.start_targets()
        for name, witness in self.witnesses.items():
            expect(not witness.subsystems() and not witness.bdevs(), f"{name} did not come back empty")
            self.recorders[name].open()
        self.playground.settle(self.revision)
        expect(self._event("TargetRestarted", newest), "there is no event TargetRestarted")
        for name, witness in self.witnesses.items():
            expect(witness.lvols() == lvols[name], f"{name} has not the same lvols")
        expect(self._exports() == exports, "the exports are not what they were")
        count = sum(map(len, lvols.values()))
        return f"came up empty; same {count} lvols, exports{self._compare(PATTERNED)}"

    def git_down(self) -> str:
        before, newest = self._exports(), self.daemon.newest_drift()
        away = self.repository.bare.with_suffix(".away")
        self.repository.bare.rename(away)
        until(lambda: self.daemon.status()["source"]["error"], "the daemon to miss the repository")
        self.node_1.call("nvmf_subsystem_remove_ns", nqn=DATABASE, nsid=1)
        self._drifts_closed(newest, [f"namespace {DATABASE}#1"])
        expect(self._exports() == before, "the exports are not what they were")
        away.rename(self.repository.bare)
        until(lambda: not self.daemon.status()["source"]["error"], "the daemon to find the repository again")
        self.repository.replace("team-a/uploads.yaml", "writeMBps: 50", "writeMBps: 60")
        self.repository.commit("Uploads may be faster")
        self._push_and_settle()
        expect(self.node_1.limits(self.daemon.uid(f"Volume {NEW}"))["w_mbytes_per_sec"] == 60, "the limit is not 60")
        return "drift was corrected; then a commit was followed"

    # --- what several of them do

    def _take_out_scratch(self) -> None:
        self.repository.remove_volume("scratch", "team-b/volumes.yaml", "team-b/subsystems.yaml")

    def _push_and_settle(self) -> None:
        self.revision = self.repository.push()
        self.playground.settle(self.revision)

    def _push_and_be_rejected(self) -> str:
        """What the event says."""
        newest, commit = self.daemon.newest_event(), self.repository.push()
        until(lambda: self.daemon.rejected().get("revision") == commit, "the commit to be rejected")
        events = [e for e in self.daemon.events(newest) if e["revision"] == commit]
        return next((str(e["message"]) for e in events if e["reason"] == "RevisionRejected"), "there is no event")

    def _drifts_closed(self, newest: int, objects: Iterable[str]) -> Sequence[Mapping[str, Any]]:
        """The records since `newest`, once there is a closed one for each of these objects."""

        def look() -> Sequence[Mapping[str, Any]]:
            self.playground.check()
            records = [drift for drift in self.daemon.drifts(newest) if drift["closed"]]
            seen = all(any(record["object"].startswith(name) for record in records) for name in objects)
            return records if seen else []

        return until(look, "drift to be closed")

    def _at_rest(self) -> bool:
        """Whether every target has done what can be done for the newest revision."""
        self.playground.check()
        over = {"converged", "held"}
        return all(t["verdict"] in over and t["revision"] == self.revision for t in self.daemon.targets())

    def _event(self, reason: str, newest: int) -> bool:
        return any(event["reason"] == reason for event in self.daemon.events(newest))

    def _digests(self) -> Mapping[str, tuple[str, int]]:
        return {name: (w.digest(), w.newest_notification()) for name, w in self.witnesses.items()}

    def _exports(self) -> Mapping[str, str]:
        return {name: witness.exports() for name, witness in self.witnesses.items()}

    # --- a real host, where there is one

    def _write_patterns(self) -> str:
        if self.initiator is None:
            return "; no spdk_dd" if self.live else ""
        for name in PATTERNED:
            self.checksums[name] = self.initiator.write(self.node_1, self.uids[name])
        return "; a host wrote"

    def _compare(self, names: Iterable[str]) -> str:
        """That a host reads bytes of the SHA-256 it wrote, where there is one; Failed when it does not."""
        if self.initiator is None:
            return ""
        for name in names:
            read = self.initiator.read(self.node_1, self.uids[name])
            expect(read == self.checksums[name], f"{name}: a host reads other bytes than it wrote")
        return ", same bytes"


def looks(recorder: Recorder) -> int:
    """How often the daemon read the whole target."""
    return recorder.calls.count("nvmf_get_subsystems")


Stage = Callable[[Story], str]
STAGES: tuple[tuple[str, Stage], ...] = (
    ("converged", Story.converged),
    ("no-op", Story.no_op),
    ("change", Story.change),
    ("drift-closed", Story.drift_closed),
    ("bad-commit-blocked", Story.bad_commit_blocked),
    ("data-kept", Story.data_kept),
    ("data-loss-blocked", Story.data_loss_blocked),
    ("removal-honoured", Story.removal_honoured),
    ("reverted", Story.reverted),
    ("target-restarted", Story.target_restarted),
    ("git-down", Story.git_down),
)
