"""Encoder: an encoder-only model loaded once, text or token ids in, vectors or classes out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, cast, overload

import numpy as np

from pyengine import _core, _ragged, exits
from pyengine.call_errors import explained
from pyengine.cancel import CancelToken, within
from pyengine.errors import InputError, InputTypeError, OptionError, UnsupportedModelError, excerpt
from pyengine.inputs import (
    Ids,
    ItemError,
    ItemTruncated,
    Offsets,
    Text,
    check_boolean,
    checked_text,
    checked_texts_or_pairs,
)
from pyengine.loaded_model import LoadedModel
from pyengine.loading import Loaded
from pyengine.models.labels import read_labels
from pyengine.models.sentence_modules import SentenceModules
from pyengine.pooling import Floats, checked_pooling, normalized, pool
from pyengine.progress import shown
from pyengine.warning import warn

if TYPE_CHECKING:
    from pyengine.call_types import Pooling
    from pyengine.text.tokenizer import TypedIds

_CHUNK_BATCHES = 8
"""Texts whose last hidden states are held at once, in batches."""


class _Packed(NamedTuple):
    """Texts one after another: ids [tokens], offsets [texts + 1], types [tokens] or none."""

    values: Ids
    offsets: Offsets
    types: Ids


class Encoder(LoadedModel):
    """An encoder-only model (BERT, DistilBERT, RoBERTa, XLM-RoBERTa), ready to run.

    What a text gives does not depend on the other texts of the call, on ``batch_size``, on
    ``threads`` or on the instruction set. Nothing is padded: ids are those of the text alone, and
    an id of padding among them is a token that the others see, as in transformers without an
    attention mask. One encoder may be used from many threads at once.

    Where a method takes texts, it takes any iterable of them: a list, a tuple, a generator, a view
    of a dict, a pandas Series, a NumPy array. An item of it may be a pair of texts, a tuple or a
    list of two: ``[("A dog runs.", "An animal moves.")]``, which the model reads as one, with the
    special tokens and token types of its tokenizer, as models for entailment and for ranking
    expect. A tuple of two strings in the place of the iterable is an error: it could mean either.

    A folder of sentence-transformers (one with ``modules.json``) says how a vector is made of a
    text: pooling, length, default prompt, and after how many tokens a text is cut.

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

    @explained
    def encode(
        self,
        texts: str | Iterable[Text],
        *,
        pooling: Pooling | None = None,
        normalize: bool | None = None,
        truncate: bool | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        progress: bool = False,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Floats:
        """A vector for each text, from the last hidden states of its tokens.

        Args:
            texts: one, or several, or pairs; the special tokens that the tokenizer adds count as
                tokens.
            pooling: ``"mean"`` of all tokens, ``"cls"``: that of the first, ``"max"`` of each
                entry, ``"lasttoken"``, ``"mean_sqrt_len_tokens"``: the sum divided by the root of
                the number of tokens, or ``"weightedmean"``, with weights that rise by 1 from token
                to token. ``None``: what a folder of sentence-transformers says, else the mean.
            normalize: divide each vector by its Euclidean length; ``None``: if the folder says so.
            truncate: cut a text that is too long, with a :class:`TruncationWarning`, instead of
                raising; of a pair the longer text first. ``None``: if the folder says after how
                many tokens (sentence-transformers' ``max_seq_length``).
            prompt: goes before each text; ``None``: the folder's default prompt, if it has one.
            prompt_name: of one of the folder's prompts, to take that.
            progress: show a bar on stderr, or in a notebook, that counts the texts.
            timeout: seconds that the call may take; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the call.

        Returns:
            float32 [size] for a string, [len(texts), size] for several; the size is
            ``hidden_size``, or as many times that as the folder has poolings.

        Raises:
            InputError: a text is longer than the model's positions; nothing was computed.
            InputTypeError: something other than text.
            OptionError: an unknown pooling or prompt.
            UnsupportedModelError: a pair, of which the model's tokenizer knows none; a folder that
                asks for more than pooling and normalising, such as a Dense module, or whose graph
                holds a pooling of its own that ``pooling`` does not replace.
            ModelFormatError: a file of sentence-transformers is damaged.
            TokenizerMissingError: the folder holds no tokenizer files.
            DeadlineError, CancelledError: the time is up, or the token ended the call.
            ClosedError: after :meth:`close`.

        Example::

            encoder.encode(["A dog runs.", "Two women talk."], pooling="cls")
        """
        loaded = self._open()
        token = within(timeout, cancel)
        names = self._pooling(pooling)
        prefix = self._prompt(prompt, prompt_name)
        packed = self._packed_texts(texts, truncate, prefix, token)
        skipped = self._unpooled(prefix, packed.offsets)
        size = len(names) * self.config.hidden_size
        vectors = np.empty((len(packed.offsets) - 1, size), np.float32)
        states = self._hidden_states(loaded, packed, token)
        if check_boolean("progress", progress):
            states = shown(states, len(vectors))
        with _core.FloatEnvironment():
            for item, hidden in states:
                vectors[item] = pool(hidden[skipped:], names)
            if self._sentence.normalize if normalize is None else normalize:
                vectors = normalized(vectors)
        return cast(Floats, vectors[0]) if isinstance(texts, str) else vectors

    @explained
    def forward(
        self,
        sources: Sequence[Sequence[int]],
        token_types: Sequence[Sequence[int]] | None = None,
        *,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> list[Floats]:
        """The last hidden states of token ids.

        Args:
            sources: the ids of each text with its special tokens; 1 to ``max_positions`` of them,
                without padding.
            token_types: of each of the tokens, below ``config.token_types``; ``None``: all are 0.
            timeout, cancel: see :meth:`encode`.

        Returns:
            For each text float32 [len(ids), hidden_size].

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            UnsupportedModelError: ``token_types`` for a model that knows none.
            OptionError, DeadlineError, CancelledError: as :meth:`encode`.
            ClosedError: after :meth:`close`.

        Example::

            encoder.forward([[101, 7592, 102]])[0].shape
        """
        loaded = self._open()
        token = within(timeout, cancel)
        values, offsets = _ragged.pack(sources, self.config.source_vocab_size)
        self._check_lengths(offsets)
        packed = _Packed(values, offsets, self._packed_types(token_types, offsets))
        results: list[Floats] = [np.empty(0, np.float32)] * (len(offsets) - 1)
        for item, hidden in self._hidden_states(loaded, packed, token):
            results[item] = hidden.copy()
        return results

    @overload
    def classify(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        truncate: bool | None = ...,
        timeout: float | None = ...,
        cancel: CancelToken | None = ...,
    ) -> dict[str, float]: ...
    @overload
    def classify(
        self,
        texts: Iterable[Text],
        *,
        truncate: bool | None = ...,
        timeout: float | None = ...,
        cancel: CancelToken | None = ...,
    ) -> list[dict[str, float]]: ...

    @explained
    def classify(
        self,
        texts: str | Iterable[Text],
        *,
        truncate: bool | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> dict[str, float] | list[dict[str, float]]:
        """The classes of each text, the most probable first.

        Args:
            texts: one, or several, or pairs.
            truncate, timeout, cancel: see :meth:`encode`.

        Returns:
            For each text the probability of every label, of all labels together 1. Of a model of
            one label, or whose ``problem_type`` says that labels do not exclude each other, each
            has a probability of its own; of a regression, its value.

        Raises:
            UnsupportedModelError: the model was exported without a head for classes.
            InputError, InputTypeError, OptionError, TokenizerMissingError, DeadlineError,
            CancelledError, ClosedError: as :meth:`encode`.

        Example::

            label, probability = next(iter(encoder.classify("What a day!").items()))
            encoder.classify([("A dog runs.", "An animal moves.")])[0]["entailment"]
        """
        loaded = self._open()
        token = within(timeout, cancel)
        labels = self.labels
        if not labels:
            raise UnsupportedModelError(
                f"{str(self.path)!r} has no head for classes; export it with "
                "--task text-classification"
            )
        packed = self._packed_texts(texts, truncate, "", token)
        logits = loaded.engine.classify(
            packed.values, packed.offsets, self.batch_size, packed.types, token
        )
        with _core.FloatEnvironment():
            results = [self._probabilities(row) for row in logits.tolist()]
        return results[0] if isinstance(texts, str) else results

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes by their ids; none if the model does not classify."""
        return read_labels(self._model.raw_config) if self.config.num_labels else ()

    @property
    def pooling(self) -> tuple[str, ...] | None:
        """What :meth:`encode` pools by where it is not told; ``None``: it asks to be told."""
        return self._sentence.pooling

    @explained
    def tokenize(self, texts: Iterable[Text], *, truncate: bool | None = None) -> list[list[int]]:
        """Token ids of each text or pair as :meth:`forward` takes them, with the special tokens.

        Raises:
            InputError, InputTypeError, TokenizerMissingError, ClosedError: as :meth:`encode`.

        Example::

            encoder.forward(encoder.tokenize(["A dog runs."]))
        """
        return [list(item.ids) for item in self._typed_ids(texts, truncate)]

    @property
    def _sentence(self) -> SentenceModules:
        return self._model.sentence

    def _pooling(self, wanted: str | None) -> tuple[str, ...]:
        names = self._sentence.pooling if wanted is None else checked_pooling(wanted)
        if self._sentence.refused is not None:
            raise UnsupportedModelError(
                f"{str(self.path)!r}: {self._sentence.refused}; forward gives the hidden states"
            )
        if names is None:
            raise UnsupportedModelError(
                f"{str(self.path)!r}: its graph makes the vectors (output sentence_embedding), and "
                "there is no modules.json that tells how; say it with pooling= and normalize="
            )
        return names

    def _prompt(self, prompt: str | None, name: str | None) -> str:
        prompts = self._sentence.prompts
        if prompt is not None:
            if name is not None:
                raise OptionError("prompt and prompt_name: found both, expected one of them")
            return checked_text(prompt)
        name = self._sentence.default_prompt if name is None else name
        if name is not None and name not in prompts:
            known = ", ".join(map(repr, prompts)) or "none, as the folder has no prompts"
            raise OptionError(f"prompt_name: found {excerpt(name)}, expected {known}")
        return "" if name is None else prompts[name]

    def _unpooled(self, prompt: str, offsets: Offsets) -> int:
        """Tokens at the beginning of each text that do not count in its vector: those of a prompt
        where the folder says so."""
        if not prompt or self._sentence.pools_prompt:
            return 0
        tokenizer = self._get_tokenizer()
        length = len(tokenizer.encode(prompt)) - tokenizer.num_final
        short = np.flatnonzero(np.diff(offsets) <= length)
        if len(short):
            raise ItemError(int(short[0]), f"found no token behind the {length} of the prompt")
        return length

    @property
    def _max_tokens(self) -> int:
        limits = (self.config.max_positions, self._sentence.max_tokens)
        return min(limit for limit in limits if limit is not None)

    def _too_long(self, length: int) -> str:
        if self._max_tokens == self.config.max_positions:
            return super()._too_long(length)
        return f"{length} tokens, the folder's max_seq_length is {self._max_tokens}"

    def _typed_ids(
        self,
        texts: Iterable[Text],
        truncate: bool | None,
        prompt: str = "",
        cancel: _core.CancelToken | None = None,
    ) -> list[TypedIds]:
        self._open()
        checked = [_prompted(prompt, text) for text in checked_texts_or_pairs(texts)]
        cuts = self._sentence.max_tokens is not None if truncate is None else truncate
        typed: list[TypedIds] = []
        # Texts in a row are encoded together, but singly where a token is to be asked in between.
        for _, group in groupby(
            enumerate(checked), lambda x: (type(x[1]), cancel is not None and x[0])
        ):
            if cancel is not None:
                cancel.check()
            items, row = zip(*group, strict=True)
            typed += self._typed(items, row, cuts)
        return typed

    def _typed(
        self, items: Sequence[int], texts: Sequence[Text], truncate: bool
    ) -> Iterator[TypedIds]:
        """Of texts alone, or of pairs alone; their numbers in the call are `items`."""
        with exits.guarded_imports:
            from pyengine.text.tokenizer import TypedIds

        tokenizer = self._get_tokenizer()
        if isinstance(texts[0], str):
            encoded = tokenizer.encode_batch(cast("Sequence[str]", texts))
            for ids in self._fitted(encoded, items, truncate):
                yield TypedIds(ids, [0] * len(ids))
            return
        pairs = cast("Sequence[tuple[str, str]]", texts)
        for item, pair in zip(items, pairs, strict=True):
            (typed,) = tokenizer.encode_pairs([pair])
            yield typed if self._fits(item, typed, truncate) else self._cut(pair)

    def _fits(self, item: int, pair: TypedIds, truncate: bool) -> bool:
        """Whether a pair is within the limit; raises or warns if not."""
        if len(pair.ids) <= self._max_tokens:
            return True
        length = self._too_long(len(pair.ids))
        if not truncate:
            raise ItemError(item, f"{length}; shorten a text, or set truncate=True")
        warn(ItemTruncated(item, f"{length}; the rest was cut"))
        return False

    def _cut(self, pair: tuple[str, str]) -> TypedIds:
        return self._get_tokenizer().encode_pairs([pair], self._max_tokens)[0]

    def _packed_texts(
        self,
        texts: str | Iterable[Text],
        truncate: bool | None,
        prompt: str,
        cancel: _core.CancelToken | None,
    ) -> _Packed:
        listed = [texts] if isinstance(texts, str) else texts
        typed = self._typed_ids(listed, truncate, prompt, cancel)
        values, offsets = _ragged.pack([x.ids for x in typed], self.config.source_vocab_size)
        self._check_lengths(offsets)
        told = self.config.token_types > 1
        return _Packed(
            values, offsets, self._packed_types([x.types for x in typed] if told else None, offsets)
        )

    def _packed_types(self, token_types: Sequence[Sequence[int]] | None, offsets: Offsets) -> Ids:
        if token_types is None:
            return np.empty(0, np.int32)
        if not self.config.token_types:
            raise UnsupportedModelError(f"{self.model_type} knows no token types, expected None")
        try:
            types, own_offsets = _ragged.pack(token_types, self.config.token_types)
        except (InputError, InputTypeError) as error:
            raise type(error)(f"token_types: {error}") from None
        if not np.array_equal(own_offsets, offsets):
            raise InputError("token_types: expected one for each token of each text")
        return types

    def _hidden_states(
        self, loaded: Loaded, packed: _Packed, cancel: _core.CancelToken | None
    ) -> Iterator[tuple[int, Floats]]:
        """(index of a text, its last hidden states), the longest texts first."""
        order = _ragged.length_order(packed.offsets)
        values, offsets = _ragged.permute(packed.values, packed.offsets, order)
        types = packed.types
        if len(types):
            types, _ = _ragged.permute(types, packed.offsets, order)
        size = _CHUNK_BATCHES * self.batch_size
        for first in range(0, len(order), size):
            ends = offsets[first : first + size + 1]
            chunk = slice(ends[0], ends[-1])
            hidden = loaded.engine.encode(
                values[chunk], ends - ends[0], self.batch_size, types[chunk], cancel
            )
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


def _prompted(prompt: str, text: Text) -> Text:
    """With a prompt before a text, or before the first of a pair."""
    return prompt + text if isinstance(text, str) else (prompt + text[0], text[1])


def _sigmoid(logit: float) -> float:
    power = math.exp(-abs(logit))  # never overflows
    return 1 / (1 + power) if logit >= 0 else power / (1 + power)
