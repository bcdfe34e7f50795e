"""What people allow, and what was there before: set aside, never in silence, and never what nothing works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import valid

from analyzer.baseline import Known, baseline_of, read_baseline
from analyzer.document import Source
from analyzer.finding import Confidence
from analyzer.report import Report
from analyzer.suppression import suppressions_in

Lint = Callable[..., Report]
House = dict[str, str]

LAB = """\
apiVersion: storage.holdfast.dev/v1alpha1
kind: Subsystem
metadata: {name: lab, namespace: team-a, labels: {app: lab}}
spec:
  nqn: nqn.2026-01.com.example.team-a:lab
  exports: [{targetRef: node-1, portals: [front]}]
  namespaces: []
  hosts: {any: true}
"""
RULE = "open-subsystem"


@pytest.fixture
def lab(house: House) -> House:
    """A house with a subsystem that any host may use, which is worth a remark."""
    return house | {"lab.yaml": LAB}


def allowed(files: House, comment: str, above: str = "  hosts") -> House:
    """With a comment above a line."""
    return files | {
        "lab.yaml": files["lab.yaml"].replace(f"{above}", f"{above[: -len(above.lstrip())]}{comment}\n{above}", 1)
    }


def rules(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def test_a_comment(lint: Lint, lab: House) -> None:
    """A comment sets the finding aside, with its reason, its day and its own place; one in a text does nothing."""
    assert rules(lint(lab)) == [RULE]
    report = lint(allowed(lab, f"# holdfast: allow[{RULE}] a lab, for students, until 2026-12-31"))
    assert report.findings == ()
    [aside] = report.aside
    assert (aside.finding.rule, aside.by, aside.reason) == (RULE, "comment", "a lab, for students")
    assert (aside.until, str(aside.location)) == (date(2026, 12, 31), "lab.yaml:8:3")
    text = LAB.replace("labels: {app: lab}", f"annotations: {{note: 'a # holdfast: allow[{RULE}] x'}}")
    assert rules(lint(lab | {"lab.yaml": text})) == [RULE]


PLACES = [("spec", True), ("  nqn", False), ("apiVersion", True), ("metadata", False), ("  hosts", True)]


@pytest.mark.parametrize(("above", "covered"), PLACES)
def test_the_scope_of_a_comment(lint: Lint, lab: House, above: str, covered: bool) -> None:  # noqa: FBT001
    """A field with all in it, or the whole document; not the field beside."""
    report = lint(allowed(lab, f"# holdfast: allow[{RULE}] a lab", above))
    assert rules(report) == ([] if covered else ["unused-suppression", RULE])


WRONG = [
    ("allow[open-subsytem] a lab", 'there is no rule "open-subsytem"; did you mean "open-subsystem"?'),
    ("allow[open-subsystem]", "no reason is given"),
    ("allow[open-subsystem], until 2026-12-31", "no reason is given"),
    ("allow[open-subsystem] a lab, until tomorrow", '"tomorrow" is not a date, such as 2026-12-31'),
    ("allow[open-subsystem] a lab, until 2026-02-31", '"2026-02-31" is not a date, such as 2026-12-31'),
    ("allow[] a lab", "allow names no rule in brackets"),
    ("allow open-subsystem a lab", "allow names no rule in brackets"),
    ("alow[open-subsystem] a lab", '"alow[open-subsystem] a lab" allows nothing'),
    ("ignore[open-subsystem] a lab", '"ignore[open-subsystem] a lab" allows nothing'),
]


@pytest.mark.parametrize(("said", "message"), WRONG)
def test_a_broken_comment(lint: Lint, lab: House, said: str, message: str) -> None:
    """What is not in the right form is told, and hides nothing."""
    report = lint(allowed(lab, f"# holdfast: {said}"))
    assert sorted(rules(report)) == ["invalid-suppression", RULE]
    assert report.findings[0].message == message


def test_other_comments_are_none_of_ours(lint: Lint, lab: House) -> None:
    """A sentence that happens to begin with our name is a sentence."""
    assert rules(lint(allowed(lab, "# holdfast: see the wiki, until we meet"))) == [RULE]


def test_until(lint: Lint, lab: House) -> None:
    """It counts to the end of its last day; after it, it is told of and the finding is back."""
    files = allowed(lab, f"# holdfast: allow[{RULE}] a lab until 2026-06-01")
    assert rules(lint(files, as_of=date(2026, 6, 1))) == []
    assert sorted(rules(lint(files, as_of=date(2026, 6, 2)))) == ["expired-suppression", RULE]


def test_what_holds_fast_cannot_be_allowed(lint: Lint, lab: House) -> None:
    """Neither by a comment nor by the policy nor by a baseline: the finding stays, and who tried is told."""
    lab["db.yaml"] = lab["db.yaml"].replace("poolRef: fast", "poolRef: fsat")
    first = lint(lab)
    assert "dangling-reference" in rules(first)
    lab["db.yaml"] = "# holdfast: allow[dangling-reference] no idea\n" + lab["db.yaml"]
    policy = "suppressions: [{rules: [dangling-reference], reason: none}]\n"
    report = lint(lab | {".holdfast.yaml": policy, ".holdfast-baseline.json": baseline_of(first.findings)})
    assert report.blocks
    told = [finding.message for finding in report.findings if finding.rule == "invalid-suppression"]
    assert told == ["dangling-reference cannot be allowed here: nothing could be applied with it"] * 2
    assert [finding.rule for finding in report.blocking] == ["dangling-reference"]


SELECTORS = [
    ("", True),
    ("kinds: [Subsystem]", True),
    ("kinds: [storage.holdfast.dev/Subsystem, Volume]", True),
    ("kinds: [Volume]", False),
    ("paths: [lab.yaml]", True),
    ("paths: [vendor]", False),
    ("names: [la?]", True),
    ("names: [LAB]", False),
    ("namespaces: [team-*]", True),
    ("namespaces: [team]", False),
    ("labels: {app: lab}", True),
    ("labels: {app: lab, tier: x}", False),
    ("kinds: [Subsystem], names: [db]", False),
]


@pytest.mark.parametrize(("selector", "covered"), SELECTORS)
def test_the_policy_allows(lint: Lint, lab: House, selector: str, covered: bool) -> None:  # noqa: FBT001
    """All that is given must fit, of each list any; what selects nothing is told at its own place."""
    entry = ", ".join(filter(None, (f"rules: [{RULE}], reason: a lab, until: 2026-12-31", selector)))
    report = lint(lab | {".holdfast.yaml": f"suppressions:\n  - {{{entry}}}\n"})
    assert rules(report) == ([] if covered else ["unused-suppression", RULE])
    if not covered:
        assert str(report.findings[0].location) == ".holdfast.yaml:2:5"


def test_unused_is_said_only_when_it_is_known(lint: Lint, lab: House) -> None:
    """Not while a file cannot be read, and of rules about changes only where there is a base."""
    comment = "# holdfast: allow[volume-shrink, rounded-iops] as agreed"
    files = allowed(lab, comment) | {".holdfast.yaml": f"severities: {{{RULE}: off}}\n"}
    assert [finding.message for finding in lint(files).findings] == ["rounded-iops finds nothing in lines 8 to 9"]
    assert len(lint(files, files).findings) == 2
    assert "unused-suppression" not in rules(lint(files | {"x.yaml": "a: ["}))


def test_off(lint: Lint, lab: House) -> None:
    """What is off is not said; what a rule finds worse than its own severity is said all the same."""
    ours = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Volum\nmetadata: {name: a}\n"
    foreign = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    policy = f"severities: {{{RULE}: off, unknown-kind: off}}\n"
    report = lint(lab | {".holdfast.yaml": policy, "a.yaml": ours, "b.yaml": foreign})
    assert [(finding.rule, finding.location.path) for finding in report.findings] == [("unknown-kind", "a.yaml")]
    assert report.aside == ()


def test_the_baseline_of_the_repository(lint: Lint, lab: House) -> None:
    """What it knows is set aside wherever it has moved to; one more of the same is one more."""
    baseline = baseline_of(lint(lab).findings)
    known = {".holdfast-baseline.json": baseline}
    moved = {path: text for path, text in lab.items() if path != "lab.yaml"} | {"sub/x.yaml": f"# moved\n\n{LAB}"}
    for files in (lab, moved):
        report = lint(files | known)
        assert (rules(report), report.resolved) == ([], ())
        assert [aside.by for aside in report.aside] == ["baseline"]
    other = lint(lab | known | {"two.yaml": LAB.replace("name: lab", "name: two").replace("a:lab", "a:two")})
    assert [str(finding.resource) for finding in other.findings] == ["Subsystem team-a/two"]
    mended = lint(moved | known | {"sub/x.yaml": LAB.replace("any: true", "refs: [web-1]")})
    assert (rules(mended), mended.resolved) == ([], (Known(1, RULE, "Subsystem team-a/lab"),))


def test_a_baseline_is_a_multiset(lint: Lint) -> None:
    """Two that are alike are two: when one is known, the other is new."""
    twice = "a: 1\na: 2\n"
    one = lint({"b.yaml": twice})
    report = lint({"a.yaml": twice, "b.yaml": twice})
    assert one.findings[0].fingerprint == report.findings[0].fingerprint
    known, problems = read_baseline(baseline_of(replace(f, fixed=False) for f in one.findings).encode(), "x")
    assert problems == ()
    loose = replace(report, findings=tuple(replace(finding, fixed=False) for finding in report.findings))
    divided = loose.against(known)
    assert (len(divided.findings), len(divided.aside), divided.resolved) == (1, 1, ())


BASELINES = [
    ("", "not a baseline: it has no version holdfast.dev/baseline/v1 with findings"),
    ("[]", "not a baseline: it has no version holdfast.dev/baseline/v1 with findings"),
    ('{"version": "holdfast.dev/baseline/v2", "findings": []}', "not a baseline: it has no version"),
    ('{"version": "holdfast.dev/baseline/v1", "findings": [1]}', "an entry needs a fingerprint and a count"),
    (
        '{"version": "holdfast.dev/baseline/v1", "findings": [{"fingerprint": "a", "count": 0}]}',
        "an entry needs a fingerprint and a count",
    ),
    ('{"version": ', "did not find expected node content"),
    ("\x00", "control characters are not allowed"),
]


@pytest.mark.parametrize(("text", "message"), BASELINES)
def test_a_broken_baseline(lint: Lint, house: House, text: str, message: str) -> None:
    """A baseline that cannot be understood knows nothing, and is broken policy."""
    report = lint(house | {".holdfast-baseline.json": text})
    assert report.policy_is_broken
    assert report.blocks
    [finding] = report.findings
    assert finding.message.startswith(message)
    assert finding.location.path == ".holdfast-baseline.json"


def test_no_baseline_knows_what_holds_fast(lint: Lint, house: House) -> None:
    """Guards against a file that was written by hand: what nothing could be applied with goes on blocking."""
    house["db.yaml"] = house["db.yaml"].replace("poolRef: fast", "poolRef: fsat")
    loose = [replace(finding, fixed=False) for finding in lint(house).findings]
    report = lint(house | {".holdfast-baseline.json": baseline_of(loose)})
    assert "dangling-reference" in [finding.rule for finding in report.blocking]
    unsure = [replace(finding, confidence=Confidence.LOW) for finding in report.blocking]
    assert replace(report, findings=tuple(unsure)).blocks


def test_the_file_is_stable(lint: Lint, lab: House) -> None:
    """The same findings give the same bytes whatever order they come in, a line for each sort of them."""
    findings = lint(lab | {"c.yaml": "apiVersion: a/v1\nkind: B\nmetadata: {name: c}\n"}).findings
    text = baseline_of(findings)
    assert text == baseline_of(reversed(findings))
    for written in (text, baseline_of(())):
        assert valid("baseline", written)["version"] == "holdfast.dev/baseline/v1"
    assert text.count('"fingerprint"') == 2
    assert read_baseline(baseline_of(()).encode(), "x") == ({}, ())


def test_the_file_can_be_read_again(lint: Lint) -> None:
    """Whatever names are made of; an entry that stands there twice counts twice."""
    thing = 'apiVersion: a/v1\nkind: B\nmetadata: {name: "😀\\u0085\\u2028\\uFFFD\\0\\n日本"}\n'
    report = lint({"c.yaml": thing})
    assert "unknown-kind" in rules(report)
    text = baseline_of(report.findings)
    known, problems = read_baseline(text.encode(), "x")
    assert problems == ()
    assert report.against(known).findings == tuple(finding for finding in report.findings if finding.fixed)
    line = next(line for line in text.splitlines() if "unknown-kind" in line)
    twice, _ = read_baseline(text.replace(line, f"{line.rstrip(',')},\n{line}").encode(), "x")
    assert sum(entry.count for entry in twice.values()) == sum(entry.count for entry in known.values()) + 1


def test_since_the_base(lint: Lint, lab: House) -> None:
    """What was there before and says the same is set aside; what the change made worse is not."""
    quota = (
        "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Quota\nmetadata: {name: q, namespace: team-a}\n"
        "spec: {capacity: 1Gi}\n"
    )
    before = lint(lab | {"q.yaml": quota})
    assert "quota-exceeded" in rules(before)
    same = lint({f"moved/{path}": text for path, text in (lab | {"q.yaml": quota}).items()})
    assert rules(same.since(before)) == []
    assert {aside.by for aside in same.since(before).aside} == {"base"}
    silenced = lint(allowed(lab, f"# holdfast: allow[{RULE}] a lab"))
    assert rules(lint(lab).since(silenced)) == [RULE], "who takes a suppression out brings the finding"
    worse = lint(lab | {"q.yaml": quota, "db.yaml": lab["db.yaml"].replace("100Gi", "200Gi")})
    assert rules(worse.since(before)) == ["quota-exceeded"]


def test_a_comment_lifts_no_limit(lint: Lint, lab: House) -> None:
    """Guards tenants against each other: an error of what is applied is for the policy to allow, not for a comment."""
    pool = lab["pool.yaml"].replace("spec: {", "spec: {allowedNamespaces: [team-b], ")
    files = lab | {"pool.yaml": pool, "lab.yaml": ""}
    assert rules(lint(files)) == ["namespace-not-allowed"]
    commented = lint(files | {"db.yaml": "# holdfast: allow[namespace-not-allowed] we need it\n" + lab["db.yaml"]})
    assert sorted(rules(commented)) == ["invalid-suppression", "namespace-not-allowed"]
    assert [finding.rule for finding in commented.blocking] == ["namespace-not-allowed"]
    assert commented.aside == ()
    policy = "suppressions: [{rules: [namespace-not-allowed], names: [db], reason: agreed}]\n"
    assert rules(lint(files | {".holdfast.yaml": policy})) == []
    assert rules(lint(files | {".holdfast-baseline.json": baseline_of(lint(files).findings)})) == []


def test_labels_of_every_cluster(lint: Lint) -> None:
    """A selector finds a resource in whichever cluster it is declared."""
    unknown = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: %s, labels: {app: %s}}\n"
    files = {f"{name}/s.yaml": unknown % (name, name) for name in ("one", "two")}
    files |= {f"{name}/kustomization.yaml": "resources: [s.yaml]\n" for name in ("one", "two")}
    policy = "roots: [{path: one, cluster: one}, {path: two, cluster: two}]\n"
    assert rules(lint(files | {".holdfast.yaml": policy})) == ["unknown-kind"] * 2
    allow = "suppressions: [{rules: [unknown-kind], labels: {app: two}, reason: a test}]\n"
    [left] = lint(files | {".holdfast.yaml": policy + allow}).findings
    assert left.location.path == "one/s.yaml"


@pytest.mark.timeout(20)
def test_very_many_comments(lint: Lint) -> None:
    """A file of nothing but comments that allow something, and endless ones, are read in good time; few count."""
    line = "x%d: 1 # holdfast: allow[unknown-field] as agreed\n"
    head = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Quota\nmetadata: {name: a, namespace: b}\nspec: {}\n"
    report = lint({"a.yaml": head + "".join(line % n for n in range(8_000))})
    told = [finding.message for finding in report.findings if "more than" in finding.message]
    assert told == ["more than 1,000 of these in one file; from here on none counts"]
    endless = lint({"a.yaml": f"a: 1 # holdfast: allow[{' ' * 400_000} until {' ' * 400_000}] {'until ' * 50_000}x\n"})
    assert "invalid-suppression" in rules(endless)


@pytest.mark.timeout(20)
def test_endless_names_have_fingerprints(lint: Lint) -> None:
    """A name without end makes a message without end, and its fingerprint takes no longer than others."""
    report = lint({"a.yaml": f"apiVersion: a/v1\nkind: {'k' * 400_000}\nmetadata: {{name: {'1' * 4_000}}}\n"})
    assert report.findings
    assert all(len(finding.fingerprint) == 32 for finding in report.findings)
    huge = '{"version": "holdfast.dev/baseline/v1", "findings": [{"fingerprint": "a", "count": 1%s}]}'
    assert lint({".holdfast-baseline.json": huge % ("0" * 5_000)}).policy_is_broken
    assert lint({".holdfast-baseline.json": huge % "e300"}).policy_is_broken


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_whatever_a_comment_says(said: str) -> None:
    """It is a suppression, a broken one, or none of ours; never the end of the analysis."""
    source = Source(f"a: 1 # holdfast: {said}\n# holdfast: allow[{said}] {said}\n".encode(errors="replace"))
    for suppression in suppressions_in("a.yaml", source):
        assert suppression.problem or (suppression.rules and suppression.reason)


def test_no_variable_makes_less_of_a_limit(lint: Lint, lab: House) -> None:
    """Guards tenants against each other: what is ours is applied as it is written, so a `${VARIABLE}` in it makes no
    finding doubtful.
    """
    pool = lab["pool.yaml"].replace("spec: {", "spec: {allowedNamespaces: [team-b], ")
    note = lab["db.yaml"].replace("namespace: team-a}", 'namespace: team-a, annotations: {note: "${LATER}"}}')
    assert "LATER" in note
    report = lint(lab | {"pool.yaml": pool, "lab.yaml": "", "db.yaml": note})
    assert [(finding.rule, str(finding.confidence)) for finding in report.blocking] == [
        ("namespace-not-allowed", "high")
    ]
