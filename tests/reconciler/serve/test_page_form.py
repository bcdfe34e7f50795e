"""The page as a document: whole without JavaScript, for everybody, small, easy to read, and as JSON."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from desk import REVISION, Answer, Desk, drift, ready, volume
from html_page import HOSTILE, OTHER, Html, held, shown

from analyzer.finding import Finding, Location, Severity
from reconciler.history import Event
from reconciler.reconcile import Verdict
from reconciler.serve.page import page
from reconciler.serve.render import STATIC, ago, clock, duration, html
from reconciler.status import CONVERGED

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


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
