"""Sentences with spans that stay as they are, and the ways to have that from a model.

A model that repeats the spans by itself gives the best translation. Otherwise each is masked by a
code that models repeat, and put back in its place. Where that fails too, what stands between the
spans is translated piece by piece, which never fails.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Protocol

from pyengine.text.plain import PlainReading, plain_form
from pyengine.text.spans import find_spans

_MASKS = ("XYZ", "QXZ", "ZXQ")
"""Beginnings of masks, the first that the sentence lacks. Of 20 sentences of programs with one or
two masks each, the demo models repeated all of them in, en-pt and pt-en: XYZ1 19 and 19, A1B 19 and
19, Q7 19 and 18, 4711 19 and 18, [1] 18 and 18, #1 0 and 19, __1__ 13 and 15, {1} 0 and 0."""

_WORD = re.compile(r"\w")
_LETTER = re.compile(r"[^\W\d_]")
_ENDS = (".", "!", "?", "\u2026", "\u3002")


def has_letters(text: str) -> bool:
    """Whether a text holds something to translate; of numbers and signs, models make words."""
    return _LETTER.search(text) is not None


class ProtectedSentence:
    """A sentence in alternation: words, span, words, ... span, words.

    Args:
        sentence: any string.
        unknown: its characters that the model's vocabulary lacks.

    Attributes:
        before, after: the marks at its ends, such as tags around it, which no model sees.
        words: parts to translate, one more than the spans.
        spans: parts that stay.
        reading: puts back what :attr:`words` hold in plain forms.
    """

    def __init__(self, sentence: str, unknown: frozenset[str]) -> None:
        readable = frozenset(filter(plain_form, unknown))
        self.unknown = unknown - readable
        spans = find_spans(sentence, self.unknown)
        start, end = 0, len(sentence)
        inner = list(spans)
        while inner and not inner[0].is_word and not sentence[start : inner[0].start].strip():
            start = inner.pop(0).end
        while inner and not inner[-1].is_word and not sentence[inner[-1].end : end].strip():
            end = inner.pop().start
        core = sentence[start:end]
        start += len(core) - len(core.lstrip())
        end = start + len(core.strip())
        self.before, self.after = sentence[:start], sentence[end:]
        borders = [start, *(place for span in inner for place in span[:2]), end]
        parts = [sentence[a:b] for a, b in pairwise(borders)]
        self.spans = parts[1::2]
        self.reading = PlainReading(" ".join(parts[::2]), readable)
        self.words = [self.reading.plain(words) for words in parts[::2]]
        self._marks = [sentence[a:b] for a, b, is_word in inner if not is_word]
        self._mark_texts = frozenset(self._marks)

    def attempts(self) -> list[Attempt]:
        """The ways to translate it, best first; the last one always succeeds."""
        if not any(map(has_letters, self.words)):
            return [Apart(self)]  # nothing to translate
        if not self.spans:
            return [AsItIs(self)]
        repeatable = self.unknown.isdisjoint("".join(self.spans))
        return [*([AsItIs(self)] if repeatable else []), Masked(self), Apart(self)]

    def finished(self, translation: str) -> str | None:
        """The translation with the marks at its ends, unless it lacks spans or has others."""
        if not self.spans:
            return self.enclosed(translation)
        found = [translation[s.start : s.end] for s in find_spans(translation, self.unknown)]
        marks = [text for text in found if text in self._mark_texts]
        if sorted(found) != sorted(self.spans) or marks != self._marks:
            return None
        return self.enclosed(translation)

    def enclosed(self, translation: str) -> str:
        """The translation with the marks at the ends of the sentence, and its own letters."""
        return self.before + self.reading.put_back(translation) + self.after


class Attempt(Protocol):
    """A way to translate a sentence.

    Attributes:
        texts: what the model is to translate.
    """

    texts: list[str]

    def restore(self, translations: list[str]) -> str | None:
        """The translation of the sentence, of those of :attr:`texts`; ``None``: it failed."""


class AsItIs:
    """The model sees the spans, and repeats them."""

    def __init__(self, sentence: ProtectedSentence) -> None:
        self._sentence = sentence
        parts = [*sum(zip(sentence.words, sentence.spans, strict=False), ()), sentence.words[-1]]
        self.texts = ["".join(parts)]

    def restore(self, translations: list[str]) -> str | None:
        """The translation, if the spans are all in it."""
        return self._sentence.finished(translations[0])


class Masked:
    """The model sees a code in place of each span, and repeats it."""

    def __init__(self, sentence: ProtectedSentence) -> None:
        self._sentence = sentence
        whole = "".join(sentence.words).upper()
        self._mask = next((mask for mask in _MASKS if mask not in whole), _MASKS[0])
        text = sentence.words[0]
        self._glued: list[tuple[bool, bool]] = []  # whether a word touches the span, left and right
        for number, words in enumerate(sentence.words[1:], 1):
            left, right = bool(_WORD.match(text[-1:])), bool(_WORD.match(words[:1]))
            self._glued.append((left, right))
            text += f"{' ' * left}{self._mask}{number}{' ' * right}{words}"
        self.texts = [text]

    def restore(self, translations: list[str]) -> str | None:
        """The translation with the spans in place of the codes, if each code is there once."""
        (translation,) = translations
        codes = rf"( ?)(?<!\w){self._mask}(\d+)(?!\w)( ?)"
        found = sorted(int(match[2]) for match in re.finditer(codes, translation))
        count = len(self._sentence.spans)
        if found != list(range(1, count + 1)) or translation.count(self._mask) != count:
            return None
        return self._sentence.finished(re.sub(codes, self._span, translation))

    def _span(self, code: re.Match[str]) -> str:
        left, right = self._glued[int(code[2]) - 1]
        span = self._sentence.spans[int(code[2]) - 1]
        return f"{'' if left else code[1]}{span}{'' if right else code[3]}"


class Apart:
    """The model sees what stands between the spans, one piece at a time."""

    def __init__(self, sentence: ProtectedSentence) -> None:
        self._sentence = sentence
        self._pieces = [_edges(words) for words in sentence.words[:-1]]
        self._pieces.append(_edges(sentence.words[-1], keep_end=True))
        self.texts = [words for _, words, _ in self._pieces if words]

    def restore(self, translations: list[str]) -> str:
        """The pieces' translations around the spans."""
        found = iter(translations)
        parts: list[str] = []
        for (start, words, end), span in zip(
            self._pieces, [*self._sentence.spans, ""], strict=True
        ):
            parts += [start, self._translated(words, next(found)) if words else "", end, span]
        return self._sentence.enclosed("".join(parts))

    def _translated(self, words: str, translation: str) -> str:
        if find_spans(translation, self._sentence.unknown):
            return words  # a span that the sentence does not have
        if not words.endswith(_ENDS):
            translation = translation.rstrip("".join(_ENDS))
        return translation


def _edges(words: str, keep_end: bool = False) -> tuple[str, str, str]:
    """What stands before the first letter, from there to the last, and behind it."""
    if not has_letters(words):
        return words, "", ""
    found = list(_WORD.finditer(words))
    start, end = found[0].start(), len(words) if keep_end else found[-1].end()
    return words[:start], words[start:end], words[end:]
