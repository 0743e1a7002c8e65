"""Spans of a text that are no language: placeholders, tags, addresses, times, signs.

They mean something to a program, or are signs that the model's vocabulary lacks, so that they stay
as they are wherever the text around them is translated.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from pyengine.text.span_patterns import BLOCKS, MARKS, SIGNS, SYMBOLS, WORDS

# No span is without one of these, which is quick to see: all begin with one class of characters,
# which leaves out the small letters.
_ALONE = rf"{{<>|%$&@#:`\\_\[*=+\u20e3\ufb00-\ufb06{SYMBOLS}{SIGNS}"
_SIGN = re.compile(
    rf"[{_ALONE}A-Z0-9./~(-](?:(?<=[{_ALONE}])|(?<=[a-z][A-Z])|(?<=-)-|(?<=[A-Z0-9]-)\d|(?<=~)[~/]|(?<=\()\)|(?<=\.)[A-Za-z]"
    r"|(?<=\d)(?:(?<=[A-Fa-fv]\d)|[A-Fa-f]|-\d|\.\d+\.\d)|(?<=/)(?:(?<!\w/)|[\w.@+-]+/))"
)

_JOINERS = "\u200d\ufe0e\ufe0f" + "".join(map(chr, range(0xE0020, 0xE0080)))
"""Of emoji that several characters make up; the last are the tags of flags."""


class Span(NamedTuple):
    """A part of a text.

    Attributes:
        start, end: where it stands.
        is_word: whether it stands for a word, as a placeholder does; a mark, such as a tag, may
            stand beside a sentence.
    """

    start: int
    end: int
    is_word: bool


@cache
def _span() -> re.Pattern[str]:  # it takes milliseconds to compile, which few texts need
    return re.compile(f"(?P<mark>{'|'.join(MARKS)})|(?:{'|'.join(WORDS)})")


@cache
def _block() -> re.Pattern[str]:
    return re.compile("|".join(BLOCKS))


def may_hold_spans(text: str) -> bool:
    """Whether :func:`find_spans` may find some, without characters that a vocabulary lacks."""
    return _SIGN.search(text) is not None


def find_spans(text: str, unknown: frozenset[str] = frozenset()) -> list[Span]:
    """The spans of a text, in order; those that only white space parts are one.

    Args:
        text: any string.
        unknown: characters that are spans wherever they stand; letters among them with the whole
            word.
    """
    spans = _plain_spans(text)
    if unknown:
        spans = sorted(spans + _unknown_spans(text, unknown))
    merged: list[Span] = []
    for span in spans:
        if merged and not text[merged[-1].end : span.start].strip(f" \t\n\r{_JOINERS}"):
            last = merged[-1]
            end = max(last.end, span.end)
            merged[-1] = Span(last.start, end, last.is_word or span.is_word)
        else:
            merged.append(span)
    return [_with_joiners(text, span) for span in merged]


def _plain_spans(text: str) -> list[Span]:
    return [Span(*m.span(), m["mark"] is None) for m in _span().finditer(text)]


def inside_spans(text: str) -> Callable[[int], bool]:
    """Tells whether a place of a text stands within one of its spans."""
    if not may_hold_spans(text):
        return lambda place: False
    spans = [_with_joiners(text, span) for span in _plain_spans(text)]
    borders = [place for span in spans for place in (span.start + 1, span.end)]
    return lambda place: bisect_right(borders, place) % 2 == 1


def blocks(text: str) -> list[str]:
    """A text in alternation: text, block, text, ... block, text.

    A block is program text over any number of lines: fenced code of Markdown, comments, scripts and
    styles of HTML.
    """
    if "`" not in text and "<" not in text and "~~~" not in text:
        return [text]
    cuts = [place for block in _block().finditer(text) for place in block.span()]
    return [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]


def _with_joiners(text: str, span: Span) -> Span:
    """With the variation selectors and joiners behind it, which belong to an emoji."""
    end = span.end
    while end < len(text) and text[end] in _JOINERS:
        end += 1
    return span._replace(end=end)


def _unknown_spans(text: str, unknown: frozenset[str]) -> list[Span]:
    # A word with a letter that is unknown, as most are names, is whole; not so where words are
    # written without spaces.
    spans = [Span(*word, _is_letter(text[word[0]])) for word in _words(text)]
    return [
        part
        for span in spans
        if unknown.intersection(text[span.start : span.end])
        for part in (_single(text, span, unknown) if _is_wide(text, span) else [span])
    ]


def _words(text: str) -> list[tuple[int, int]]:
    """Where its words and other signs stand; vowel signs and accents belong to their word."""
    words: list[tuple[int, int]] = []
    for token in re.finditer(r"\w+|[^\w\s]", text):
        start, end = token.span()
        glued = bool(words) and words[-1][1] == start
        if glued and (
            _is_mark(text[start]) or (token[0][0].isalnum() and _is_mark(text[start - 1]))
        ):
            start = words.pop()[0]
        words.append((start, end))
    return words


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _single(text: str, word: Span, unknown: frozenset[str]) -> list[Span]:
    return [Span(i, i + 1, True) for i in range(word.start, word.end) if text[i] in unknown]


def _is_wide(text: str, word: Span) -> bool:
    return any(unicodedata.east_asian_width(x) in "WF" for x in text[word.start : word.end])


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
