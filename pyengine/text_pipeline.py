"""From texts to their translations: split, encode, search, decode, join."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pyengine.layout import Layout, SentenceSplitter, WholeText

if TYPE_CHECKING:
    from pyengine import _core
    from pyengine.text import Tokenizer
    from pyengine.wording import Wording

Search = Callable[[list[list[int]], "_core.StopFlag | None"], list[list[list[int]]]]
"""Ids of sentences to those of their translations, ``num_results`` of each, best first."""

Fit = Callable[[list[int], int], list[int]]
"""The ids of the text with this number within the model's positions, or an InputError."""


@dataclass(frozen=True)
class EncodedText:
    """A text that is ready for the engine.

    Attributes:
        layout: its sentences, and what stands between them.
        sources: the ids of each sentence, as the encoder sees them.
    """

    layout: Layout
    sources: list[list[int]]


class TextPipeline:
    """The steps of one call, or of one stream.

    Args:
        splitter: of texts that are translated sentence by sentence; ``None``: a text is put to the
            model as it is.
        tokenizer: gives the tokenizer, once a text holds something to translate.
        wording: how sentences are put to the model.
        fit: applied to the ids of each sentence.
        search: the engine.
        num_results: translations of each text.
    """

    def __init__(
        self,
        splitter: SentenceSplitter | None,
        tokenizer: Callable[[], Tokenizer],
        wording: Wording,
        fit: Fit,
        search: Search,
        num_results: int,
    ) -> None:
        self._splitter, self._tokenizer, self._wording = splitter, tokenizer, wording
        self._fit, self._search, self.num_results = fit, search, num_results

    def translate(self, texts: list[str]) -> list[list[str]]:
        """For each text its translations, best first."""
        return self.translate_encoded([self.encode(text, i) for i, text in enumerate(texts)])

    def encode(self, text: str, item: int) -> EncodedText:
        """Split and encode the text with this number in the call.

        Raises:
            InputError: a sentence is longer than the model's positions.
        """
        known: dict[str, list[int]] = {}  # each sentence is tokenised once

        def count_tokens(sentence: str) -> int:
            known[sentence] = self._ids(sentence)
            return len(known[sentence])

        if self._splitter is None:
            layout: Layout = WholeText(text)
        else:
            layout = self._splitter.split(text, count_tokens)
        ids = (known.get(sentence) or self._ids(sentence) for sentence in layout.sentences)
        return EncodedText(layout, [self._fit(source, item) for source in ids])

    def translate_encoded(
        self, texts: list[EncodedText], stop: _core.StopFlag | None = None
    ) -> list[list[str]]:
        """For each text its translations, best first; all sentences share one search."""
        sources = [source for text in texts for source in text.sources]
        translations = iter(self._translate_sentences(sources, stop))
        return [self._joined(text.layout, translations) for text in texts]

    def _ids(self, sentence: str) -> list[int]:
        return self._wording.encode_batch(self._tokenizer(), [sentence])[0]

    def _translate_sentences(
        self, sources: list[list[int]], stop: _core.StopFlag | None
    ) -> list[list[str]]:
        if not sources:
            return []
        results = self._search(sources, stop)
        texts = iter(self._tokenizer().decode_batch([ids for row in results for ids in row]))
        return [[next(texts) for _ in row] for row in results]

    def _joined(self, layout: Layout, translations: Iterator[list[str]]) -> list[str]:
        """The results of a text: the i-th is made of the i-th of each sentence."""
        rows = list(islice(translations, len(layout.sentences)))
        return [layout.join([row[i] for row in rows]) for i in range(self.num_results)]
