"""What every tokenizer does: text to the ids the encoder sees, and ids back to text."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from pyengine import _core, _ragged
from pyengine.errors import InputTypeError, OptionError, UnsupportedModelError, excerpt
from pyengine.models.language_codes import GROUPS, checked_language, nearest_tag
from pyengine.text.language_tokens import Languages
from pyengine.text.plain import NORMALISED, plain_form
from pyengine.text.surrogates import replace_lone_surrogates

_ANY_ID = 2**31

_NOT_BY_THEMSELVES = ("Cf", "Mn", "Mc", "Me")
"""Categories of joiners, variation selectors and accents."""

_CLEANED = 8
"""Last characters that cleaning up may change: a rule takes four, and one may feed the next."""


class TypedIds(NamedTuple):
    """Token ids, and the type of each: 0, or 1 in the second text of a pair where the model is told
    which is which."""

    ids: list[int]
    types: list[int]


class Tokenizer(ABC):
    """Text to token ids and back, as the model's own transformers tokenizer does it.

    A tokenizer never changes after it is loaded, so any number of threads may use it at once.

    Attributes:
        languages: of a multilingual model's tokenizer; ``None`` for any other.
        pair: source and target language, where the folder's files or name say.
        unknown_ids: ids that stand for text which the vocabulary lacks: the unknown token, and
            tokens of single bytes.
    """

    languages: Languages | None = None
    pair: tuple[str, str] | None = None
    unknown_ids: frozenset[int] = frozenset()
    _clean_up = False  # whether decoding removes spaces before English punctuation

    def encode(self, text: str) -> list[int]:
        """The ids of ``text`` as the encoder sees them, with the end token.

        Args:
            text: Unicode of any kind and length; a lone surrogate counts as U+FFFD. The empty text
                gives what the family gives, mostly the end token alone.

        Raises:
            InputTypeError: ``text`` is no ``str``.
            ModelFormatError: the tokenizer file is sound to look at, but cannot encode this text.
        """
        return self.encode_batch([text])[0]

    def encode_batch(
        self, texts: Sequence[str], source: str | None = None, target: str | None = None
    ) -> list[list[int]]:
        """The ids of every text, in the same order; see :meth:`encode`.

        Args:
            texts: of one language.
            source, target: codes of the languages, where the model is told them.

        Raises:
            InputTypeError: ``texts`` is itself a ``str``, or an item is none; the message names it.
            OptionError: a language that the model does not know.
        """
        if isinstance(texts, str):
            raise InputTypeError("expected a list of texts, found one str; encode takes that")
        self.check_languages(source, target)
        cleaned = [_clean(text, item) for item, text in enumerate(texts)]
        languages = self.languages
        with _core.FloatEnvironment():  # pieces are chosen by sums of probabilities
            if languages is None:
                return self._encode(cleaned)
            ids = self._encode([languages.prefixed(text, target) for text in cleaned])
        return [languages.marked(sequence, source) for sequence in ids]

    def encode_pairs(
        self, pairs: Sequence[tuple[str, str]], limit: int | None = None
    ) -> list[TypedIds]:
        """The ids of every pair of texts, with the special tokens around them.

        Args:
            pairs: of texts, see :meth:`encode`.
            limit: tokens of a pair at most, 8 or more; tokens are cut from the end of its longer
                text first, as transformers' ``longest_first`` does. ``None``: nothing is cut.

        Raises:
            UnsupportedModelError: the tokenizer knows no pairs.
        """
        cleaned = [(_clean(a, item), _clean(b, item)) for item, (a, b) in enumerate(pairs)]
        with _core.FloatEnvironment():
            return [self._encode_pair(*pair, limit) for pair in cleaned]

    def lowercase(self) -> None:
        """Lowercase every text first, as ``do_lower_case`` of sentence-transformers does; called
        once, while the tokenizer is loaded.

        Raises:
            UnsupportedModelError: the tokenizer cannot.
        """
        raise UnsupportedModelError(f"{type(self).__name__} does not lowercase (do_lower_case)")

    @property
    def num_final(self) -> int:
        """Tokens at the end of a source that are no text."""
        return 1 if self.languages is None else self.languages.num_final

    def check_languages(self, source: str | None, target: str | None) -> None:
        """Raises OptionError for a language that the model does not translate from, or into.

        A model that is not told a language has one of its own, or those of a group.
        """
        told = self.languages
        if source is not None:
            if told is not None and told.tells_source:
                told.check("source", source)
            else:
                self._check_own("source", source)
        if target is not None:
            if told is not None:
                told.check("target", target)
            else:
                self._check_own("target", target)

    def _check_own(self, name: str, code: str) -> None:
        tag = checked_language(name, code)
        if self.pair is None:
            if self.languages is None:
                raise OptionError(
                    f"{name}: found {excerpt(code, 40)}, expected None: the model is not told "
                    "languages, and its folder names none"
                )
            return
        own = self.pair[0 if name == "source" else 1]
        if own not in GROUPS and nearest_tag(tag, [own]) is None:
            raise OptionError(
                f"{name}: found {excerpt(code, 40)}, expected {own!r}: "
                f"the model translates {self.pair[0]} to {self.pair[1]}"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, without special tokens (end, padding, unknown and so on).

        Args:
            ids: token ids of the target side, with or without the end token. An id that the
                tokenizer does not know is left out like an unknown token: models are padded
                beyond their vocabulary at times.

        Raises:
            InputTypeError: an id is no integer.
            InputError: an id is negative or not below 2**31.
        """
        return self.decode_batch([ids])[0]

    def decode_batch(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The text of every sequence of ids, in the same order; see :meth:`decode`.

        Raises:
            InputTypeError, InputError: as :meth:`decode`; the message names item and position.
        """
        _ragged.pack(sequences, _ANY_ID)  # which checks them
        return self._decode([list(map(int, ids)) for ids in sequences])

    def unknown_characters(self, text: str, ids: Sequence[int]) -> frozenset[str]:
        """The characters of a text that the vocabulary lacks, or has in plain forms alone.

        Args:
            text: any string.
            ids: what :meth:`encode` gives for it.
        """
        normalised = frozenset(filter(self._is_read_plainly, NORMALISED.findall(text)))
        if self.unknown_ids.isdisjoint(ids):
            return normalised
        words = filter(self._is_unknown, text.split())
        return normalised.union(x for word in words for x in word if self._lacks(x))

    def _is_read_plainly(self, character: str) -> bool:
        return self._encode([character]) == self._encode([plain_form(character) or character])

    @cached_property
    def _lacks(self) -> Callable[[str], bool]:
        """Whether a character is unknown by itself; joiners and accents are no characters."""
        return cache(
            lambda x: unicodedata.category(x) not in _NOT_BY_THEMSELVES and self._is_unknown(x)
        )

    def _is_unknown(self, word: str) -> bool:
        return not self.unknown_ids.isdisjoint(self._encode([_clean(word, 0)])[0])

    def _encode_pair(self, first: str, second: str, limit: int | None) -> TypedIds:
        """:meth:`encode_pairs` for one pair of texts that encode in UTF-8."""
        raise UnsupportedModelError(f"{type(self).__name__} knows no pairs of texts")

    def settled(self, ids: Sequence[int], text: str) -> str:
        """The beginning of ``text`` that stays the same however ``ids``, whose text it is, go on.

        A character whose last byte is missing counts as U+FFFD.
        """
        if self._clean_up:
            text = text[:-_CLEANED]
        return text.rstrip("\ufffd")

    @abstractmethod
    def _encode(self, texts: list[str]) -> list[list[int]]:
        """:meth:`encode_batch` for texts that encode in UTF-8, languages left out."""

    @abstractmethod
    def _decode(self, sequences: list[list[int]]) -> list[str]:
        """:meth:`decode_batch` for Python ints from 0 to 2**31 - 1."""


def _clean(text: object, item: int) -> str:
    if not isinstance(text, str):
        raise InputTypeError(f"item {item}: expected text (str), found {type(text).__name__}")
    return replace_lone_surrogates(text)


def longest_first(lengths: tuple[int, int], limit: int) -> tuple[int, int]:
    """What is left of two texts so that both together have at most ``limit`` tokens.

    Source: ``TruncationStrategy::LongestFirst`` of the tokenizers library 0.22.

    >>> longest_first((2, 9), 8)
    (2, 6)
    >>> longest_first((9, 7), 9)
    (5, 4)
    """
    shorter, longer = sorted(lengths)
    if shorter + longer > limit:
        longer = max(shorter, limit - shorter)
        if shorter + longer > limit:
            shorter, longer = limit // 2, limit - limit // 2
    return (longer, shorter) if lengths[0] > lengths[1] else (shorter, longer)
