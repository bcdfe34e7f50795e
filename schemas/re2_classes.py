"""The named classes of characters in Go's regular expressions, as ranges of code points."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Iterable
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]

_HIGHEST = sys.maxunicode


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CATEGORIES = _words(
    "C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs"
)
# Python does not tell which script a character is of, so that these are known by name only.
_SCRIPTS = _words(
    """
    Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Beria_Erfe
    Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham
    Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru
    Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek
    Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana
    Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana
    Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu
    Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi
    Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani
    Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki
    Ol_Onal Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian
    Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician
    Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham Sidetic SignWriting Sinhala
    Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet
    Tai_Yo Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri Tolong_Siki Toto
    Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square
    """
)
# Categories by their long names, and classes beside the categories, which newer versions of Go know.
_NEWER = _words(
    """
    ASCII Assigned Cased_Letter Close_Punctuation Cn Connector_Punctuation Control Currency_Symbol Dash_Punctuation
    Decimal_Number Enclosing_Mark Final_Punctuation Format Initial_Punctuation LC Letter Letter_Number Line_Separator
    Lowercase_Letter Mark Math_Symbol Modifier_Letter Modifier_Symbol Nonspacing_Mark Number Open_Punctuation Other
    Other_Letter Other_Number Other_Punctuation Other_Symbol Paragraph_Separator Private_Use Punctuation Separator
    Space_Separator Spacing_Mark Surrogate Symbol Titlecase_Letter Unassigned Uppercase_Letter
    """
)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same characters in order, each once."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def any_but(ranges: Ranges) -> Ranges:
    """Every character that is not among these."""
    found, low = [], 0
    for start, end in ranges:
        if low < start:
            found.append((low, start - 1))
        low = end + 1
    return (*found, (low, _HIGHEST)) if low <= _HIGHEST else tuple(found)


def folded(ranges: Ranges) -> Ranges:
    """With the other case of every letter; of long ranges, that of the ASCII letters alone."""
    found = list(ranges)
    for low, high in ranges:
        letters = range(low, high + 1) if high - low < 500 else range(max(low, 65), min(high, 122) + 1)
        for code in letters:
            found += [(other, other) for other in _cases(code)]
    return merged(found)


def _cases(code: int) -> set[int]:
    char = chr(code)
    others = {char.lower(), char.upper(), char.upper().lower()} | _SPECIAL.get(char.lower(), set())
    return {ord(other) for other in others if len(other) == 1}


_SPECIAL = {"k": {"\u212a"}, "s": {"\u017f"}, "å": {"\u212b"}}  # characters whose lower case is an ordinary letter


def unicode_class(name: str) -> Ranges | str | None:
    """A class by its name; None for one that is known by name only; the name itself where there is none such."""
    if name == "Any":
        return ((0, _HIGHEST),)
    if name in _CATEGORIES:
        return _category(name)
    return None if name in _SCRIPTS or name in _NEWER else name


@functools.cache
def _category(name: str) -> Ranges:
    return merged((code, code) for code in range(_HIGHEST + 1) if unicodedata.category(chr(code)).startswith(name))


def _ascii(text: str) -> Ranges:
    """`az09_` as ranges: pairs of ends, and a single character at the end."""
    pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
    return merged((ord(pair[0]), ord(pair[-1])) for pair in pairs)


_DIGIT, _WORD, _SPACE = _ascii("09"), _ascii("09AZaz_"), merged([(9, 10), (12, 13), (32, 32)])
PERL = {
    "d": _DIGIT,
    "D": any_but(_DIGIT),
    "w": _WORD,
    "W": any_but(_WORD),
    "s": _SPACE,
    "S": any_but(_SPACE),
}
POSIX = {
    "alnum": _ascii("09AZaz"),
    "alpha": _ascii("AZaz"),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGIT,
    "graph": ((33, 126),),
    "lower": _ascii("az"),
    "print": ((32, 126),),
    "punct": merged([(33, 47), (58, 64), (91, 96), (123, 126)]),
    "space": ((9, 13), (32, 32)),
    "upper": _ascii("AZ"),
    "word": _WORD,
    "xdigit": _ascii("09AFaf"),
}
