"""Encoder: an encoder-only model loaded once, text or token ids in, vectors or classes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast, overload

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged
from pyengine.errors import OptionError, UnsupportedModelError
from pyengine.inputs import Ids, Offsets, checked_texts
from pyengine.loaded_model import LoadedModel
from pyengine.loading import Loaded
from pyengine.models.labels import read_labels

Floats = NDArray[np.float32]

_CHUNK_BATCHES = 8
"""Texts whose last hidden states are held at once, in batches."""

_POOLINGS: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda hidden: hidden.sum(axis=0) / np.float32(len(hidden)),
    "cls": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(axis=0),
}
"""One vector [hidden_size] of the last hidden states [tokens, hidden_size] of one text."""


class Encoder(LoadedModel):
    """An encoder-only model (BERT, DistilBERT, RoBERTa, XLM-RoBERTa), ready to run.

    What a text gives does not depend on the other texts of the call, on ``batch_size``, on
    ``threads`` or on the instruction set. Nothing is padded: ids are those of the text alone, and
    an id of padding counts as a token like any other. Every token is of type 0, so a text is one
    segment. One encoder may be used from many threads at once.

    Args:
        model: folder as ``optimum-cli export onnx --task feature-extraction`` or
            ``--task text-classification`` wrote it (``config.json``, ``model.onnx``, tokenizer
            files).
        compute_type, threads, batch_size, isa, cache_dir, variant: see
            :class:`pyengine.Translator`.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError, OptionError: see
            :class:`pyengine.Translator`; UnsupportedModelError also for a model that is no encoder.

    Example::

        with pyengine.Encoder("path/to/model") as encoder:
            vectors = encoder.encode(["A dog runs.", "Two women talk."], normalize=True)
            print(vectors @ vectors.T)
    """

    _STACKS = ("encoder",)

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        pooling: str = "mean",
        normalize: bool = False,
        truncate: bool = False,
    ) -> Floats:
        """A vector for each text, from the last hidden states of its tokens.

        Args:
            texts: one, or several; the special tokens that the tokenizer adds count as tokens.
            pooling: ``"mean"`` of all tokens, ``"cls"``: that of the first, or ``"max"`` of each
                entry.
            normalize: divide each vector by its Euclidean length.
            truncate: cut a text that is longer than the model's positions, with a
                :class:`TruncationWarning`, instead of raising.

        Returns:
            float32 [hidden_size] for a string, [len(texts), hidden_size] for a list.

        Raises:
            InputError: a text is longer than the model's positions; nothing was computed.
            InputTypeError: something other than text.
            OptionError: an unknown pooling.
            TokenizerMissingError: the folder holds no tokenizer files.
            ClosedError: after :meth:`close`.

        Example::

            encoder.encode(["A dog runs.", "Two women talk."], pooling="cls")
        """
        loaded = self._open()
        pool = _checked_pooling(pooling)
        values, offsets = self._packed_texts(texts, truncate)
        vectors = np.empty((len(offsets) - 1, self.config.hidden_size), np.float32)
        for item, hidden in self._hidden_states(loaded, values, offsets):
            vectors[item] = pool(hidden)
        if normalize:
            lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
            vectors /= np.maximum(lengths, np.float32(1e-12))
        return cast(Floats, vectors[0]) if isinstance(texts, str) else vectors

    def forward(self, sources: Sequence[Sequence[int]]) -> list[Floats]:
        """The last hidden states of token ids.

        Args:
            sources: the ids of each text with its special tokens; 1 to ``max_positions`` of them,
                without padding.

        Returns:
            For each text float32 [len(ids), hidden_size].

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            ClosedError: after :meth:`close`.

        Example::

            encoder.forward([[101, 7592, 102]])[0].shape
        """
        loaded = self._open()
        values, offsets = _ragged.pack(sources, self.config.source_vocab_size)
        self._check_lengths(offsets)
        results: list[Floats] = [np.empty(0, np.float32)] * (len(offsets) - 1)
        for item, hidden in self._hidden_states(loaded, values, offsets):
            results[item] = hidden.copy()
        return results

    @overload
    def classify(  # type: ignore[overload-overlap]
        self, texts: str, *, truncate: bool = ...
    ) -> dict[str, float]: ...
    @overload
    def classify(self, texts: Sequence[str], *, truncate: bool = ...) -> list[dict[str, float]]: ...

    def classify(
        self, texts: str | Sequence[str], *, truncate: bool = False
    ) -> dict[str, float] | list[dict[str, float]]:
        """The classes of each text, the most probable first.

        Args:
            texts: one, or several.
            truncate: see :meth:`encode`.

        Returns:
            For each text the probability of every label, of all labels together 1. Of a model of
            one label, or whose ``problem_type`` says that labels do not exclude each other, each
            has a probability of its own; of a regression, its value.

        Raises:
            UnsupportedModelError: the model was exported without a head for classes.
            InputError, InputTypeError, TokenizerMissingError, ClosedError: as :meth:`encode`.

        Example::

            label, probability = next(iter(encoder.classify("What a day!").items()))
        """
        loaded = self._open()
        labels = self.labels
        if not labels:
            raise UnsupportedModelError(
                f"{str(self.path)!r} has no head for classes; export it with "
                "--task text-classification"
            )
        values, offsets = self._packed_texts(texts, truncate)
        logits = loaded.engine.classify(values, offsets, self.batch_size)
        results = [self._probabilities(row) for row in logits.tolist()]
        return results[0] if isinstance(texts, str) else results

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes by their ids; none if the model does not classify."""
        return read_labels(self._model.raw_config) if self.config.num_labels else ()

    def tokenize(self, texts: Sequence[str], *, truncate: bool = False) -> list[list[int]]:
        """Token ids of each text as :meth:`forward` takes them, with the special tokens.

        Raises:
            InputError, InputTypeError, TokenizerMissingError, ClosedError: as :meth:`encode`.

        Example::

            encoder.forward(encoder.tokenize(["A dog runs."]))
        """
        self._open()
        checked = checked_texts(texts)
        encoded = self._get_tokenizer().encode_batch(checked)
        return self._fitted(encoded, range(len(checked)), truncate)

    def _packed_texts(self, texts: str | Sequence[str], truncate: bool) -> tuple[Ids, Offsets]:
        sources = self.tokenize([texts] if isinstance(texts, str) else texts, truncate=truncate)
        values, offsets = _ragged.pack(sources, self.config.source_vocab_size)
        self._check_lengths(offsets)
        return values, offsets

    def _hidden_states(
        self, loaded: Loaded, values: Ids, offsets: Offsets
    ) -> Iterator[tuple[int, Floats]]:
        """(index of a text, its last hidden states), the longest texts first."""
        order = _ragged.length_order(offsets)
        values, offsets = _ragged.permute(values, offsets, order)
        size = _CHUNK_BATCHES * self.batch_size
        for first in range(0, len(order), size):
            ends = offsets[first : first + size + 1]
            chunk = values[ends[0] : ends[-1]]
            hidden = loaded.engine.encode(chunk, ends - ends[0], self.batch_size)
            rows = np.split(hidden, ends[1:-1] - ends[0])
            yield from zip(order[first : first + size].tolist(), rows, strict=True)

    def _probabilities(self, logits: list[float]) -> dict[str, float]:
        problem = self._model.raw_config.get("problem_type")
        if problem == "regression":
            scores = logits
        elif problem == "multi_label_classification" or len(logits) == 1:
            scores = [_sigmoid(logit) for logit in logits]
        else:
            largest = max(logits)
            powers = [math.exp(logit - largest) for logit in logits]
            scores = [power / math.fsum(powers) for power in powers]
        rounded = [float(np.float32(score)) for score in scores]  # as libm's differ in a last bit
        ranked = sorted(zip(self.labels, rounded, strict=True), key=lambda pair: -pair[1])
        return dict(ranked)


def _sigmoid(logit: float) -> float:
    power = math.exp(-abs(logit))  # never overflows
    return 1 / (1 + power) if logit >= 0 else power / (1 + power)


def _checked_pooling(pooling: str) -> Callable[[Floats], Floats]:
    if not isinstance(pooling, str) or pooling not in _POOLINGS:
        known = ", ".join(map(repr, _POOLINGS))
        raise OptionError(f"pooling: found {pooling!r:.60}, expected {known}")
    return _POOLINGS[pooling]
