"""Text for people, at most 80 columns wide where names allow it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.quantity import format_bytes

WIDTH = 80
MARKS = {"ok": "ok", "skipped": "--", "running": ".."}
SIGNS = {"create": "+", "update": "~", "delete": "-"}


def listing(trouble: Mapping[str, Any], parts: Iterable[str]) -> str:
    """One part for each target, below what keeps the newest revision from being enforced."""
    found = list(parts) or ["no targets are declared"]
    return "\n\n".join([*_trouble(trouble), *found]) + "\n"


def _trouble(trouble: Mapping[str, Any]) -> Iterable[str]:
    if trouble["error"]:
        yield wrap(f"the repository cannot be read: {trouble['error']}", 0, 2)
    if rejected := trouble["rejected"]:
        yield wrap(_rejected(rejected, " was rejected"), 0, 2)


def _rejected(rejected: Mapping[str, Any], verdict: str = "") -> str:
    commit = f"{rejected['revision'][:12]} {rejected['subject']}".rstrip()
    return f"{commit}{verdict}: {rejected['reason']}: {rejected['message']}"


def plan_text(plan: Mapping[str, Any]) -> str:
    """A plan as `holdfast plan` prints it."""
    if "error" in plan:
        return wrap(f"{plan['target']}: cannot be read: {plan['error']}", 0, 2)
    steps, held = plan["steps"], plan["held"]
    head = f"{plan['target']} at {plan['revision'][:12] or 'no revision'}: {_count(steps, 'step')}, {len(held)} held"
    parts = [head, *(_step(step) for step in steps)]
    if held:
        parts += ["  held back:", *(_held(item) for item in held)]
    notes = [r for r in plan["remarks"] if r["reason"] not in {item["reason"] for item in held}]
    if notes:
        parts += ["  notes:", *(_remark(remark) for remark in notes)]
    if plan["approvalID"]:
        parts.append(f"  to let this through: holdfast approve {plan['approvalID']}")
    return "\n".join(parts)


def tick_text(tick: Mapping[str, Any]) -> str:
    """A tick as `holdfast apply` prints it."""
    results = [_result(result) for result in tick["results"]]
    held = [wrap(f"held: {h['object']}: {h['reason']}: {h['message']}", 2, 4) for h in tick["plan"]["held"]]
    tail = [wrap(tick["message"], 2, 4)] if tick["message"] else []
    return "\n".join([f"{tick['target']}: {tick['verdict']}", *results, *held, *tail])


def _result(result: Mapping[str, Any]) -> str:
    first = f"  {MARKS.get(result['outcome'], result['outcome'].upper())} {result['step']}"
    return "\n".join([first, wrap(result["message"], 6)]) if result["message"] else first


def _step(step: Mapping[str, Any]) -> str:
    hazard = "" if step["hazard"] == "safe" else f"  [{step['hazard']}]"
    first = f"  {SIGNS[step['action']]} {step['object']}{hazard}"
    return f"{first}\n{wrap(_name(step['resource']) + ': ' + step['reason'], 6)}"


def _held(item: Mapping[str, Any]) -> str:
    first = f"    {SIGNS[item['action']]} {item['object']}  [{item['hazard']}]"
    return f"{first}\n{wrap(item['reason'] + ': ' + item['message'], 8)}"


def _remark(remark: Mapping[str, Any]) -> str:
    return wrap(f"{_name(remark['resource'])} {remark['reason']}: {remark['message']}", 4, 8)


def _name(resource: Mapping[str, str]) -> str:
    inside = f"{resource['namespace']}/" if resource["namespace"] else ""
    return f"{resource['kind']} {inside}{resource['name']}"


def status_text(status: Mapping[str, Any]) -> str:
    revision, source = status["revision"], status["source"]
    lines = [
        f"site       {status['site']}",
        f"source     {source['url']}",
        f"           {'last read ' + source['lastFetch'] if source['lastFetch'] else 'not read yet'}",
        f"accepted   {revision['accepted'] or 'none yet'}",
        f"converged  {revision['converged'] or 'never'}",
    ]
    if source["error"]:
        lines.append(wrap(f"error      {source['error']}", 0, 11))
    if revision["rejected"]:
        rejected = revision["rejected"]
        lines.append(wrap(f"rejected   {_rejected(rejected)}", 0, 11))
    for target in status["targets"]:
        lines += ["", _target_text(target)]
    return "\n".join(lines)


def _task(task: Mapping[str, Any]) -> str:
    """`task  inflate Volume team-a/db: running, 42 %`."""
    far = f", {task['percent']} %" if task["state"] == "running" and task["percent"] is not None else ""
    why = f": {task['message']}" if task["state"] in ("queued", "held", "failed") else ""
    return wrap(f"task  {task['kind']} {_name(task['resource'])}: {task['state']}{far}{why}", 2, 8)


def _schedule(schedule: Mapping[str, Any]) -> str:
    counts = f"{_count(range(schedule['snapshots']), 'snapshot')} of {_count(range(schedule['volumes']), 'volume')}"
    times = f"last {schedule['last'] or 'never'}, next {schedule['next'] or 'never'}"
    failure = schedule["lastFailure"]
    failed = f"; failed {failure['at']}: {failure['message']}" if failure else ""
    return wrap(f"runs  {_name(schedule['resource'])}: {counts}, {times}{failed}", 2, 8)


def _target_text(target: Mapping[str, Any]) -> str:
    drift = f", {_count(range(target['openDrifts']), 'open drift')}" if target["openDrifts"] else ""
    head = f"{target['name']}  {target['verdict']}{drift}  (seen {target['lastSeen'] or 'never'})"
    resources = target["resources"]
    rows = _resource_rows([_resource_row(resource) for resource in resources])
    lines = [head, wrap(target["message"], 2, 4)] if target["message"] else [head]
    for row, resource in zip(rows, resources, strict=True):
        lines += [row, *_resource_note(resource)]
    lines += [*map(_task, target["tasks"]), *map(_schedule, target["schedules"])]
    if target["approvalID"]:
        lines.append(f"  held changes wait for: holdfast approve {target['approvalID']}")
    return "\n".join(lines)


def _resource_rows(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """In columns as far as they fit; the uid of a long name stands below it."""
    room = WIDTH - max((len(uid) for *_, uid in rows), default=0) - 2 * len("  ") - len("  ok")
    width = max((len(name) for _, name, _ in rows if len(name) <= room), default=0)
    for sign, name, uid in rows:
        gap = " " * (width - len(name) + 2) if len(name) <= room else f"\n{' ' * 6}"
        yield f"  {sign}  {name}{gap}{uid}".rstrip()


def _resource_row(resource: Mapping[str, Any]) -> Sequence[str]:
    ready = resource["conditions"][0]
    sign = {"True": "ok", "False": "NO", "Unknown": "??"}[ready["status"]]
    return (sign, _name(resource), f"uid {resource['uid']}" if resource["uid"] else "")


def _resource_note(resource: Mapping[str, Any]) -> Iterable[str]:
    """Why it is not simply as declared."""
    ready = resource["conditions"][0]
    if ready["reason"] != "Converged":
        yield wrap(f"{ready['reason']}: {ready['message']}", 6)


def events_text(events: Iterable[Mapping[str, Any]]) -> str:
    """Oldest first, so that the newest stands above the prompt."""
    return "\n".join(_event(event) for event in reversed(list(events))) or "no events"


def _event(event: Mapping[str, Any]) -> str:
    sign = "!" if event["type"] == "Warning" else " "
    about = event["resource"] or event["target"] or "site"
    return wrap(f"{event['time']} {sign} {event['reason']} {about}: {event['message']}", 0, 23)


def drift_text(drifts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(_drift(drift) for drift in reversed(drifts)) if drifts else "no drift"


def _drift(drift: Mapping[str, Any]) -> str:
    state = f"closed after {drift['seconds']} s" if drift["closed"] else f"OPEN, {drift['action']}"
    head = f"{drift['detected']} {drift['class']} on {drift['target']}: {drift['resource']} ({state})"
    fields = (f"{f['path']}: want {f['want']!r}, have {f['have']!r}" for f in drift["fields"])
    return "\n".join([wrap(head, 0, 23), *(wrap(field, 23) for field in fields)])


def usage_text(usage: Mapping[str, Any]) -> str:
    """Who is connected to what, target by target."""
    return "\n\n".join(map(_target_usage, usage["targets"])) + "\n" if usage["targets"] else "no targets are declared\n"


def rehearsal_text(rehearsal: Mapping[str, Any] | None) -> str:
    """What a commit would have wait for a person."""
    if rehearsal is None:
        return ""
    commit = rehearsal["revision"][:12]
    if rehearsal["error"]:
        return "\n" + wrap(f"{commit} was not planned: {rehearsal['error']}", 0, 2) + "\n"
    lines = [line for plan in rehearsal["plans"] for line in _rehearsed(plan)]
    return "\n" + "\n".join([f"were {commit} accepted", *(lines or ["  nothing would wait for approval"])]) + "\n"


def _rehearsed(plan: Mapping[str, Any]) -> Iterable[str]:
    if plan["error"]:
        yield wrap(f"{plan['target']}: not planned: {plan['error']}", 2, 4)
    yield from map(_held, plan["held"])
    if plan["approvalID"]:
        yield f"  {plan['target']}: holdfast approve {plan['approvalID']}"


def _target_usage(target: Mapping[str, Any]) -> str:
    taken = sum(volume["allocatedBytes"] for volume in target["volumes"])
    lines = [f"{target['name']}  {_count(target['volumes'], 'volume')}, {format_bytes(taken)} allocated"]
    if target["error"]:
        lines.append(f"  {target['error']}")
    for subsystem in target["subsystems"]:
        lines.append(f"  {_name(subsystem['resource'])}")
        lines += _connected(subsystem["hosts"])
    return "\n".join(lines)


def _connected(hosts: Sequence[Mapping[str, Any]] | None) -> Iterable[str]:
    if not hosts:
        yield "    unknown: it could not be read" if hosts is None else "    nobody"
        return
    for host in hosts:
        yield wrap(f"{host['nqn']}  {', '.join(host['paths']) or 'not through any path yet'}", 4, 8)


def wrap(text: str, indent: int, hang: int | None = None) -> str:
    """Filled to the width; words that are longer (NQNs, uuids) are left whole."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hang is None else hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(rows: Sequence[Sequence[str]], indent: int) -> list[str]:
    """Columns as wide as they need to be; the last one runs free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] if rows else []
    return [
        (" " * indent + "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[-1]])).rstrip()
        for row in rows
    ]


def _count(items: Sequence[Any] | range, word: str) -> str:
    return f"{len(items)} {word}" if len(items) == 1 else f"{len(items)} {word}s"
