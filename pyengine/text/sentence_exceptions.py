"""What sentencex 1.0.32 gets wrong about where sentences end: words of each language, and no rules.

They lie in ``sentence_exceptions.json``, without their last full stop and in small letters, as they
are compared; single letters are compared as they stand, so that "M. Dupont" is no metre. What is
done with them is in :mod:`pyengine.text.boundaries`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_EVERYWHERE = ""
"""The key of the words that count in every language."""


@dataclass(frozen=True)
class Exceptions:
    """Those of one language.

    Attributes:
        inner: abbreviations that something always follows, such as "M." before a name.
        numbered: those that belong to a number behind them: "art. 3".
        units: those that end no sentence where a small letter follows: "mln. рублей".
        final: those that do end one where a capital letter follows: "etc.".
        ordinals: whether a number with a full stop is an ordinal ("der 2. Weltkrieg").
        openers: of a language that writes nouns with capitals, the words that have one only where
            a sentence begins; before them, a number with a full stop ends one.
        continues: a pattern of what goes on with the sentence after a quotation; or ``None``.
    """

    inner: frozenset[str]
    numbered: frozenset[str]
    units: frozenset[str]
    final: frozenset[str]
    ordinals: bool
    openers: frozenset[str]
    continues: re.Pattern[str] | None


@cache
def exceptions_of(language: str) -> Exceptions:
    """Those of a language, and those of all languages with them."""
    table = _table()
    own = table["languages"].get(table["as"].get(language, language), {})

    def words(name: str) -> frozenset[str]:
        common = table["languages"][_EVERYWHERE].get(name, "")
        return frozenset(f"{common} {own.get(name, '')}".split())

    return Exceptions(
        inner=words("inner"),
        numbered=words("numbered"),
        units=words("units"),
        final=words("final"),
        ordinals=own.get("ordinals", False),
        openers=words("openers"),
        continues=re.compile(own["continues"]) if "continues" in own else None,
    )


@cache
def final_pattern(language: str) -> re.Pattern[str]:
    """A ``final`` abbreviation of the language and the white space behind it."""
    words = sorted(exceptions_of(language).final, key=len, reverse=True)
    spaced = (r"\.\s?".join(map(re.escape, word.split("."))) for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})\.[\"')\]\u00bb\u201d]?\s+", re.IGNORECASE)


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).with_suffix(".json")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table
