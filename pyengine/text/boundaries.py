"""Where the sentences of a line begin: what the library sentencex says, and what it gets wrong.

Its boundaries are taken back, and some are added, by a few rules over the words around them; the
words are those of :mod:`pyengine.text.sentence_exceptions`. docs/sentences.md has the measurement.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from pyengine import exits
from pyengine.text.sentence_exceptions import Exceptions, exceptions_of, final_pattern
from pyengine.text.spans import inside_spans

WINDOW = 2048
"""Characters that the library sees at once: it takes time with their square, and holds the
interpreter. Of these, it decides the first half, so that a quotation of as many is seen whole."""

_CONTEXT = 64
"""Characters beside a boundary that the rules look at."""

# sentencex 1.0.32 panics where a white space of several bytes is between an initial and its full
# stop ("J\u00a0."), so it gets to see plain spaces in their place.
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")

_INCHES = re.compile(r'(?<![0-9])"[^"]*"|(?<=[0-9])"')
"""A quotation, or else the mark of inches, which the library would pair with the next one."""

_QUOTES = re.compile('["\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f()\uff08\uff09]')

_BEFORE_WORD = re.compile(r"[(\u00ab\u201e\u201c\"'\u2019\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_FIRST_WORD = re.compile(r"\W*(\w+)")
_ROMAN = re.compile(r"[IVXLC]+\b")
_LABEL = re.compile(r"[\W\d_]*(?:\d{1,3}|[^\W\d_])\.(?:[\s-]*(?:\d{1,3}|[^\W\d_])\.)*\s*")
"""Numbers and initials alone: no sentence, but what comes before one, or before a name."""
_ORDINAL = re.compile(r"(?:^|[\s(\u201e\u2013-])\d{1,2}\.\s+$")
_YEAR = re.compile(r"\b\d{4}\.\s+$")
_DAY = re.compile(r"\d{1,2}\.")
_LETTER = re.compile(r"(?:^|[\W\d_])[^\W\d_]\.\s*$")
_LETTERS = re.compile(r"(?:^|[\W\d_])(?:[^\W\d_]{1,3}\.[\s-]?){2,}$")
_INITIAL = re.compile(r"[^\W\d_]\.")
_QUOTED = re.compile(r"[\"'\u201d\u201c\u2019\u00bb\u00ab\u300d\u300f]\s*$")
_OPENING = re.compile(r"\s[\"'\u2018\u2019\u201c\u201e\u00ab]$")
_SHORT = re.compile(r"[^\W\d_]{1,3}")
_NUMERAL = re.compile(r"(?:^|\s)(?:[IVXLC]+|\d+[\u00ba\u00aa\u00b0])\.\s+$")
_FEMININE = re.compile(r"[^\W\d_]+\u00aa")
"""Titles: "Profª.", "Dª."."""
_NUMBER_IN_BRACKETS = re.compile(r"[(\[]\d")
_SPEAKER = re.compile(r"[\u2013\u2014]\s*[^\W\d_]")
"""A dash and a word: who speaks, where the word is small."""
_CLOSING = re.compile(r"(?<!\s)[)\]\u2019\u201d\u00bb\u3009\u300b\u300d\u300f\u3011\uff09]+\s*")
_TITLE = re.compile(r"[\u3009\u300b]$")
_ELLIPSIS = re.compile(r"(?:\.\.\.|\u2026)[\"'\u201d\u00bb]?\s*$")
_OTHER_MARKS = re.compile(
    "(?<!\u17d4\u179b)[\u17d4\u17d5](?!\u179b\u17d4)\\s*"  # Khmer, not within its "etc."
    "|[\u1c7e\u1c7f\uabeb\u1803\u1809]\\s*"  # Santali, Manipuri, Mongolian
    "|[\u0f0d\u0f0e]+\\s+"  # Tibetan
)
"""Of scripts whose ends of sentences the library does not know."""
_LINK = re.compile(r"\[[^\[\]]*\]\(")
_REMARK = re.compile(
    r"\s*(?:\([^()]{2,500}[.!?\u2026][\"'\u201d\u2019]?\)\s+"
    r"|\[[^\[\]]{2,500}[.!?\u2026][\"'\u201d\u2019]?\]\s+"
    r"|\uff08[^\uff08\uff09]{2,500}[\u3002\uff01\uff1f\u2026][\u300d\u300f\u201d]?\uff09\s*)"
)


def split_sentences(line: str, language: str) -> Iterator[str]:
    """The sentences of a line, each with the white space behind it; joined they are the line.

    Args:
        line: any string without lone surrogates.
        language: its code in ISO 639, such as "en"; an unknown one gets English rules.
    """
    exceptions = exceptions_of(language)
    is_inside = inside_spans(line)
    start = 0
    for cut in _corrected(line, _library_cuts(line, language), language):
        if not (is_inside(cut) or _continues(line, start, cut, exceptions)):
            yield line[start:cut]
            start = cut
    if start < len(line):
        yield line[start:]


def without_quotes(text: str) -> str:
    """``text`` with spaces for quotation marks and brackets, whose inside is never split."""
    return _QUOTES.sub(" ", text)


def _library_cuts(line: str, language: str) -> Iterator[int]:
    """Where the library begins a sentence, found window by window."""
    masked = _masked(line)
    start = 0
    while start < len(masked):
        window = masked[start : start + WINDOW]
        cuts = [start + end for end in _segment(window, language)]
        if start + WINDOW < len(masked):
            decided = bisect_right(cuts, start + WINDOW // 2)
            cuts = cuts[:decided] or cuts[:-1][:1] or [start + _space_before_end(window)]
        yield from cuts
        start = cuts[-1]


def _segment(window: str, language: str) -> Iterator[int]:
    """The ends of the sentences of a window, as the library sees them."""
    with exits.guarded_imports:
        import sentencex

    end = 0
    for sentence in sentencex.segment(language, window):
        end += len(sentence)
        yield end


def _space_before_end(window: str) -> int:
    """Where to cut a window that is no more than a part of one sentence."""
    last = max(window.rfind(" "), window.rfind("\t"))
    return last + 1 if last > 0 else len(window)


def _masked(line: str) -> str:
    """What the library sees of a line, character for character."""
    spaced = _WIDE_SPACE.sub(" ", line)
    if '"' not in spaced:
        return spaced
    return _INCHES.sub(lambda mark: "\u2033" if mark[0] == '"' else mark[0], spaced)


def _corrected(line: str, cuts: Iterator[int], language: str) -> Iterator[int]:
    """``cuts``, each between closing and opening marks, with those that the library misses."""
    final = final_pattern(language)
    start = 0
    for cut in cuts:
        if _OPENING.search(line, cut - 2, cut) and line[cut : cut + 1].isalnum():
            cut -= 1
        elif closing := _CLOSING.match(line, cut):
            cut = closing.end()
        if cut <= start:
            continue
        ends = [found.end() for found in final.finditer(line, start, cut)]
        found = [end for end in ends if line[end : end + 1].isupper()]
        found += [mark.end() for mark in _OTHER_MARKS.finditer(line, start, cut)]
        found += _ends_of_remarks(line, start, cut)
        yield from sorted({*found, cut})
        start = cut


def _ends_of_remarks(line: str, start: int, end: int) -> Iterator[int]:
    """Where remarks in brackets end that a sentence begins with."""
    while remark := _REMARK.match(line, start, end):
        start = remark.end()
        if not line[start : start + 1].islower():
            yield start


def _continues(line: str, start: int, cut: int, exceptions: Exceptions) -> bool:
    """Whether a sentence from ``start`` goes on at ``cut``."""
    before = line[max(start, cut - _CONTEXT) : cut]
    after = line[cut : cut + _CONTEXT]
    if not after:
        return False
    first = _FIRST_WORD.match(after)
    word = first[1] if first else ""
    return (
        (cut - start < _CONTEXT and _LABEL.fullmatch(before) is not None)
        or _follows_abbreviation(before, after, word, exceptions)
        or _follows_number(before, after, word, exceptions)
        or _is_inside_token(before, after)
        or _follows_quotation(before, after, exceptions)
        or (word[:1].islower() and _ELLIPSIS.search(before) is not None)
    )


def _follows_abbreviation(before: str, after: str, word: str, exceptions: Exceptions) -> bool:
    *_, token = ("", *before.split())
    if not token.endswith("."):
        return False
    *_, last = _BEFORE_WORD.split(token[:-1])
    last = last if len(last) == 1 else last.lower()
    if last in exceptions.inner or _FEMININE.fullmatch(last):
        return True
    belongs_to_numbers = last in exceptions.numbered or last.endswith("str")
    if after[0].isdigit() and (_SHORT.fullmatch(last) or belongs_to_numbers):
        return True  # few sentences begin with a number
    if belongs_to_numbers and _NUMBER_IN_BRACKETS.match(after):
        return True
    if last in exceptions.numbered and _ROMAN.match(after):
        return True
    if word[:1].isupper():
        return False
    if last in exceptions.final or last in exceptions.units:
        return True
    return _LETTERS.search(before) is not None or _NUMERAL.search(before) is not None


def _follows_number(before: str, after: str, word: str, exceptions: Exceptions) -> bool:
    """Within a date, or after an ordinal number."""
    if not exceptions.ordinals:
        return False
    if _YEAR.search(before):
        return _DAY.match(after) is not None
    if not _ORDINAL.search(before):
        return False
    if word[:1].isupper():
        return bool(exceptions.openers) and word.lower() not in exceptions.openers
    return True


def _is_inside_token(before: str, after: str) -> bool:
    """Within "J.-C.", "a. m.", "![picture](file)" or, in Korean, a quotation and its particle."""
    if _INITIAL.match(after) and _LETTER.search(before):
        return True
    if before[-1].isspace():
        return False
    if before[-1] == "!" and _LINK.match(after):
        return True
    hangul = "\uac00" <= after[0] <= "\ud7a3"
    return after[0] in "-'\u2019\u00ba\u00aa\u00b0" or (
        hangul and _QUOTED.search(before) is not None
    )


def _follows_quotation(before: str, after: str, exceptions: Exceptions) -> bool:
    if _TITLE.search(before):
        return True
    speaker = _SPEAKER.match(after)
    if speaker and speaker[0][-1].islower():
        return True
    if _QUOTED.search(before) is None:
        return False
    if after[0].islower():
        return True
    return exceptions.continues is not None and exceptions.continues.match(after) is not None
