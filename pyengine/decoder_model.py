"""DecoderModel: what a model that writes text does with ids, whether it has an encoder or not."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyengine import _core, _ragged, exits
from pyengine.call_errors import explained
from pyengine.generation_options import GenerationOptions
from pyengine.inputs import Ids, Offsets
from pyengine.loaded_model import LoadedModel
from pyengine.options import one_hypothesis, to_core

if TYPE_CHECKING:
    from pyengine.loading import Loaded


class Hypothesis(NamedTuple):
    """One translation, or continuation of a prompt, as token ids.

    Attributes:
        ids: without the decoder start token or the prompt, and without the end token.
        score: sum of the log-probabilities / (generated tokens, end token included) **
            ``length_penalty``; with a shortlist, probabilities over the sentence's candidates; of a
            sample, the probabilities that its tokens were drawn with.
    """

    ids: list[int]
    score: float


class DecoderModel(LoadedModel):
    """What a :class:`~pyengine.Translator` and a :class:`~pyengine.Generator` have in common."""

    @explained
    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids as ``generate`` returns them; special tokens are dropped.

        Raises:
            InputError, InputTypeError: an id is outside the vocabulary, or no integer.
            TokenizerMissingError: the folder holds no tokenizer files.

        Example::

            model.decode(model.generate([[12, 7, 2]])[0][0].ids)
        """
        self._open()
        values, _ = _ragged.pack([ids], self.config.vocab_size)
        return self._get_tokenizer().decode(values.tolist())

    def _search(
        self,
        loaded: Loaded,
        values: Ids,
        offsets: Offsets,
        options: GenerationOptions,
        *,
        return_scores: bool = True,
        cancel: _core.CancelToken | None = None,
    ) -> list[list[Hypothesis]]:
        """The hypotheses of each input, in the order of the inputs."""
        if len(offsets) == 1:
            return []
        core = to_core(options, return_scores)
        order = _ragged.length_order(offsets)
        values, offsets = _ragged.permute(values, offsets, order)
        ids, ends, scores = loaded.engine.generate(values, offsets, core, self.batch_size, cancel)
        grouped = _ragged.group(ids, ends, scores, options.num_return_sequences, order)
        return [[Hypothesis(*pair) for pair in pairs] for pairs in grouped]

    def _stream(
        self,
        loaded: Loaded,
        ids: Ids,
        options: GenerationOptions,
        cancel: _core.CancelToken | None,
    ) -> Generator[list[int], None, None]:
        """The ids that :meth:`_search` finds for one input, as they are made.

        Raises:
            OptionError: several hypotheses were asked for; before anything is computed.
        """
        with exits.guarded_imports:
            from pyengine.token_stream import tokens_as_made

        core = to_core(one_hypothesis(options), return_scores=False)

        def work(tokens: _core.TokenQueue, cancel: _core.CancelToken) -> None:
            loaded.engine.stream(ids, core, tokens, self.batch_size, cancel)

        return tokens_as_made(work, cancel)
