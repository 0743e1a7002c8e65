"""From texts to their translations: split, protect, encode, search, decode, restore, join."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pyengine.inputs import ItemError
from pyengine.kept_spans import ProtectedSentence, has_letters
from pyengine.layout import Layout, SentenceSplitter, WholeText
from pyengine.text.spans import may_hold_spans

if TYPE_CHECKING:
    from pyengine import _core
    from pyengine.text import Tokenizer
    from pyengine.wording import Wording

Search = Callable[[list[list[int]], "_core.CancelToken | None"], list[list[list[int]]]]
"""Ids of sentences to those of their translations, ``num_results`` of each, best first."""

Fit = Callable[[list[int], int], list[int]]
"""The ids of the text with this number within the model's positions, or an InputError."""


class EncodedSentence(NamedTuple):
    """A sentence that is ready for the engine.

    Attributes:
        ids: as the encoder sees them.
        lead: what its text begins with, to tell the target language of all its sentences.
        protected: the sentence once more, if it holds spans that stay as they are.
    """

    ids: list[int]
    lead: str
    protected: ProtectedSentence | None


class EncodedText(NamedTuple):
    """A text that is ready for the engine: its sentences, and what stands between them."""

    layout: Layout
    sentences: list[EncodedSentence]


class TextPipeline:
    """The steps of one call, or of one stream.

    Args:
        splitter: of texts that are translated sentence by sentence; ``None``: a text is put to the
            model as it is.
        keep_spans: whether placeholders and the like stay as they are.
        tokenizer: gives the tokenizer, once a text holds something to translate.
        wording: how sentences are put to the model.
        fit: applied to the ids of each sentence.
        search: the engine.
        num_results: translations of each text.
    """

    def __init__(
        self,
        splitter: SentenceSplitter | None,
        keep_spans: bool,
        tokenizer: Callable[[], Tokenizer],
        wording: Wording,
        fit: Fit,
        search: Search,
        num_results: int,
    ) -> None:
        self._splitter, self._keep_spans = splitter, keep_spans
        self._tokenizer, self._wording = tokenizer, wording
        self._fit, self._search, self.num_results = fit, search, num_results

    def unpacked(self, results: list[list[str]]) -> list[Any]:
        """The result of each text as a call returns it: its translations, or the only one."""
        return results if self.num_results > 1 else [row[0] for row in results]

    def translate(self, texts: list[str], cancel: _core.CancelToken | None) -> list[list[str]]:
        """For each text its translations, best first."""
        encoded = [self.encode(text, item, cancel) for item, text in enumerate(texts)]
        return self.translate_encoded(encoded, cancel)

    def encode(self, text: str, item: int, cancel: _core.CancelToken | None = None) -> EncodedText:
        """Split, protect and encode the text with this number in the call.

        Raises:
            InputError: a sentence is longer than the model's positions, or the text holds a NUL
                character, as what is no text does.
            DeadlineError, CancelledError: by ``cancel``, which is asked at each sentence.
        """
        _check(cancel)
        if "\0" in text:
            raise ItemError(item, "found a NUL character, expected text")
        known: dict[str, list[int]] = {}  # each sentence is tokenised once
        lead = "" if self._splitter is None else self._lead(text)

        def count_tokens(sentence: str) -> int:
            _check(cancel)
            known[sentence] = self._ids(sentence, lead)
            return len(known[sentence])

        if self._splitter is None:
            layout: Layout = WholeText(text)
        else:
            layout = self._splitter.split(text[len(lead) :], count_tokens)
        sentences = []
        for sentence in layout.sentences:
            _check(cancel)
            ids = self._fit(known.get(sentence) or self._ids(sentence, lead), item)
            sentences.append(EncodedSentence(ids, lead, self._protected(sentence, ids)))
        return EncodedText(layout, sentences)

    def translate_encoded(
        self, texts: list[EncodedText], cancel: _core.CancelToken | None = None
    ) -> list[list[str]]:
        """For each text its translations, best first; all sentences share one search."""
        sentences = [sentence for text in texts for sentence in text.sentences]
        translations = iter(self.translate_sentences(sentences, cancel))
        return [self._joined(text.layout, translations) for text in texts]

    def translate_sentences(
        self, sentences: list[EncodedSentence], cancel: _core.CancelToken | None = None
    ) -> list[list[str]]:
        """For each sentence its translations, best first."""
        if not any(sentence.protected for sentence in sentences):
            return self._translate_ids([sentence.ids for sentence in sentences], cancel)
        plain = [i for i, sentence in enumerate(sentences) if sentence.protected is None]
        attempts = {}
        for i, sentence in enumerate(sentences):
            if sentence.protected is not None:
                _check(cancel)
                attempts[i] = sentence.protected.attempts()
        results: dict[int, list[str]] = {}
        sources = [sentences[i].ids for i in plain]
        while len(results) < len(sentences):
            tried = {i: attempts[i].pop(0) for i in attempts if i not in results}
            sources += [self._ids(x, sentences[i].lead) for i in tried for x in tried[i].texts]
            rows = iter(self._translate_ids(sources, cancel))
            results.update(zip(plain, rows, strict=False))
            for i, attempt in tried.items():
                _check(cancel)
                parts = list(islice(rows, len(attempt.texts)))
                restored = [attempt.restore(ranked) for ranked in self._ranks(parts)]
                kept = [text for text in restored if text is not None]
                if len(kept) == self.num_results:
                    results[i] = kept
            plain, sources = [], []
        return [results[i] for i in range(len(sentences))]

    def _lead(self, text: str) -> str:
        """What a text begins with to tell its target language, such as ">>fra<< "."""
        if not text.startswith((">>", "<2")):
            return ""
        languages = self._tokenizer().languages
        return "" if languages is None else languages.named_in(text)

    def _ids(self, sentence: str, lead: str) -> list[int]:
        if lead and not self._lead(sentence):
            sentence = lead + sentence
        return self._wording.encode_batch(self._tokenizer(), [sentence])[0]

    def _protected(self, sentence: str, ids: list[int]) -> ProtectedSentence | None:
        if not self._keep_spans:
            return None
        unknown = self._tokenizer().unknown_characters(sentence, ids)
        if unknown or may_hold_spans(sentence) or not has_letters(sentence):
            return ProtectedSentence(sentence, unknown)
        return None

    def _translate_ids(
        self, sources: list[list[int]], cancel: _core.CancelToken | None
    ) -> list[list[str]]:
        if not sources:
            return []
        results = self._search(sources, cancel)
        texts = iter(self._tokenizer().decode_batch([ids for row in results for ids in row]))
        return [[next(texts) for _ in row] for row in results]

    def _joined(self, layout: Layout, translations: Iterator[list[str]]) -> list[str]:
        """The results of a text: the i-th is made of the i-th of each sentence."""
        rows = list(islice(translations, len(layout.sentences)))
        return [layout.join(ranked) for ranked in self._ranks(rows)]

    def _ranks(self, rows: list[list[str]]) -> list[list[str]]:
        """The best of each row, the second best of each, and so on."""
        return [[row[rank] for row in rows] for rank in range(self.num_results)]


def _check(cancel: _core.CancelToken | None) -> None:
    if cancel is not None:
        cancel.check()
