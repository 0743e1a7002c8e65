"""Spans of a text that are no language: placeholders, tags, addresses, times, signs.

They mean something to a program, or are signs that the model's vocabulary lacks, so that they stay
as they are wherever the text around them is translated.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

# At an end of a sentence these stand beside it; elsewhere they are a part of it.
_MARKS = (
    r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>",  # <b>, </b>, <a href="...">, <br/>
    r"</?\d+/?>|<!--.*?-->|<[%?].*?[%?]>",  # <1>, comments, <%= name %>
    r"(?:\d+:)?\d\d?:\d\d[.,]\d{3}|-->",  # 00:01:02,345 --> 00:01:04,000
    r"\b(?:align|line|position|region|size|vertical):\w[\w%.,-]*",  # behind WebVTT's times
    r"!?\[(?=[^\[\]\n]*\]\()|(?<!\[)\]\([^()\s]*\)",  # around the text of Markdown's links
    r"\\[abfnrtv0\"'\\]",  # escapes of program texts
    r"[0-9#*]\ufe0f?\u20e3",  # keycaps
    r"[\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]",  # symbols and emoji
)
# These stand for a word.
_WORDS = (
    r"(?:https?|ftp|file)://(?:[$#%]?\{[^{}]*\}|[^\s<>\"{}])*(?:\}|[^\s<>\"{}.,;:!?'()\[\]])",
    r"\bwww\.[^\s<>\"]*[^\s<>\"{}.,;:!?'()\[\]]",
    r"(?<![\w.+-])(?:mailto:)?[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?::[\w.-]+/[\w./-]*\w)?",
    rf"(?<![\w.])(?:{_BYTE}\.){{3}}{_BYTE}(?::\d+|/\d+)?(?![\w.]*\d)",  # 10.0.0.1
    r"\bv\d+\.\d[\w.-]*\b",  # v1.2.3
    r"\b[A-Za-z]:\\(?:[\w.@+-]+\\)*(?:[\w.@+-]*\w)?",  # C:\Users
    r"(?<![\w/.~<])(?:~|\.\.?)?/(?:[\w.@+-]+/)+(?:[\w.@+-]*\w)?",  # /usr/bin
    r"(?<![\w-])(?<!\w\.)(?:[\w-]+\.)+(?:com|org|net|edu|gov|io|dev|app|info)\b(?:/[^\s<>\"]*[\w/])?",
    r"`[^`]+`",
    r"[$#%@]?\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}",  # {name}, {{x}}, ${x}, {n, plural, ...}
    r"\[[A-Z]+(?:_[A-Z0-9]+)+\]|\$\(\w+\)",  # [FIRST_NAME], $(name)
    r"\[\[[^\[\]]+\]\]|\[%[^\[\]]+%\]|\$t\([^()]*\)",
    r"(?<!\w)%[A-Za-z_]\w*%",  # %NAME%
    r"(?<!\d)%(?:\(\w+\))?(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh?|ll?|[Lqjzt])?[@diouxXeEfFgGcrsaA]",
    r"(?<![\w%])%\d{1,2}(?![\w%])|%%",  # %1 of Qt
    r"\$[A-Za-z_]\w*",
    r"(?<![\w:/]):[A-Za-z_]\w+:?",  # :name, :smile:
    r"(?<!\w)[@#]\w+",  # of social networks
    r"(?<!\w)__\w+?__(?!\w)",
    r"&(?:[A-Za-z]\w{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});",  # entities
)
_SPAN = re.compile(f"(?P<mark>{'|'.join(_MARKS)})|(?:{'|'.join(_WORDS)})")

# No span is without one of these, which is quick to see.
_SIGN = re.compile(
    r"[{<%$&@#:`\\_\[\u20e3\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]|\.[a-z]|-->"
    r"|\d\.\d+\.\d|/[\w.@+-]+/|\bv\d"
)

_JOINERS = "\u200d\ufe0e\ufe0f"
"""Of emoji that several characters make up."""


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
    spans = [Span(*m.span(), m["mark"] is None) for m in _SPAN.finditer(text)]
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


def _with_joiners(text: str, span: Span) -> Span:
    """With the variation selectors and joiners behind it, which belong to an emoji."""
    end = span.end
    while end < len(text) and text[end] in _JOINERS:
        end += 1
    return span._replace(end=end)


def _unknown_spans(text: str, unknown: frozenset[str]) -> list[Span]:
    # A word with a letter that is unknown, as most are names, is whole; not so where words are
    # written without spaces.
    words = (m.span() for m in re.finditer(r"\w+|[^\w\s]", text))
    spans = [Span(*word, _is_letter(text[word[0]])) for word in words]
    return [
        part
        for span in spans
        if unknown.intersection(text[span.start : span.end])
        for part in (_single(text, span, unknown) if _is_wide(text, span) else [span])
    ]


def _single(text: str, word: Span, unknown: frozenset[str]) -> list[Span]:
    return [Span(i, i + 1, True) for i in range(word.start, word.end) if text[i] in unknown]


def _is_wide(text: str, word: Span) -> bool:
    return any(unicodedata.east_asian_width(x) in "WF" for x in text[word.start : word.end])


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
