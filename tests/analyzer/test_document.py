"""Reading YAML: values as YAML 1.2 says, places exact, and everything doubtful a defect, not a guess or a crash."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import composer
from analyzer.composer import Place, compose
from analyzer.document import Parsed, load, parse
from analyzer.snapshot import Blob


def values(text: str | bytes) -> list[object]:
    return [found.value for found in read(text).documents]


def read(text: str | bytes) -> Parsed:
    return parse(text if isinstance(text, bytes) else text.encode())


def only(text: str | bytes) -> tuple[str, str]:
    """The one defect: its place and message."""
    [defect] = read(text).defects
    return f"{defect.place.line}:{defect.place.column}", defect.message


def test_values() -> None:
    """Mappings, lists, quotes and blocks become what JSON would hold."""
    text = "a: 1\nb: [x, 'y', \"z\\n\"]\nc:\n  - d: |\n      text\n    e: >-\n      folded\n      line\nf: {}\n"
    assert values(text) == [{"a": 1, "b": ["x", "y", "z\n"], "c": [{"d": "text\n", "e": "folded line"}], "f": {}}]


def test_quoted_scalars_stay_text() -> None:
    """Quotes make text of what would be a number, a truth value or nothing."""
    assert values("a: '1'\nb: \"true\"\nc: ''\nd: |-\n  12\n") == [{"a": "1", "b": "true", "c": "", "d": "12"}]


def test_documents() -> None:
    """A file may hold several documents; empty ones and comments count for nothing."""
    assert values("---\na: 1\n---\n# nothing\n---\n~\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert values("") == values("# only a comment\n") == values("---\n") == []


def test_list_kinds_are_unfolded() -> None:
    """The items of a List are documents of their own, also when Lists are nested, and know their places."""
    text = "kind: List\nitems:\n  - kind: A\n  - kind: List\n    items:\n      - kind: B\n        x: 1\n"
    found = read(text).documents
    assert [item.value for item in found] == [{"kind": "A"}, {"kind": "B", "x": 1}]
    assert found[1].place(("x",)) == Place(7, 12)
    assert found[0].place(()) == Place(3, 5)


def test_places() -> None:
    """Scalars, keys and items have their exact line and column, from 1, in flow style and in later documents too."""
    text = "# c\na: 1\nb:\n  - x: yes\n    y: {p: q, r: [s, t]}\n---\n  'k k':   v\n"
    first, second = read(text).documents
    assert first.place(()) == Place(2, 1)
    assert first.place(("a",)) == Place(2, 4)
    assert first.place(("a",), key=True) == Place(2, 1)
    assert first.place(("b", 0, "x")) == Place(4, 8)
    assert first.place(("b", 0)) == Place(4, 5)
    assert first.place(("b", 0, "y", "r", 1)) == Place(5, 22)
    assert first.place(("b", 0, "y", "p"), key=True) == Place(5, 9)
    assert second.place(("k k",)) == Place(7, 12)


def test_a_mapping_is_found_by_its_key() -> None:
    """What is wrong with a whole mapping or list, or with a value left empty, is shown at the key that holds it."""
    [found] = read("spec:\n  a:\n    b: 1\n  c:\n").documents
    assert found.place(("spec", "a")) == Place(2, 3)
    assert found.place(("spec", "c")) == Place(4, 3)


def test_what_is_missing_is_shown_where_it_should_be() -> None:
    """The place of a path that is not there is that of the nearest thing around it."""
    [found] = read("spec:\n  a: 1\n").documents
    assert found.place(("spec", "size")) == Place(1, 1)
    assert found.place(("nothing", "at", 0, "all")) == Place(1, 1)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_breaks_and_byte_order_marks(line_break: str, mark: str) -> None:
    """Files from every editor read alike, with the same places and the same lines to show."""
    [found] = read(f"{mark}a: 1{line_break}b: 2{line_break}".encode()).documents
    assert found.value == {"a": 1, "b": 2}
    assert found.place(("a",), key=True) == Place(1, 1)
    assert found.place(("b",)) == Place(2, 4)
    assert found.source.line(2) == "b: 2"
    assert found.source.line(99) == ""


def test_columns_count_characters() -> None:
    """A column counts characters, not bytes."""
    [found] = read("é: {ü: 😀, x: 1}\n").documents
    assert found.place(("é", "x")) == Place(1, 14)


def test_aliases() -> None:
    """An alias stands for what its anchor holds, is found where the alias is written, and ends with its document."""
    [found] = read("a: &x {b: 1}\nc: *x\nd: &y text\ne: [*y]\n").documents
    assert found.value == {"a": {"b": 1}, "c": {"b": 1}, "d": "text", "e": ["text"]}
    assert found.place(("e", 0)) == Place(4, 5)
    assert found.place(("c", "b")) == Place(1, 11)
    assert only("a: &x 1\n---\nb: *x\n") == ("3:4", "the alias *x stands for nothing in this document")


def test_an_anchor_may_be_given_again() -> None:
    """YAML lets the newest anchor of a name count from there on."""
    assert values("a: &x 1\nb: *x\nc: &x 2\nd: *x\n") == [{"a": 1, "b": 1, "c": 2, "d": 2}]


DEFECTS = [
    ("a: b: c\n", "1:5", "mapping values are not allowed in this context"),
    ("a:\n\t- b\n", "2:1", "found character that cannot start any token"),
    ("a: [1, 2\nb: 3\n", "2:2", "did not find expected ',' or ']'"),
    ("a: 'x\n", "2:1", "found unexpected end of stream"),
    ("1: a\n", "1:1", "the key 1 is not a string"),
    ("true: a\n", "1:1", "the key true is not a string"),
    ("~: a\n", "1:1", "the key null is not a string"),
    ("? [a, b]\n: c\n", "1:3", "a whole mapping or list cannot be a key"),
    ("a: {{ .x }}\n", "1:5", "a whole mapping or list cannot be a key"),
    ("a: !Ref b\n", "1:4", "the tag !Ref has no meaning in a manifest"),
    ("a: !thing {b: 1}\n", "1:4", "the tag !thing has no meaning in a manifest"),
    ("a: !!set {b}\n", "1:4", "the tag !!set has no meaning in a manifest"),
    ("a: !!int b\n", "1:4", "'b' is no !!int"),
    ("a: .inf\n", "1:4", ".inf is not a number that JSON can carry"),
    ("a: *b\n", "1:4", "the alias *b stands for nothing in this document"),
    ("a: &b [*b]\n", "1:8", "the alias *b contains itself"),
    ("a: &b {}\nc: {<<: *b}\n", "2:5", 'merge keys ("<<") are not part of YAML 1.2'),
    ("%YAML 2.0\n---\na: 1\n", "1:1", "found incompatible YAML document"),
    (b"a: 1\nb: \xff\n", "2:4", "not UTF-8"),
    ("a: 1\n".encode("utf-16"), "1:1", "not UTF-8"),
    (b"a: 1\nb: \x00\n", "2:4", "control characters are not allowed (U+0000)"),
    ("é: 1\nb: \x07\n", "2:4", "control characters are not allowed (U+0007)"),
    ("é: 1\nb: x\u2028y\n", "2:5", "the line break U+2028, which editors do not show"),
    ("a: x\x85y\n", "1:5", "the line break U+0085, which editors do not show"),
]


@pytest.mark.parametrize(("text", "place", "message"), DEFECTS)
def test_defects(text: str | bytes, place: str, message: str) -> None:
    """What cannot be taken at its word is said, at its place; nothing is guessed."""
    assert only(text) == (place, message)


KUBERNETES = "apiVersion: apps/v1\nkind: Deployment\n"
OURS = "apiVersion: storage.holdfast.dev/v1alpha1\nkind: Volume\n"


def test_kubernetes_reads_merge_keys() -> None:
    """What stands in the mapping goes before what it merges, the first merged before the second, all at their place."""
    text = f"{KUBERNETES}x: &x {{a: 1, b: 2}}\ny: &y {{b: 3, c: {{d: 4}}}}\nz: {{<<: [*x, *y], a: 5}}\n"
    found = read(text)
    [document] = found.documents
    assert isinstance(document.value, dict)
    assert (document.value["z"], found.defects) == ({"a": 5, "b": 2, "c": {"d": 4}}, ())
    assert [document.place(("z", key)) for key in "abc"] == [Place(5, 22), Place(3, 17), Place(4, 14)]


def test_kubernetes_reads_numbers_and_truths_as_keys() -> None:
    """Its reader makes texts of them; what is none in JSON either stays a defect."""
    assert values(f"{KUBERNETES}a: {{404: x, true: y}}\n")[0]["a"] == {"404": "x", "true": "y"}
    assert only(f"{KUBERNETES}a: {{~: x}}\n") == ("3:5", "the key null is not a string")
    assert only(f"{KUBERNETES}a: {{404: x, '404': y}}\n") == ("3:13", '"404" is given twice in one mapping')


@pytest.mark.parametrize("text", [OURS, f"{OURS.replace('holdfast', 'holdfats')}", "", f"{KUBERNETES}--- \n{OURS}"])
def test_ours_hold_no_merge_keys(text: str) -> None:
    """A reviewer sees every field of ours where it applies, and what a document is for decides, not its neighbours."""
    found = read(f"{text}x: &x {{a: 1}}\ny: {{<<: *x}}\n")
    assert [defect.message for defect in found.defects] == ['merge keys ("<<") are not part of YAML 1.2']
    assert found.documents[-1].broken


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: &x 1\ny: {<<: *x}\n", "a merge key takes a mapping, or a list of them"),
        ("x: &x {}\ny: {<<: *x, <<: *x}\n", '"<<" is given twice in one mapping'),
        ("x: {<<: *x, b: [\n", "the alias *x stands for nothing"),
        ("x: &x {<<: {b: {<<: *x}}}\n", "the alias *x contains itself"),
    ],
)
def test_merge_keys_that_merge_nothing(text: str, message: str) -> None:
    """A merge key that cannot be followed is a defect, and leaves nothing in what was read that is no JSON."""
    found = read(KUBERNETES + text)
    assert any(defect.message.startswith(message[:20]) for defect in found.defects)
    json.dumps([document.value for document in found.documents])


def test_a_quoted_merge_key_is_a_key() -> None:
    """Only the plain `<<` ever meant merging."""
    assert values("'<<': 1\n") == [{"<<": 1}]


def test_duplicate_keys_name_both_places() -> None:
    """The first of two equal keys stands, and the defect of the second knows where that was."""
    found = read("a:\n  x: 1\n  y: 2\n  x: 3\n")
    [defect] = found.defects
    assert (defect.rule, defect.place, defect.first) == ("duplicate-key", Place(4, 3), Place(2, 3))
    assert found.documents[0].value == {"a": {"x": 1, "y": 2}}
    assert found.documents[0].broken


def test_equal_keys_of_two_mappings_are_no_duplicates() -> None:
    """Only keys of one mapping can clash."""
    assert read("a: {x: 1}\nb: {x: 1}\n---\na: 1\n").defects == ()


def test_what_stands_before_a_syntax_error_counts() -> None:
    """Documents that were complete keep their value; the one that breaks off is marked."""
    found = read("a: 1\n---\nb: 2\nc: [\n")
    assert [(item.value, item.broken) for item in found.documents] == [({"a": 1}, False), ({"b": 2, "c": []}, True)]


def test_dropped_values_do_not_disturb_places() -> None:
    """After keys that cannot stand, reading goes on in step, and nothing of what was dropped is found again."""
    found = read("? {a: 1}\n: {b: [1, 2]}\n" * 50 + "c: 3\nd: {e: {f: 1}}\n")
    [kept] = found.documents
    assert kept.value == {"c": 3, "d": {"e": {"f": 1}}}
    assert kept.place(("c",)) == Place(101, 4)
    assert kept.place(("d", "b", 0)) == kept.place(("d", "a")) == Place(102, 1)
    assert kept.place(("d", "e", "a")) == Place(102, 5)


def refusal(text: str | bytes) -> str:
    found = read(text)
    assert found.defects
    return found.defects[-1].message


def test_30_000_levels() -> None:
    """Brackets nested without end are refused, and overflow no stack, in either style."""
    assert refusal("[" * 30_000) == f"nested more than {composer.MAX_DEPTH} levels deep"
    assert refusal("{a: " * 30_000) == f"nested more than {composer.MAX_DEPTH} levels deep"
    assert refusal("- " * 30_000) == f"nested more than {composer.MAX_DEPTH} levels deep"
    assert refusal("? " * 30_000) == f"nested more than {composer.MAX_DEPTH} levels deep"


def test_the_deepest_that_is_allowed() -> None:
    """The limit itself is still read."""
    depth = composer.MAX_DEPTH
    assert read("[" * depth + "]" * depth).defects == ()
    assert read("[" * (depth + 1) + "]" * (depth + 1)).defects != ()


def test_billion_laughs() -> None:
    """Aliases count as what they stand for, so a few hundred bytes cannot become billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "every alias counted in full" in refusal("\n".join(lines))


def test_long_texts_in_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases count by their characters as well: one long text in a hundred thousand places fills any memory."""
    monkeypatch.setattr(composer, "MAX_ALIASED", 1_000)
    message = "aliases that stand for more than 1,000 characters"
    assert refusal(f"a: &a {'x' * 400}\nb: [*a, *a, *a]") == message
    assert refusal(f"a: &a [{'x' * 400}]\nb: &b [*a, *a]\nc: *b") == message
    assert read(f"a: &a {'x' * 400}\nb: [*a, *a]").defects == ()


def test_mistakes_without_number() -> None:
    """A file full of mistakes is read up to the thousandth: nobody mends more, and every one takes its room."""
    found = read("a: 1\n" * 5_000 + "b: *nothing\n" * 5_000).defects
    assert len(found) == composer.MAX_DEFECTS + 1
    assert found[-1].message == f"{composer.MAX_DEFECTS:,} mistakes in one file"


def test_guesses_have_an_end() -> None:
    """An alias of nothing is compared with some of the anchors, however many and however long they are."""
    anchors = "".join(f"{name}: &{name} [x]\n" for name in (f"a{'x' * 200}{at}" for at in range(5_000)))
    assert len(read(anchors + "b: *axx\n" * 1 + f"c: *a{'x' * 5_000}\n").defects) == 2  # both


def test_size_of_a_scalar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text may be long, but not without end."""
    assert read("a: " + "x" * composer.MAX_SCALAR).defects == ()
    assert refusal("a: " + "x" * 1_000_000) == f"a text of 1,000,000 characters (limit {composer.MAX_SCALAR:,})"
    assert refusal("a: |\n  " + "x" * 1_000_000) == f"a text of 1,000,000 characters (limit {composer.MAX_SCALAR:,})"


def test_number_of_documents_values_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are bounded in every direction."""
    monkeypatch.setattr(composer, "MAX_DOCUMENTS", 3)
    monkeypatch.setattr(composer, "MAX_NODES", 20)
    monkeypatch.setattr(composer, "MAX_FILE_BYTES", 1000)
    assert refusal("--- a\n" * 4) == "more than 3 documents in one file"
    assert refusal(f"[{'[],' * 30}]") == "more than 20 values, every alias counted in full"
    assert refusal("? " + "#" * 999) == "a file of 1,001 bytes (limit 1,000)"


def test_parsed_once_for_each_blob_id() -> None:
    """The blob id is the key: the same content is never read twice."""
    blob = Blob("a.yaml", "0123", b"a: 1\n")
    assert load(blob) is load(Blob("other.yaml", "0123", b"a: 1\n"))


def test_positions_do_not_change_values() -> None:
    """Reading with and without positions is one reading."""
    text = b"a: &x [1, {b: 2}]\nc: *x\n---\nd: !!str 5\n? e\n: f\n"
    with_positions = compose(text, record=True)
    assert [root.value for root in with_positions.roots] == values(text)


CHARACTERS = "ab1:-?,[]{}&*!|>'\"%#@`~<=. \t\n\r\\0é\u2028\ufeff"
PIECES = ["a: ", "- ", "? ", ": ", "  ", "&x ", "*x", "!!str ", "---\n", "...\n", "|\n", "<<: ", *"\n[]{}'\"b1,#"]
yaml_like = st.text(st.sampled_from(CHARACTERS), max_size=60) | st.lists(st.sampled_from(PIECES), max_size=40).map(
    "".join
)


def paths(value: object) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside a value."""
    yield ()
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        yield from ((step, *path) for path in paths(child))


@given(yaml_like | st.binary(max_size=60))
@settings(max_examples=600, derandomize=True, deadline=None)
def test_fuzz(data: str | bytes) -> None:
    """Whatever the bytes, there are values that JSON can carry and a place for each defect, and no crash."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    found = parse(raw)
    places = [defect.place for defect in found.defects]
    for item in found.documents:
        json.dumps(item.value, allow_nan=False)
        places += [item.place((*path, *more)) for path in paths(item.value) for more in ((), ("a",), (0,), ("x", 1))]
    lines = raw.count(b"\n") + raw.count(b"\r") + 2
    assert all(1 <= place.line <= lines and place.column >= 1 for place in places)


texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff"))
numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_json_is_yaml(value: object) -> None:
    """Every JSON text reads as the value it is."""
    found = parse(json.dumps(value, ensure_ascii=False).encode())
    assert found.defects == ()
    assert [item.value for item in found.documents] == ([] if value is None else [value])


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_memory_of_a_bomb() -> None:
    """Reading a bomb takes no more memory than a large file does."""
    import resource  # noqa: PLC0415  # POSIX only

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    test_billion_laughs()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
