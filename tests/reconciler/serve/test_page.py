"""The page: what it says, to whom, and in what form."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from desk import REVISION, Answer, Desk, drift, ready, volume

from analyzer.finding import Finding, Location, Severity
from backends.objects import Lvol, ObjectKey, ObjectKind
from reconciler.gate import SourceState
from reconciler.history import Event
from reconciler.ledger.attempts import Failure
from reconciler.plan import Hazard, Held, Plan, ScheduleState, Task, TaskState, deleted
from reconciler.reconcile import Verdict
from reconciler.serve.page import EVENTS, LOOKED_BACK, page
from reconciler.serve.render import STATIC, ago, clock, duration, html
from reconciler.status import CONVERGED
from schemas.resources import ResourceKey

VOID = {"meta", "link", "img", "br", "input", "hr"}
INLINE = {"a", "b", "code", "em", "span", "time"}
OTHER = "fedcba9876543210fedcba9876543210fedcba98"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@dataclass
class Element:
    """One element, with all the text inside it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words)).strip()


class Html(HTMLParser):
    """A page as a browser without JavaScript has it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {[e.tag for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(e.tag for e in self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> inside <{self._open[-1].tag}>"
        if tag not in INLINE:
            self.handle_data(" ")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def id(self, name: str) -> Element:
        return next(element for element in self.elements if element.attributes.get("id") == name)

    def marks(self, mood: str) -> list[str]:
        return [e.text for e in self.elements if mood in e.attributes.get("class", "").split()]

    @property
    def headline(self) -> str:
        return self.id("headline").text


def shown(site: Desk) -> Html:
    """The page over HTTP."""
    with site.serving() as client:
        answer = client.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Html(answer.text)


def held(name: str, message: str = "1 of 1 disturbed", *, approvable: bool = True) -> Held:
    lvol = Lvol(store="pool", name=name, uuid="u", size=1 << 20, thin=True)
    return Held(deleted(lvol), volume(name), Hazard.DATA_LOSS, "BudgetExceeded", message, approvable=approvable)


# --- what it says


def test_many_events_shorten_the_timeline_and_hide_nothing(site: Desk) -> None:
    """Guards a busy site: the axis begins where what was read begins, and no mark leads to a line that is not there."""
    site.well()
    for number in range(LOOKED_BACK + 50):
        site.clock.advance(1)
        site.house.history.emit([Event("Applied", f"step {number}", "node-1")], site.clock.now())
    site.target()

    line = page(site.daemon).timeline
    drawn = shown(site)

    assert line is not None
    assert line.end - line.start == LOOKED_BACK - 1
    (marks,) = [marks for name, marks in line.lanes if name == "node-1"]
    assert len(marks) == LOOKED_BACK
    assert sum(bool(mark.link) for mark in marks) == EVENTS
    ids = {e.attributes["id"] for e in drawn.elements if "id" in e.attributes}
    assert {e.attributes["href"][1:] for e in drawn.all("a") if e.attributes["href"][0] == "#"} <= ids


def test_the_footer_names_every_address_for_programs(site: Desk) -> None:
    """Guards the way to the JSON: every address is there, and none leads nowhere."""
    site.well()
    with site.serving() as client:
        links = [e.attributes["href"] for e in Html(client.ask("/").text).all("a") if "footer" in e.parents]
        answers = {link: client.ask(link).status for link in links if link != "/live"}  # that one never ends
    assert links == ["/?output=json", "/status", "/drift", "/events?limit=1000", "/plan", "/live"]
    assert answers.pop("/plan") == 409  # nothing real to plan for stands behind this desk
    assert set(answers.values()) == {200}


def test_a_site_at_peace_says_so(site: Desk) -> None:
    """Guards the page when all is well: the commit short with the full id, its subject, targets, version, times."""
    site.well()

    page = shown(site)

    assert page.headline == "Storage is as Git declares"
    assert page.id("headline").attributes["class"] == "good"
    commits = [e for e in page.all("code") if "commit" in e.attributes.get("class", "")]
    assert {(e.text, e.attributes["title"]) for e in commits} == {(REVISION[:12], REVISION)}
    assert "Two volumes" in page.id("revision").text
    assert page.id("target-node-1").text.startswith("node-1 as declared 2 of 2 none 0123456789ab v26.05 12:00:00")
    assert {e.attributes["datetime"] for e in page.all("time")} == {"2026-11-21T12:00:00Z"}
    assert "Nothing is held back" in page.id("held").text
    assert "All 2 resources are Ready" in page.id("not-ready").text


def test_a_daemon_that_has_just_started_says_that_nothing_is_known(site: Desk) -> None:
    """Guards the first second: no commit, no target, and no green."""
    page = shown(site)

    assert page.headline == "The repository is not read yet"
    assert "No commit is enforced yet" in page.id("summary").text
    assert page.marks("good") == []


def test_open_drift_shows_fields_window_and_action(site: Desk) -> None:
    """Guards the drift record: class, resource, want and have of each field, the onset window and what is done."""
    site.well()
    clean = site.clock.now() - 30
    site.drifts(drift("a", ("spec.qos.iops", 20000, 1000), ("spec.pinned", None, "x"), action="Warned"), clean=clean)
    site.clock.advance(65)
    site.target()

    page = shown(site)

    text = page.id("drift").text
    assert "Modified Volume team/a on node-1" in text
    assert "spec.qos.iops 20000 1000" in text
    assert "spec.pinned not set x" in text
    assert "between 11:59:30 (last clean) and 12:00:00 (detected 1 min 5 s ago)" in text
    assert "Action Warned" in text
    assert page.headline == "1 drift is open"
    assert "drifted" in page.id("target-node-1").text
    assert "open, Warned" in page.id("drift-1").text


def test_closed_drift_is_in_the_history_with_its_duration(site: Desk) -> None:
    """Guards the timeline: a drift that was closed keeps want and have, its commit, and how long it took."""
    site.well()
    site.drifts(drift("a", ("spec.size", "1Gi", "2Gi")))
    site.clock.advance(3.25)
    site.drifts()

    page = shown(site)

    assert page.headline == "Storage is as Git declares"
    assert "None" in page.id("drift").text
    text = page.id("drift-1").text
    assert "spec.size want 1Gi have 2Gi" in text
    assert "closed after 3.2 s" in text
    assert REVISION[:12] in text
    assert [e.attributes["class"] for e in page.all("rect") if "svg" in e.parents and e.attributes.get("x")] == [
        "closed"
    ]
    assert "DriftDetected" in page.id("events").text


def test_what_is_held_shows_the_command_that_lets_it_through(site: Desk) -> None:
    """Guards approving: the page prints the id of exactly the held changes, and which of them it covers."""
    site.accept()
    back = [held("a"), held("b", "waits", approvable=False)]
    site.target(resources={volume("a"): CONVERGED}, verdict=Verdict.HELD, held=back)

    page = shown(site)

    text = page.id("held").text
    assert f"holdfast approve {Plan('node-1', REVISION, held=tuple(back)).approval_id}" in text
    assert "delete lvol pool/a Volume team/a data-loss BudgetExceeded: 1 of 1 disturbed approval" in text
    assert "BudgetExceeded: waits a person" in text
    assert page.headline == "2 changes are held back"


def test_a_rejected_commit_shows_where_and_why(site: Desk) -> None:
    """Guards the gate's answer: the commit and its subject, why, file:line:column, the cure, and what goes on."""
    site.well()
    place = Location("team/volumes.yaml", 7, 12)
    site.reject(OTHER, [Finding("dangling-reference", Severity.ERROR, "no such pool", place, help="declare it")])

    page = shown(site)

    text = page.id("rejected").text
    assert f"{OTHER[:12]} Oops was rejected: RevisionRejected" in text
    assert f"{OTHER[:12]} Oops head rejected" in page.id("revision").text
    assert "team/volumes.yaml:7:12 no such pool [dangling-reference]declare it" in text
    assert f"{REVISION[:12]} goes on" in text
    assert page.headline == "The newest commit was rejected and changes nothing"


def test_a_rejection_without_findings_shows_its_message(site: Desk) -> None:
    """Guards revisions that are refused for their history, which no file is to blame for."""
    site.well()
    site.reject(OTHER, reason="NotDescendant")

    assert "NotDescendant it does not pass" in shown(site).id("rejected").text


def test_resources_that_are_not_ready_come_with_reason_and_message(site: Desk) -> None:
    """Guards that a person need not open the full list to see what is wrong."""
    site.accept()
    wrong = ready("False", "DataMissing", "the bytes are gone")
    site.target(resources={volume("a"): CONVERGED, volume("b"): wrong}, verdict=Verdict.WAITING)

    page = shown(site)

    assert "Volume team/b Not Ready node-1 DataMissing: the bytes are gone" in page.id("not-ready").text
    assert "Volume team/a" not in page.id("not-ready").text
    assert "Volume team/a Ready" in page.id("all-node-1").text
    assert "1 resource is not Ready" in page.id("summary").text


def test_what_is_kept_on_purpose_is_counted_apart(site: Desk) -> None:
    """Guards the headline: a volume that never shrank and bytes without a manifest are Ready, and not as declared."""
    site.well()
    larger, retained = ready("True", "KeptLarger", "10Gi, declared 5Gi"), ready("True", "Retained", "uid 42")
    foreign = ready("True", "ForeignObjects", "not ours")
    names = {volume("a"): larger, volume("b"): retained, volume("c"): retained, volume("d"): foreign}
    site.target(resources=names | {volume("e"): CONVERGED})

    page = shown(site)

    assert page.headline == "Storage is as Git declares, but for what is kept as it is"
    assert (
        "1 resource is kept larger than declared 2 resources are retained without a manifest" in page.id("summary").text
    )
    assert "Volume team/a KeptLarger node-1 10Gi, declared 5Gi" in page.id("kept").text
    assert page.id("kept").text.count("uid 42") == 2
    assert "team/d" not in page.id("kept").text
    assert "5 of 5, 3 kept" in page.id("target-node-1").text
    assert "5 of 5 Ready, 3 of them kept as is" in page.id("revision").text


def test_what_is_kept_does_not_outshout_what_is_wrong(site: Desk) -> None:
    """Guards the order: trouble makes the headline, what is kept follows it."""
    site.accept()
    names = {volume("a"): ready("True", "Retained", "kept"), volume("b"): ready("False", "DataMissing", "gone")}
    site.target(resources=names, verdict=Verdict.WAITING)

    page = shown(site)

    assert page.headline == "1 resource is not Ready"
    assert "node-1 is under way 1 resource is retained" in page.id("summary").text


def _unreachable(site: Desk) -> None:
    site.target(verdict=Verdict.UNREACHABLE, message="connection refused")


def _stalled(site: Desk) -> None:
    site.target(verdict=Verdict.STALLED, message="wrong password")


def _silent(site: Desk) -> None:
    site.clock.advance(1000)
    site.daemon.gate.source_state = SourceState(REVISION, site.clock.now())


@pytest.mark.parametrize(
    ("befalls", "state"),
    [(_unreachable, "unreachable"), (_stalled, "stalled"), (_silent, "not seen lately")],
    ids=["unreachable", "stalled", "silent"],
)
def test_what_is_not_seen_is_never_green(site: Desk, befalls: Callable[[Desk], None], state: str) -> None:
    """Guards staleness: a target that was well and is not seen now is unknown, with everything on it."""
    site.well()
    befalls(site)

    page = shown(site)

    row = page.id("target-node-1")
    assert f"node-1 {state}" in row.text
    assert "unknown, of 2" in row.text
    assert page.marks("good") == ["answers"]  # the repository does
    assert "of 2 resources nothing is known" in page.id("not-ready").text
    assert page.all("details")[0].text.count("Unknown") == 2
    assert "0 of 2 Ready, 2 unknown" in page.id("revision").text


def test_a_target_at_an_older_commit_is_not_green(site: Desk) -> None:
    """Guards the seconds after a commit: converged at the former one is not converged."""
    site.well()
    site.accept(OTHER, "Grow")

    page = shown(site)

    assert page.headline == "node-1 is under way"
    assert page.id("headline").attributes["class"] == "moving"
    assert "Grow accepted" in page.id("revision").text.replace("head ", "")


def test_the_headline_is_green_only_when_every_target_is(site: Desk) -> None:
    """Guards the summary: a verdict that nothing else on the page explains still keeps it from being green."""
    site.well()
    site.target("node-2", {}, verdict=Verdict.HELD)

    page = shown(site)

    assert page.headline == "Not everything is as declared"
    assert page.id("target-node-2").text.split()[:3] == ["node-2", "needs", "a"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (SourceState(REVISION, None, "no route to host"), "The repository does not answer"),
        (SourceState(REVISION, 1.0), "The repository is not read lately"),
    ],
    ids=["error", "stale"],
)
def test_a_repository_that_is_not_read_is_said(site: Desk, state: SourceState, words: str) -> None:
    """Guards against a daemon that looks fine because it has not heard of anything new."""
    site.well()
    site.daemon.gate.source_state = state

    page = shown(site)

    assert page.headline == words
    assert state.error in page.id("revision").text


# --- to whom


def test_hostile_text_stays_text(site: Desk) -> None:
    """Guards escaping: whatever Git, a target or a name says is shown as it is and never becomes markup."""
    site.accept(subject=HOSTILE)
    wrong = ready("False", HOSTILE, HOSTILE)
    site.target(HOSTILE, {volume(HOSTILE): wrong}, verdict=Verdict.HELD, held=[held(HOSTILE, HOSTILE)], message=HOSTILE)
    site.drifts(drift(HOSTILE, (HOSTILE, {HOSTILE: HOSTILE}, HOSTILE), action=HOSTILE), target=HOSTILE)
    site.house.history.emit([Event(HOSTILE, HOSTILE, HOSTILE, HOSTILE, revision=HOSTILE)], site.clock.now())
    site.reject(OTHER, [Finding(HOSTILE, Severity.ERROR, HOSTILE, Location(HOSTILE, 1, 1), help=HOSTILE)])
    site.daemon.gate.source_state.error = HOSTILE

    page = shown(site)

    assert [e.attributes["src"].split("?")[0] for e in page.all("script")] == ["/static/page.js"]
    assert [e.attributes["src"].split("?")[0] for e in page.all("img")] == ["/static/icon.svg"]
    assert not [name for e in page.elements for name in e.attributes if name.startswith("on")]
    assert page.all("main")[0].text.count(HOSTILE) > 20
    for element in page.elements:
        for name in ("href", "src"):
            assert element.attributes.get(name, "#")[0] in "/#"


def test_the_page_is_whole_without_javascript(site: Desk) -> None:
    """Guards the strict policy: nothing inline, nothing foreign, no refresh, and all content in the HTML itself."""
    site.well()
    page = shown(site)

    assert not page.all("style")
    assert not page.all("noscript")
    assert not page.all("iframe")
    assert [e.text for e in page.all("script")] == [""]
    assert not [e for e in page.elements if "style" in e.attributes or "http-equiv" in e.attributes]
    assert page.id("live").attributes.keys() >= {"hidden", "role"}
    assert len(page.all("main")[0].text) > 500


def test_the_page_is_made_for_everybody(site: Desk) -> None:
    """Guards landmarks, one main heading, captions, scopes, unique ids, links that lead somewhere, and a language."""
    site.accept()
    site.target(resources={volume("a"): ready("False", "X", "y")}, verdict=Verdict.HELD, held=[held("a")])
    site.drifts(drift("a", ("spec.size", 1, 2)))
    site.reject(OTHER)
    page = shown(site)

    assert page.all("html")[0].attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "header", "main", "nav", "footer")] == [1] * 5
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in e.attributes for e in page.all("th"))
    ids = Counter(e.attributes["id"] for e in page.elements if "id" in e.attributes)
    assert ids.most_common(1)[0][1] == 1
    assert {e.attributes["href"][1:] for e in page.all("a") if e.attributes["href"][0] == "#"} <= set(ids)
    assert all(e.attributes["aria-labelledby"] in ids for e in page.all("section"))
    assert all(e.attributes.get("datetime", "").endswith("Z") for e in page.all("time"))


def test_the_same_url_answers_json(site: Desk) -> None:
    """Guards programs: one versioned document with status, drifts and events, by header or by query; HTML otherwise."""
    site.well()
    site.drifts(drift("a", ("spec.size", 1, 2)))
    with site.serving() as client:
        asked = client.ask("/", Accept="application/json")
        named = client.ask("/?output=json", Accept=BROWSER)
        browser = client.ask("/", Accept=BROWSER)

    document = asked.json
    assert document == named.json
    assert (document["apiVersion"], document["kind"]) == ("holdfast.dev/v1alpha1", "SiteStatus")
    assert document["revision"]["converged"] == REVISION
    assert [target["name"] for target in document["targets"]] == ["node-1"]
    assert len(document["targets"][0]["resources"]) == 2
    assert (document["targets"][0]["stale"], document["targets"][0]["held"]) == (False, [])
    assert document["drifts"][0]["fields"] == [{"path": "spec.size", "want": 1, "have": 2}]
    assert document["events"][0]["reason"] == "DriftDetected"
    assert [_kind(answer) for answer in (asked, named, browser)] == [
        "application/json",
        "application/json",
        "text/html",
    ]
    assert asked.headers["vary"] == "Accept"


def _kind(answer: Answer) -> str:
    return answer.headers["content-type"].split(";")[0]


# --- in what form


def test_ten_thousand_resources_stay_a_small_page(site: Desk) -> None:
    """Guards size and speed: lists are cut and say how many more there are; the numbers stay true."""
    site.accept()
    wrong = ready("False", "StepFailed", "no space left")
    names = [volume(f"v-{number:05}", f"team-{number % 10}") for number in range(10_000)]
    site.target(resources={name: wrong if number % 10 == 0 else CONVERGED for number, name in enumerate(names)})
    site.drifts(*(drift(f"v-{number:05}", ("spec.size", 1, 2)) for number in range(2_000)))

    started = time.process_time()
    text = html(page(site.daemon))
    took = time.process_time() - started

    assert len(text.encode()) < 250_000
    assert took < 1.0
    shown = Html(text)
    assert "9,000 of 10,000" in shown.id("target-node-1").text
    assert "950 more resources: all as JSON" in shown.id("not-ready").text
    assert "9,600 more resources: all as JSON" in shown.id("all-node-1").text
    assert "1,970 more open drifts" in shown.id("drift").text


def test_a_page_is_made_once_for_all_who_ask_at_once(site: Desk) -> None:
    """Guards many open pages: until something happens or half a second has passed, one rendering serves them all."""
    site.well()
    with site.serving() as client:
        first = client.ask("/").text
        site.target(verdict=Verdict.BUSY)
        assert client.ask("/").text == first
        site.house.history.tell()
        second = client.ask("/").text
        site.clock.advance(1)
        third = client.ask("/").text

    assert "applying" in second
    assert second != third


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0042, "4 ms"),
        (3.14, "3.1 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (7200, "2 h"),
        (273_900, "3 d 4 h"),
        (-5, "0 ms"),
    ],
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    """Guards durations: two units at most, and never a negative one when a clock was set back."""
    assert duration(seconds) == words


def test_times_are_utc_and_carry_the_date_only_when_it_is_another_day(site: Desk) -> None:
    """Guards times: today's are short, others are whole, and the past is told from now."""
    now = site.clock.now()

    assert clock(now - 60, now) == "11:59:00"
    assert clock("2026-11-20T23:59:59Z", now) == "2026-11-20 23:59:59"
    assert (ago(now - 90, now), ago(now + 5, now)) == ("1 min 30 s ago", "just now")


def _palettes() -> Iterator[tuple[str, dict[str, str]]]:
    light, dark = re.findall(r":root \{(.*?)\}", (STATIC / "page.css").read_text(), re.DOTALL)[:2]
    pairs = re.compile(r"--([a-z-]+): (#[0-9a-f]{6})")
    yield "light", dict(pairs.findall(light))
    yield "dark", dict(pairs.findall(light)) | dict(pairs.findall(dark))


@pytest.mark.parametrize(("name", "palette"), list(_palettes()))
def test_every_word_can_be_read(name: str, palette: dict[str, str]) -> None:
    """Guards contrast: WCAG AA for text on its ground, in light and in dark."""
    moods = ("good", "moving", "attention", "bad", "unknown")
    pairs = [(mood, f"{mood}-ground") for mood in moods]
    pairs += [(text, ground) for text in ("text", "dim", "link", "good", "attention") for ground in ("ground", "panel")]

    weak = {pair: round(ratio, 2) for pair in pairs if (ratio := _contrast(*(palette[part] for part in pair))) < 4.5}

    assert weak == {}


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_takes_long_and_what_runs_by_the_clock_is_shown(site: Desk) -> None:
    """Guards tasks and schedules on the page: how far, why held, when next; and hostile words stay words."""
    site.well()
    kept = site.daemon.fleet._targets["node-1"]
    assert kept.last is not None
    key = ObjectKey(ObjectKind.PROVISIONING, "pool/a")
    tasks = (
        Task("inflate", volume("a"), key, TaskState.RUNNING, "copying", 42, site.clock.now() - 60),
        Task("decouple", volume("b"), key, TaskState.HELD, HOSTILE),
    )
    nightly = ScheduleState(ResourceKey("SnapshotSchedule", "team", "nightly"), 2, 5, site.clock.now() - 3600, None)
    plan = dataclasses.replace(kept.last.plan, tasks=tasks, schedules=(nightly,))
    kept.last = dataclasses.replace(kept.last, plan=plan)
    site.house.ledger.note_failures("node-1", {nightly.key: Failure(site.clock.now(), "No space left on device")})

    rows = [element.text for element in shown(site).elements if element.tag == "tr"]

    assert any("inflate Volume team/a" in row and "running 42 %" in row for row in rows)
    assert any("decouple Volume team/b" in row and "held" in row and "<script>" in row for row in rows)
    assert any("SnapshotSchedule team/nightly" in row and "No space left" in row for row in rows)
