"""Every generation option: what calls may say, what it becomes, its default and its check.

:class:`SearchOptions` has the keywords of calls for type checkers, :class:`GenerationOptions` the
values in force, each with its check; the tables below it have the names of transformers' options
that pyengine does not act on. What acts on an option has the same fields in csrc/decode/options.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

from pyengine.option_values import (
    MAX_BEAMS,
    Check,
    at_least,
    between,
    boolean,
    factor,
    optional,
    positive,
    real,
    share,
    stopping,
    token,
    token_or_tokens,
    tokens,
    words,
)


class SearchOptions(TypedDict, total=False):
    """The keywords of :class:`pyengine.GenerationOptions`, but for the number of results,
    which decides what is returned. ``None`` switches an optional value off.
    """

    max_length: int | None
    max_new_tokens: int | None
    min_length: int | None
    min_new_tokens: int | None
    max_length_factor: float | None
    decoder_start_token_id: int | None
    eos_token_id: int | Sequence[int] | None
    forced_bos_token_id: int | None
    forced_eos_token_id: int | Sequence[int] | None
    num_beams: int | None
    length_penalty: float | None
    early_stopping: bool | Literal["never"] | None
    renormalize_logits: bool | None
    suppress_tokens: Sequence[int] | None
    begin_suppress_tokens: Sequence[int] | None
    bad_words_ids: Sequence[Sequence[int]] | None
    no_repeat_ngram_size: int | None
    encoder_no_repeat_ngram_size: int | None
    repetition_penalty: float | None
    encoder_repetition_penalty: float | None
    do_sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    seed: int | None


def _option(default: Any, check: Check, group: str = "") -> Any:
    """A field with the check of what a call or a folder says; ``None`` is a wrong value.

    Args:
        group: "sampling": it counts only with ``do_sample``; "penalty": the tokens so far matter.
    """
    return field(default=default, metadata={"check": check, "group": group})


def _optional(default: Any, check: Check, group: str = "") -> Any:
    """A field for which ``None`` stands for the default."""
    return _option(default, optional(check, default), group)


@dataclass(frozen=True)
class GenerationOptions:
    """The options of one call, complete and checked. Made by :func:`resolve_options`.

    Lengths count the decoder start token, as in transformers: ``max_length=20`` allows 19 generated
    tokens, the end token among them.

    Attributes:
        max_length: tokens at most, start and end token included; at most the model's positions.
        decoder_start_token_id: the id the decoder starts from.
        eos_token_id: the ids that end a hypothesis.
        num_beams: hypotheses followed at once; 1 is greedy search.
        num_return_sequences: hypotheses returned for each sentence, at most ``num_beams``; with
            ``do_sample``, independent samples.
        min_length: the end tokens are forbidden until this length is reached; above
            ``max_length``, every translation is ``max_length`` long.
        length_penalty: a score is the sum of log-probabilities / (generated tokens) ** this.
        early_stopping: ``True``: stop when ``num_beams`` hypotheses are finished; ``False``: when
            none that runs can win at its present length; ``"never"``: none at any length.
        renormalize_logits: normalise again after the processors changed the log-probabilities.
        forced_bos_token_id: the first generated token, or ``None``.
        forced_eos_token_id: the tokens allowed at ``max_length``, empty for any.
        suppress_tokens: ids never generated.
        begin_suppress_tokens: ids not generated first (second, after a forced first token).
        bad_words_ids: sequences of ids never generated; a lone end token stays allowed.
        no_repeat_ngram_size: sequences of this many ids occur once at most, a prompt's included;
            0: any number of times.
        encoder_no_repeat_ngram_size: sequences of this many ids of the source, or of a prompt, are
            not generated; 0: they are.
        repetition_penalty: scores of ids that the text so far holds, a prompt's and the decoder
            start token included, are divided by this if positive, else multiplied: logits, in beam
            search log-probabilities. 1: no penalty.
        encoder_repetition_penalty: the same with 1 / this for the ids of the source or a prompt.
        do_sample: draw each token by its probability; ``num_beams`` is 1. The options below count
            only then.
        temperature: what logits are divided by first; below 1 likely tokens become likelier.
        top_k: the most probable tokens that are drawn from; 0: all. transformers' default, 50.
        top_p: then the fewest most probable tokens whose probabilities add up to at least this.
        min_p: then those of at least this share of the largest probability.
        typical_p: then the fewest whose -log p lies nearest to their mean -log p, the entropy, and
            whose probabilities add up to at least this (Meister et al. 2023); 1: all.
        seed: a sample depends on this, on its sentence's ids and on its index among the sentence's
            samples alone; ``None``: another one for each call.
        max_added_tokens: generated tokens at most, however long the prompt of a
            :class:`~pyengine.Generator` is, whose tokens the lengths above count; ``None``: as many
            as these allow.
        min_added_tokens: tokens generated before an end token is allowed, as above.
        max_length_factor: generated tokens at most for each token of the source, or of a prompt, as
            Marian has it and Firefox folders say it; 0: any number. A length in a call replaces
            that of the folder.

    Source: transformers 4.57, ``GenerationConfig``.

    Example:
        >>> from pyengine.option_values import ModelLimits
        >>> from pyengine.options import resolve_options
        >>> limits = ModelLimits(vocab_size=100, max_positions=64)
        >>> file = {"num_beams": 4, "decoder_start_token_id": 99, "eos_token_id": 0}
        >>> options = resolve_options(file, {"max_new_tokens": 10}, limits)
        >>> options.num_beams, options.max_length, options.eos_token_id
        (4, 11, (0,))
    """

    max_length: int
    decoder_start_token_id: int
    eos_token_id: tuple[int, ...] = _optional((), token_or_tokens)
    num_beams: int = _option(1, between(1, MAX_BEAMS))
    num_return_sequences: int = _option(1, between(1, MAX_BEAMS))
    min_length: int = 0
    length_penalty: float = _option(1.0, real)
    early_stopping: bool | str = _option(False, stopping)
    renormalize_logits: bool = _option(False, boolean)
    forced_bos_token_id: int | None = _optional(None, token)
    forced_eos_token_id: tuple[int, ...] = _optional((), token_or_tokens)
    suppress_tokens: tuple[int, ...] = _optional((), tokens)
    begin_suppress_tokens: tuple[int, ...] = _optional((), tokens)
    bad_words_ids: tuple[tuple[int, ...], ...] = _optional((), words)
    no_repeat_ngram_size: int = _optional(0, at_least(0), "penalty")
    encoder_no_repeat_ngram_size: int = _optional(0, at_least(0), "penalty")
    repetition_penalty: float = _optional(1.0, positive, "penalty")
    encoder_repetition_penalty: float = _optional(1.0, positive, "penalty")
    do_sample: bool = False
    temperature: float = _optional(1.0, positive, "sampling")
    top_k: int = _optional(0, at_least(0), "sampling")
    top_p: float = _optional(1.0, share, "sampling")
    min_p: float = _optional(0.0, share, "sampling")
    typical_p: float = _optional(1.0, share, "sampling")
    seed: int | None = _optional(None, between(0, 2**64 - 1), "sampling")
    max_added_tokens: int | None = None
    min_added_tokens: int = 0
    max_length_factor: float = _optional(0.0, factor)

    @property
    def max_new_tokens(self) -> int:
        """Generated tokens at most, the end token included."""
        return self.max_length - 1

    @property
    def min_new_tokens(self) -> int:
        """Generated tokens before an end token is allowed."""
        return max(self.min_length - 1, 0)


def _fields(*groups: str) -> list[Any]:
    """The fields with a check that are of these groups."""
    checked = [item for item in fields(GenerationOptions) if item.metadata]
    return [item for item in checked if item.metadata["group"] in groups]


CHECKS: dict[str, Check] = {item.name: item.metadata["check"] for item in _fields("", "penalty")}
"""Of every option but lengths and the decoder start, which depend on each other."""

SAMPLING_CHECKS: dict[str, Check] = {
    item.name: item.metadata["check"] for item in _fields("sampling")
}
"""Of the options that count only with ``do_sample``."""

NO_PENALTIES: dict[str, Any] = {item.name: item.default for item in _fields("penalty")}
"""For a search that does not look at what it has generated, whatever the folder says."""

OPTION_NAMES = tuple(
    sorted(item.name.replace("_added_", "_new_") for item in fields(GenerationOptions))
)
"""Every keyword that ``translate`` and ``generate`` act on."""

NOT_SUPPORTED: dict[str, tuple[Any, ...]] = {
    # Name: the values that change nothing (None never does).
    "num_beam_groups": (1,),
    "diversity_penalty": (0,),
    "penalty_alpha": (0,),
    "guidance_scale": (1,),
    "token_healing": (False,),
    "constraints": (),
    "force_words_ids": (),
    "sequence_bias": (),
    "exponential_decay_length_penalty": (),
    "dola_layers": (),
    "max_time": (),
    "stop_strings": (),
    "watermarking_config": (),
    "prompt_lookup_num_tokens": (),
    "assistant_early_exit": (),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "output_scores": (False,),
    "output_logits": (False,),
    "return_dict_in_generate": (False,),
}
SAMPLING_NOT_SUPPORTED: dict[str, tuple[Any, ...]] = {  # without effect while not sampling
    "top_h": (),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
}
WITHOUT_EFFECT = (  # without padding, with finite logits
    "pad_token_id",
    "bos_token_id",
    "use_cache",
    "remove_invalid_values",
)
