"""Generator: a decoder-only model loaded once, prompts in, continuations out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged
from pyengine.errors import InputTypeError, OptionError
from pyengine.inputs import ItemError
from pyengine.loaded_model import LoadedModel
from pyengine.options import GenerationOptions, ModelLimits, resolve_options, to_core
from pyengine.translator import Hypothesis


class Generator(LoadedModel):
    """A decoder-only model (GPT-2, Llama), ready to run.

    What a prompt gives does not depend on the other prompts of the call, on ``batch_size``, on
    ``threads`` or on the instruction set. Nothing is padded: a prompt is its own ids alone. One
    generator may be used from many threads at once; their prompts share the batches.

    Args:
        model: folder as ``optimum-cli export onnx --task text-generation-with-past`` wrote it
            (``config.json``, ``model.onnx``, tokenizer files).
        compute_type, threads, batch_size, isa, cache_dir, variant: see
            :class:`pyengine.Translator`.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError, OptionError: see
            :class:`pyengine.Translator`; UnsupportedModelError also for a model with an encoder.

    Example::

        with pyengine.Generator("path/to/model") as generator:
            prompt = generator.encode("Once upon a time")
            best = generator.generate([prompt], max_new_tokens=50)[0][0]
            print(generator.decode(best.ids))
    """

    _STACKS = ("decoder",)

    def generate(self, prompts: Sequence[Sequence[int]], **options: Any) -> list[list[Hypothesis]]:
        """Continue prompts, each read in one pass.

        Args:
            prompts: the ids of each, 1 or more, fewer than ``max_length`` and the model's
                positions.
            **options: see :class:`pyengine.options.GenerationOptions`; what is not given comes from
                the folder's ``generation_config.json``. ``max_length`` and ``min_length`` count the
                prompt, ``max_new_tokens`` and ``min_new_tokens`` do not; a continuation ends at the
                model's positions in any case.

        Returns:
            For each prompt its ``num_return_sequences`` continuations, best first: their ids
            without the prompt and the end token.

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            OptionError, UnknownOptionError: a keyword or its value is wrong.
            ClosedError: after :meth:`close`.

        Example::

            generator.generate([[12, 7, 2]], num_beams=4, max_new_tokens=20)
        """
        loaded = self._open()
        resolved = self.generation_options(**options)
        values, offsets = _ragged.pack(prompts, self.config.vocab_size)
        lengths = np.diff(offsets)
        bad = np.flatnonzero((lengths < 1) | (lengths >= resolved.max_length))
        if len(bad):
            item, longest = int(bad[0]), resolved.max_length - 1
            expected = f"expected 1 to {longest}, one below max_length"
            raise ItemError(item, f"found {lengths[item]} tokens, {expected}")
        if len(offsets) == 1:
            return []
        order = _ragged.length_order(offsets)
        values, offsets = _ragged.permute(values, offsets, order)
        found = loaded.engine.generate(values, offsets, to_core(resolved), self.batch_size)
        grouped = _ragged.group(*found, resolved.num_return_sequences, order)
        return [[Hypothesis(*pair) for pair in pairs] for pairs in grouped]

    def score(self, texts: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Log-probability of every id after the first, given the ids before it.

        No option takes part: the model's own distribution.

        Args:
            texts: ids of each text, at most ``max_positions`` of them.

        Returns:
            For each text a float32 array [len(ids) - 1] (empty for fewer than two), natural
            logarithms.

        Raises:
            InputError, InputTypeError: names the item; nothing was computed.
            ClosedError: after :meth:`close`.

        Example::

            generator.score([[12, 7, 2]])[0].sum()
        """
        loaded = self._open()
        values, offsets = _ragged.pack(texts, self.config.vocab_size)
        self._check_lengths(offsets, shortest=0)
        scores = loaded.engine.score_texts(values, offsets, self.batch_size)
        return [rows[1:] for rows in np.split(scores, offsets[1:-1])] if len(offsets) > 1 else []

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, with the special tokens that the tokenizer adds.

        Raises:
            InputTypeError: ``text`` is not a string.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            generator.generate([generator.encode("Once upon a time")])
        """
        self._open()
        if not isinstance(text, str):
            raise InputTypeError(f"text: expected a string, found {type(text).__name__}")
        return self._get_tokenizer().encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids as :meth:`generate` returns them; special tokens are dropped.

        Raises:
            InputError, InputTypeError: an id is outside the vocabulary, or no integer.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            generator.decode(generator.generate([[12, 7, 2]])[0][0].ids)
        """
        self._open()
        values, _ = _ragged.pack([ids], self.config.vocab_size)
        return self._get_tokenizer().decode(values.tolist())

    def generation_options(self, **options: Any) -> GenerationOptions:
        """The options of a call with these keywords: theirs and the folder's, checked.

        Raises:
            OptionError, UnknownOptionError: a keyword or a value, also of the folder's, is wrong.

        Example::

            generator.generation_options(max_new_tokens=50).max_added_tokens
        """
        if options.get("decoder_start_token_id") is not None:
            raise OptionError("decoder_start_token_id: found one, expected none: the prompt starts")
        limits = ModelLimits(self.config.vocab_size, self.config.max_positions, prompted=True)
        return resolve_options(self._model.generation_config, options, limits)
