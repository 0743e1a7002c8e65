"""A whole text as the sentences that are translated and the white space that stays as it was.

A line is a paragraph: sentences do not run over the end of a line, or from one column of a table
to the next, so every line break and tab stays where it was.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from pyengine.text.boundaries import split_sentences, without_quotes
from pyengine.text.clauses import split_clauses
from pyengine.text.spans import blocks
from pyengine.text.surrogates import replace_lone_surrogates

_COLUMN = re.compile(r"[^\t]+\t*|\t+")

LONGEST = 1 << 16
"""Characters of a line that are looked at together: a pattern that searches 50 MB takes 20 seconds,
in which Python heeds no Ctrl-C."""


@dataclass
class SplitText:
    """A text in alternation: gap, sentence, gap, ... sentence, gap.

    Attributes:
        sentences: the parts to translate, without white space at either end.
        gaps: the white space and blocks around them, one more than the sentences; may be empty.
    """

    sentences: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=lambda: [""])

    def add(self, part: str) -> None:
        """Append the next part of the text."""
        sentence = part.strip()
        if not sentence:
            self.gaps[-1] += part
            return
        start = part.index(sentence)
        self.gaps[-1] += part[:start]
        self.sentences.append(sentence)
        self.gaps.append(part[start + len(sentence) :])

    def join(self, translations: list[str]) -> str:
        """The text with its sentences replaced."""
        before = ["", *translations]
        return "".join(map(self.placed, range(len(before)), before, [*translations, ""]))

    def placed(self, index: int, before: str, translation: str) -> str:
        """What stands in place of a sentence, with the white space before it.

        Where two sentences touched, as in Chinese, a space goes between translations that are
        written with spaces.

        Args:
            index: of the sentence; their number for what follows the last one.
            before: the translation of the sentence before, empty for the first.
            translation: of the sentence, or the beginning of it; empty after the last one.
        """
        line = " ".join(translation.splitlines())  # a line stays a line
        gap = self.gaps[index]
        if not gap and _need_a_space(before, line) and not self._are_parted_by_a_tag(index):
            return f" {line}"
        return gap + line

    def _are_parted_by_a_tag(self, index: int) -> bool:
        """Whether the sentences around a gap touch because of a tag, as in "It rains.</b>"."""
        is_behind = index > 0 and self.sentences[index - 1].endswith(">")
        return is_behind or (index < len(self.sentences) and self.sentences[index].startswith("<"))


def split_text(
    text: str, language: str, fits: Callable[[str], bool], keep_blocks: bool = True
) -> SplitText:
    """Split a text of any length.

    Args:
        text: any string; a lone surrogate counts as U+FFFD.
        language: code of the text's language, such as "en"; one that sentencex does not know is
            split by general rules.
        fits: whether a sentence is short enough to be translated at once; one that is not is cut
            at the ends of sentences in its quotations, or else at its clause marks.
        keep_blocks: whether fenced code, comments and scripts are parts that stay.
    """
    text = replace_lone_surrogates(text)
    parts = blocks(text) if keep_blocks else [text]
    split = SplitText()
    _add_lines(split, parts[0], language, fits)
    for block, part in zip(parts[1::2], parts[2::2], strict=True):
        split.gaps[-1] += block
        _add_lines(split, part, language, fits)
    return split


def _add_lines(split: SplitText, text: str, language: str, fits: Callable[[str], bool]) -> None:
    for line in text.splitlines(keepends=True):
        for column in _COLUMN.findall(line):
            for sentence in _sentences(column, language):
                for part in _parts(sentence, language, fits):
                    split.add(part)


def _sentences(line: str, language: str) -> Iterator[str]:
    """The sentences of a line of any length, looked at in pieces; what is near the end of one is
    looked at again in the next.
    """
    start = 0
    while len(line) - start > LONGEST:
        sentences = list(split_sentences(line[start : start + LONGEST], language))
        ends = list(accumulate(map(len, sentences)))
        count = max(1, bisect_right(ends, LONGEST * 3 // 4))
        yield from sentences[:count]
        start += ends[count - 1]
    yield from split_sentences(line[start:], language)


def _parts(sentence: str, language: str, fits: Callable[[str], bool]) -> Iterator[str]:
    if fits(sentence):
        yield sentence
        return
    start = 0
    for inner in split_sentences(without_quotes(sentence), language):
        yield from split_clauses(sentence[start : start + len(inner)], fits)
        start += len(inner)


def _need_a_space(before: str, after: str) -> bool:
    return bool(before and after) and not (_is_wide(before[-1]) or _is_wide(after[0]))


def _is_wide(character: str) -> bool:
    """Of a script written without spaces between sentences: Chinese, Japanese, its punctuation.

    Hangul and emoji are as wide, but written with spaces.
    """
    return (
        unicodedata.east_asian_width(character) in "WF"
        and unicodedata.category(character) != "So"
        and not unicodedata.name(character, "").startswith("HANGUL")
    )
