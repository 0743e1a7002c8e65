"""Plain forms of typographic marks and of letters with accents, for models that lack them.

A model that knows no curly apostrophe and no umlaut can still read "don't" and "Muller". Where such
a word or mark is in its translation, the text's own is put back.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain
from typing import NamedTuple

_PLAIN = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **{"\u2026": "...", "\u00df": "ss", "\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L"},
    **{
        "\u00e6": "ae",
        "\u00c6": "AE",
        "\u0153": "oe",
        "\u0152": "OE",
        "\u0111": "d",
        "\u0131": "i",
        "\u00aa": "a",
        "\u00ba": "o",
    },
    **{x: unicodedata.normalize("NFKC", x) for x in map(chr, range(0xFB00, 0xFB07))},  # ligatures
}
NORMALISED = re.compile("[\u2026\u00aa\u00ba\ufb00-\ufb06]")
"""Those that tokenizers read in plain forms by themselves."""

_TOKENS = re.compile(r"\w+|[^\w\s]")

# Marks of which a model writes one for another, so that they are told apart by their places alone.
_QUOTES = "".join(x for x in _PLAIN if _PLAIN[x] in "'\"") + "'\""
_DASHES = "".join(x for x in _PLAIN if _PLAIN[x] == "-") + "-"
_KINDS = (
    (_QUOTES, re.compile(rf"(?<!\w)[{_QUOTES}]|[{_QUOTES}](?!\w)")),  # and no apostrophes
    (_DASHES, re.compile(rf"(?:(?<=\s)|^)[{_DASHES}](?=\s)")),  # and no hyphens
)


def plain_form(character: str) -> str | None:
    """What a character may be read as; ``None`` for one that stands for itself alone.

    >>> plain_form("\u00fc"), plain_form("\u201c"), plain_form("\u6771")
    ('u', '"', None)
    """
    if character in _PLAIN:
        return _PLAIN[character]
    base = unicodedata.normalize("NFD", character)[0]
    is_latin = unicodedata.name(character, "").startswith("LATIN")
    return base if is_latin and base != character else None


class _Token(NamedTuple):
    plain: str
    original: str


class PlainReading:
    """A text with plain forms in place of characters that a vocabulary lacks.

    Args:
        text: any string.
        unknown: of its characters, those with a plain form.
    """

    def __init__(self, text: str, unknown: frozenset[str]) -> None:
        self._forms = str.maketrans({x: plain_form(x) or x for x in unknown})
        self._marks = []
        for marks, kind in _KINDS:
            if not unknown.isdisjoint(marks):
                self._marks.append((kind, kind.findall(text)))
                text = kind.sub(" ", text)
        self._tokens = [_Token(self.plain(x), x) for x in _TOKENS.findall(text)]
        self._changed = {token.plain for token in self._tokens if token.plain != token.original}

    def plain(self, part: str) -> str:
        """A part of the text in plain forms."""
        return part.translate(self._forms)

    def put_back(self, translation: str) -> str:
        """The translation with the text's own forms, of words and marks that are in both equally
        often."""
        for kind, marks in self._marks:
            parts = kind.split(translation)
            if len(parts) == len(marks) + 1:
                translation = _alternating(parts, marks)
        for plain in self._changed:
            originals = [token.original for token in self._tokens if token.plain == plain]
            border = r"\b" if plain.isalnum() else ""
            parts = re.split(f"{border}{re.escape(plain)}{border}", translation)
            if len(parts) == len(originals) + 1:
                translation = _alternating(parts, originals)
        return translation


def _alternating(parts: list[str], between: list[str]) -> str:
    return "".join(chain.from_iterable(zip(parts, [*between, ""], strict=True)))
