"""Generator: a decoder-only model loaded once, prompts in, continuations out."""

from __future__ import annotations

from collections.abc import Generator as Generating
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged, exits
from pyengine.call_errors import explained
from pyengine.cancel import CancelToken, within
from pyengine.decoder_model import DecoderModel, Hypothesis
from pyengine.errors import OptionError
from pyengine.generation_options import GenerationOptions
from pyengine.inputs import Ids, ItemError, Offsets, checked_text
from pyengine.kept_options import KeptOptions
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyengine.call_types import GenerateOptions, StreamOptions


class Generator(DecoderModel):
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

    @explained
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Unpack[GenerateOptions],
    ) -> list[list[Hypothesis]]:
        """Continue prompts, each read in one pass.

        Args:
            prompts: the ids of each, 1 or more, fewer than ``max_length`` and the model's
                positions.
            timeout: seconds that the call may take; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the call.
            **options: see :class:`pyengine.GenerationOptions`; what is not given comes from
                the folder's ``generation_config.json``. ``max_length`` and ``min_length`` count the
                prompt, ``max_new_tokens`` and ``min_new_tokens`` do not; a continuation ends at the
                model's positions in any case.

        Returns:
            For each prompt its ``num_return_sequences`` continuations, best first: their ids
            without the prompt and the end token.

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            OptionError, UnknownOptionError: a keyword or its value is wrong.
            DeadlineError, CancelledError: the time is up, or the token ended the call.
            ClosedError: after :meth:`close`.

        Example::

            generator.generate([[12, 7, 2]], num_beams=4, max_new_tokens=20)
        """
        loaded = self._open()
        token = within(timeout, cancel)
        resolved = self.generation_options(**options)
        values, offsets = self._packed_prompts(prompts, resolved)
        return self._search(loaded, values, offsets, resolved, cancel=token)

    @overload
    def stream(
        self, prompt: str, **options: Unpack[StreamOptions]
    ) -> Generating[str, None, None]: ...
    @overload
    def stream(
        self, prompt: Sequence[int], **options: Unpack[StreamOptions]
    ) -> Generating[int, None, None]: ...

    @explained
    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Any,
    ) -> Generating[str, None, None] | Generating[int, None, None]:
        """Continue one prompt, greedy or sampling, and hand out what is made as it is made.

        Work starts when the first is asked for, and goes on ahead of the reader. It ends when the
        iterator ends, is closed or is dropped; other calls of this generator share its batches.

        Args:
            prompt: a text, or ids as :meth:`generate` takes them.
            timeout: seconds from the call to the last id; ``None``: any number.
            cancel: a :class:`CancelToken` that ends the stream.
            **options: see :meth:`generate`; ``num_beams`` is 1, and one continuation is made.

        Returns:
            For ids, a generator of the ids that :meth:`generate` finds; for a text, of the pieces
            of :meth:`decode` of those ids, each as soon as no further id can change it.

        Raises:
            InputError, InputTypeError: something is wrong with the prompt.
            OptionError, UnknownOptionError: a keyword or its value is wrong.
            TokenizerMissingError: a text, and the folder holds no tokenizer files.
            ClosedError: after :meth:`close`.

        While iterating, DeadlineError and CancelledError are raised as by :meth:`generate`, and
        ForkedError in a child forked meanwhile.

        Example::

            for piece in generator.stream("Once upon a time", max_new_tokens=50):
                print(piece, end="", flush=True)
        """
        with exits.guarded_imports:
            from pyengine.token_stream import ids_of, text_of

        loaded = self._open()
        token = within(timeout, cancel)
        resolved = self.generation_options(**options)
        ids = self.encode(prompt) if isinstance(prompt, str) else prompt
        values, _ = self._packed_prompts([ids], resolved)
        batches = self._stream(loaded, values, resolved, token)
        if isinstance(prompt, str):
            return text_of(batches, self._get_tokenizer())
        return ids_of(batches)

    def _packed_prompts(
        self, prompts: Sequence[Sequence[int]], options: GenerationOptions
    ) -> tuple[Ids, Offsets]:
        values, offsets = _ragged.pack(prompts, self.config.vocab_size)
        lengths = np.diff(offsets)
        bad = np.flatnonzero((lengths < 1) | (lengths >= options.max_length))
        if len(bad):
            item, longest = int(bad[0]), options.max_length - 1
            expected = f"expected 1 to {longest}, one below max_length"
            raise ItemError(item, f"found {lengths[item]} tokens, {expected}")
        return values, offsets

    @explained
    def score(
        self,
        texts: Sequence[Sequence[int]],
        *,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> list[NDArray[np.float32]]:
        """Log-probability of every id after the first, given the ids before it.

        No option takes part: the model's own distribution.

        Args:
            texts: ids of each text, at most ``max_positions`` of them.
            timeout, cancel: see :meth:`generate`.

        Returns:
            For each text a float32 array [len(ids) - 1] (empty for fewer than two), natural
            logarithms.

        Raises:
            InputError, InputTypeError: names the item; nothing was computed.
            OptionError, DeadlineError, CancelledError: as :meth:`generate`.
            ClosedError: after :meth:`close`.

        Example::

            generator.score([[12, 7, 2]])[0].sum()
        """
        loaded = self._open()
        token = within(timeout, cancel)
        values, offsets = _ragged.pack(texts, self.config.vocab_size)
        self._check_lengths(offsets, shortest=0)
        scores = loaded.engine.score_texts(values, offsets, self.batch_size, token)
        return [rows[1:] for rows in np.split(scores, offsets[1:-1])] if len(offsets) > 1 else []

    @explained
    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, with the special tokens that the tokenizer adds.

        Raises:
            InputTypeError: ``text`` is not a string.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            generator.generate([generator.encode("Once upon a time")])
        """
        self._open()
        return self._get_tokenizer().encode(checked_text(text))

    def generation_options(self, **options: Unpack[GenerateOptions]) -> GenerationOptions:
        """The options of a call with these keywords: theirs and the folder's, checked.

        Raises:
            OptionError, UnknownOptionError: a keyword or a value, also of the folder's, is wrong.

        Example::

            generator.generation_options(max_new_tokens=50).max_added_tokens
        """
        if options.get("decoder_start_token_id"):  # 0 stands for none in GenerationOptions
            raise OptionError("decoder_start_token_id: found one, expected none: the prompt starts")
        return self._options.of(options)

    @cached_property
    def _options(self) -> KeptOptions:
        limits = ModelLimits(self.config.vocab_size, self.config.max_positions, prompted=True)
        return KeptOptions(partial(resolve_options, self._model.generation_config, limits=limits))
