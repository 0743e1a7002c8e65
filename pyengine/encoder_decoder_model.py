"""EncoderDecoderModel: token ids in, hypotheses and log-probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged
from pyengine.call_errors import explained
from pyengine.cancel import CancelToken, within
from pyengine.decoder_model import DecoderModel, Hypothesis
from pyengine.errors import InputError
from pyengine.generation_options import GenerationOptions
from pyengine.inputs import packed
from pyengine.kept_options import KeptOptions
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options
from pyengine.wording import Wording

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyengine.call_types import GenerateOptions


class EncoderDecoderModel(DecoderModel):
    """What a :class:`~pyengine.Translator` is before it reads text."""

    _STACKS = ("encoder", "decoder")

    @explained
    def generate(
        self,
        sources: Sequence[Sequence[int]],
        *,
        target: str | None = None,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
        **options: Unpack[GenerateOptions],
    ) -> list[list[Hypothesis]]:
        """Translate token ids.

        Args:
            sources: the ids of each sentence, exactly as the encoder sees them (so with the end
                token); 1 to ``max_positions`` of them.
            target: the language whose token comes first, of a model that forces one; see
                :meth:`pyengine.Translator.translate`.
            timeout, cancel: see :meth:`pyengine.Translator.translate`.
            **options: see :meth:`pyengine.Translator.translate`.

        Returns:
            For each sentence its ``num_return_sequences`` hypotheses, best first.

        Raises:
            InputError, InputTypeError: names the item and the position; nothing was computed.
            OptionError, UnknownOptionError: a keyword or its value is wrong.
            DeadlineError, CancelledError: as :meth:`pyengine.Translator.translate`.
            ClosedError: after :meth:`close`.

        Example::

            translator.generate([[12, 7, 2]], num_beams=4, num_return_sequences=2)
        """
        loaded = self._open()
        token = within(timeout, cancel)
        resolved = self._resolve(options, Wording(target=target))
        values, offsets = _ragged.pack(sources, self.config.source_vocab_size)
        self._check_lengths(offsets)
        return self._search(loaded, values, offsets, resolved, cancel=token)

    @explained
    def score(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        timeout: float | None = None,
        cancel: CancelToken | None = None,
    ) -> list[NDArray[np.float32]]:
        """Log-probability of every given target id, given the source and the ids before it.

        No option takes part, nor a shortlist: the model's own distribution. The float32 sum, first
        to last, over ``ids + [end token]`` of a hypothesis is its unnormalised score to the bit
        when no option and no shortlist changed its probabilities.

        Args:
            sources: ids of each source, as in :meth:`generate`.
            targets: ids of each target, without the decoder start token; at most
                ``max_positions`` of them.
            timeout, cancel: see :meth:`pyengine.Translator.translate`.

        Returns:
            For each pair a float32 array [len(target)], natural logarithms.

        Raises:
            InputError, InputTypeError: names the item; nothing was computed.
            OptionError: the folder names no decoder start token.
            DeadlineError, CancelledError: as :meth:`pyengine.Translator.translate`.

        Example::

            translator.score([[12, 7, 2]], [[5, 9, 2]])[0].sum()
        """
        loaded = self._open()
        token = within(timeout, cancel)
        source_values, source_offsets = packed("sources", sources, self.config.source_vocab_size)
        target_values, target_offsets = packed("targets", targets, self.config.vocab_size)
        if len(source_offsets) != len(target_offsets):
            raise InputError(
                f"found {len(source_offsets) - 1} sources and {len(target_offsets) - 1} targets, "
                "expected one target for each source"
            )
        self._check_lengths(source_offsets, "source: ")
        self._check_lengths(target_offsets, "target: ", shortest=0)
        if len(source_offsets) == 1:
            return []
        scores = loaded.engine.score(
            source_values,
            source_offsets,
            target_values,
            target_offsets,
            self._resolve({}).decoder_start_token_id,
            self.batch_size,
            token,
        )
        return np.split(scores, target_offsets[1:-1])

    @property
    def max_source_length(self) -> int:
        """Source tokens of one sentence at most, the end token included."""
        return self.config.max_positions

    def generation_options(self, **options: Unpack[GenerateOptions]) -> GenerationOptions:
        """The options of a call with these keywords: theirs and the folder's, checked.

        Raises:
            OptionError, UnknownOptionError: a keyword or a value, also of the folder's, is wrong.

        Example::

            translator.generation_options(num_beams=4).max_length
        """
        return self._resolve(options)

    def _resolve(
        self, options: Mapping[str, Any], wording: Wording | None = None
    ) -> GenerationOptions:
        if wording and (wording.source is not None or wording.target is not None):
            options = {**wording.options(self._get_tokenizer()), **options}
        return self._options.of(options)

    @cached_property
    def _options(self) -> KeptOptions:
        limits = ModelLimits(self.config.vocab_size, self.config.max_positions)
        return KeptOptions(partial(resolve_options, self._model.generation_config, limits=limits))
