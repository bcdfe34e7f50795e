"""How many answers are as recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

from replay_compare import Json, Names, differences, short
from replay_target import answers

# Answers that describe the build or free-running counters rather than state: only the outcome is compared.
OUTCOME_ONLY = frozenset(
    {
        "rpc_get_methods",
        "framework_get_subsystems",
        "spdk_get_version",
        "nvmf_get_stats",
        "iobuf_get_stats",
        "thread_get_stats",
        "framework_get_reactors",
        "bdev_get_iostat",
        "env_dpdk_get_mem_stats",
        "trace_get_info",
        "log_get_flags",
        "sock_impl_get_options",
        "accel_get_module_info",
        "accel_get_opc_assignments",
        "accel_get_stats",
    }
)
STATEFUL_CONFIGS = frozenset({"nvmf", "keyring"})


def only_outcome(method: str, params: Json) -> bool:
    return method in OUTCOME_ONLY or (
        method == "framework_get_config" and (params or {}).get("name") not in STATEFUL_CONFIGS
    )


@dataclass
class Score:
    methods: frozenset[str]
    calls: int = 0
    outcome: int = 0
    full: int = 0
    wires: int = 0
    wire: int = 0
    stopped: str = ""
    misses: list[str] = field(default_factory=list)

    def judge(
        self, where: str, request: dict[str, Json], recorded: dict[str, Json], got: dict[str, Json] | None, names: Names
    ) -> None:
        method, params = request["method"], request.get("params")
        if self.methods and method not in self.methods:
            if got is not None:
                names.keep(
                    matched="result" in recorded
                    and "result" in got
                    and not differences(recorded["result"], got["result"], names)
                )
            return
        self.calls += 1
        title = f"{where} {method} {short(params)}"
        if got is None:
            self.misses.append(f"OUTCOME {title}\n    no answer")
        elif "error" in recorded:
            given = got.get("error") or {}
            same = given.get("code") == recorded["error"].get("code") and names.same_text(
                str(recorded["error"].get("message")), str(given.get("message"))
            )
            self.outcome, self.full = self.outcome + same, self.full + same
            if not same:
                answer = short(got.get("error", got.get("result")))
                self.misses.append(f"OUTCOME {title}\n    recorded {short(recorded['error'])}\n    given    {answer}")
            names.keep(matched=same)
        elif "result" not in got:
            self.misses.append(f"OUTCOME {title}\n    recorded a result\n    given    {short(got.get('error', got))}")
        else:
            found = [] if only_outcome(method, params) else differences(recorded["result"], got["result"], names)
            names.keep(matched=not found)
            self.outcome, self.full = self.outcome + 1, self.full + (not found)
            if found:
                self.misses.append(
                    f"FULL    {title}\n    "
                    + "\n    ".join(found[:6])
                    + (f"\n    … {len(found) - 6} more" if len(found) > 6 else "")
                )

    def judge_wire(self, where: str, step: dict[str, Json], got: bytes, *, closed: bool, names: Names) -> None:
        self.wires += 1
        found = differences(answers(step["recv"].encode()), answers(got), names)
        if bool(step["closed_by_server"]) != closed:
            found.append(f"connection {'closed' if step['closed_by_server'] else 'kept open'} in the recording")
        names.keep(matched=not found)
        self.wire += not found
        if found:
            self.misses.append(
                f"WIRE    {where} {step.get('desc') or step.get('name')}\n    " + "\n    ".join(found[:4])
            )
