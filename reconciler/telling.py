"""What is told of what a tick did: events, failures, ends of writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backends.contract import Action
from backends.fields import fields_of
from backends.objects import AllowedHost, ObjectKey, Subsystem
from reconciler.history import Event
from reconciler.ledger.attempts import Failure
from reconciler.moments import moment_of
from reconciler.plan import Cause, Execution, Hazard, Outcome, Phase, Plan, Record, Step, StepResult
from reconciler.planner.inuse import told
from schemas.resources import ResourceKey

TOLD = 3  # steps that an event names; the others are counted


def rebound(before: Record | None, after: Record) -> Event | None:
    """Bytes that left the manifests, or came back to them."""
    was = before.phase if before else None
    if after.phase is Phase.RETAINED and was is not Phase.RETAINED:
        return Event(
            "Retained", f"no longer declared; its bytes are kept under uid {after.uid}", resource=str(after.resource)
        )
    if after.phase is Phase.CREATED and was is Phase.RETAINED:
        return Event("Rebound", f"declared again; its bytes are back, uid {after.uid}", resource=str(after.resource))
    return None


def step_events(execution: Execution) -> list[Event]:
    """One event for everything that touched bytes or hosts, or opened a way in; one summary for the rest."""
    done = execution.of(Outcome.OK)
    told = [r for r in done if _matters(r.step)]
    events = [_step_event(result) for result in told]
    if done:
        events.append(Event("Applied", _summary([result.step for result in done])))
    failed = execution.of(Outcome.FAILED)
    return [
        *events,
        *(
            Event("StepFailed", f"{r.step.id}: {r.message}", resource=str(r.step.resource), warning=True)
            for r in failed
        ),
    ]


def _matters(step: Step) -> bool:
    return step.bears_data or step.takes_long or step.hazard is not Hazard.SAFE or _opens(step)


def _opens(step: Step) -> bool:
    """Whether hosts get in afterwards without being listed, or without proving who they are."""
    match step.change.before, step.change.after:
        case Subsystem(allow_any_host=False), Subsystem(allow_any_host=True):
            return True
        case AllowedHost(dhchap_key=before), AllowedHost(dhchap_key=after):
            return bool(before and not after)
    return False


def _summary(done: Sequence[Step]) -> str:
    """What was done, in one sentence: the first steps in words, the others as a number."""
    words = [f"{step.resource}: {step.reason}" for step in done[:TOLD]]
    more = [f"and {len(done) - TOLD} more"] if len(done) > TOLD else []
    return f"{len(done)} {'step' if len(done) == 1 else 'steps'}: {'; '.join([*words, *more])}"


def _felt_by(step: Step) -> str:
    """Who was connected and lost something."""
    return f"; {told(step.hosts)}" if step.hosts else ""


def _step_event(result: StepResult) -> Event:
    step = result.step
    verb = {Action.CREATE: "Created", Action.UPDATE: "Updated", Action.DELETE: "Removed"}[step.change.action]
    named = result.uid or str(fields_of(step.change.before).get("uuid", ""))
    uid = f" (uid {named})" if named else ""
    reason = "DataDestroyed" if step.hazard is Hazard.DATA_LOSS and verb == "Removed" else verb
    if step.cause is Cause.SCHEDULE:
        reason = "SnapshotTaken" if step.change.action is Action.CREATE else "SnapshotPruned"
    if step.takes_long:
        reason = "Copied"
    return Event(
        reason,
        f"{step.change.key}{uid}: {step.reason}{_felt_by(step)}",
        resource=str(step.resource),
        warning=step.hazard is not Hazard.SAFE or _opens(step),
    )


def told_failures(execution: Execution, now: float) -> dict[ResourceKey, Failure]:
    """How runs of schedules and tasks failed, by the schedule or volume that status tells of."""
    found: dict[ResourceKey, Failure] = {}
    for result in execution.of(Outcome.FAILED):
        moment = moment_of(result.step.resource)
        if moment or result.step.takes_long:
            found[moment.schedule if moment else result.step.resource] = Failure(now, result.message)
    return found


def ends(execution: Execution) -> Iterator[tuple[str, str | None]]:
    """How writes ended, for the circuit breaker: resource, and the error of one that failed or was never answered.

    One lost connection leaves many without an answer, and is one failure all the same.
    """
    lost = execution.of(Outcome.UNKNOWN)[:1]
    for result in execution.results:
        if result.outcome in (Outcome.OK, Outcome.FAILED) or result in lost:
            yield result.step.resource.text, None if result.outcome is Outcome.OK else result.message


def corrected(todo: Plan, execution: Execution) -> list[tuple[ObjectKey, str]]:
    """The fields that this tick put right."""
    done = {result.step.change.key for result in execution.of(Outcome.OK) if result.step.cause is Cause.DRIFT}
    return [
        (drift.key, difference.path) for drift in todo.drifts if drift.key in done for difference in drift.differences
    ]
