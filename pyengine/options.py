"""Generation options: transformers' names and meaning, from the model folder and from the call.

A model folder's ``generation_config.json`` holds the defaults, the keywords of a call override
them. Names, defaults and the way lengths combine are those of transformers 4.57
(``generation/configuration_utils.py``, ``GenerationMixin._prepare_generated_length``), with two
differences: where neither the call nor the file sets a length, the limit is the model's number of
positions (transformers: 20 tokens), and a length given in the call replaces the file's in either
spelling (in transformers the file's ``max_new_tokens`` wins over the call's ``max_length``).
A folder whose file sets ``do_sample`` samples, unless the call says ``do_sample=False``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyengine.errors import OptionError
from pyengine.option_names import check_names, check_supported
from pyengine.option_values import (
    CHECKS,
    FILE_NAME,
    INT_MAX,
    SAMPLING_CHECKS,
    Given,
    ModelLimits,
    at_least,
    boolean,
    optional,
    token,
)

if TYPE_CHECKING:
    from pyengine import _core


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
        >>> limits = ModelLimits(vocab_size=100, max_positions=64)
        >>> file = {"num_beams": 4, "decoder_start_token_id": 99, "eos_token_id": 0}
        >>> options = resolve_options(file, {"max_new_tokens": 10}, limits)
        >>> options.num_beams, options.max_length, options.eos_token_id
        (4, 11, (0,))
    """

    max_length: int
    decoder_start_token_id: int
    eos_token_id: tuple[int, ...] = ()
    num_beams: int = 1
    num_return_sequences: int = 1
    min_length: int = 0
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    renormalize_logits: bool = False
    forced_bos_token_id: int | None = None
    forced_eos_token_id: tuple[int, ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    no_repeat_ngram_size: int = 0
    encoder_no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    encoder_repetition_penalty: float = 1.0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    max_added_tokens: int | None = None
    min_added_tokens: int = 0
    max_length_factor: float = 0.0

    @property
    def max_new_tokens(self) -> int:
        """Generated tokens at most, the end token included."""
        return self.max_length - 1

    @property
    def min_new_tokens(self) -> int:
        """Generated tokens before an end token is allowed."""
        return max(self.min_length - 1, 0)


def resolve_options(
    file: Mapping[str, Any], call: Mapping[str, Any], limits: ModelLimits
) -> GenerationOptions:
    """Combine the folder's defaults with the keywords of a call and check every value.

    Args:
        file: ``generation_config.json`` as read; names that are no options are ignored.
        call: keyword arguments of the call. ``None`` switches an optional value off.
        limits: vocabulary and positions of the model.

    Raises:
        UnknownOptionError: a keyword of the call is no option; names the nearest one.
        OptionError: a value has the wrong type or range, or asks for what pyengine does not do.

    Example:
        >>> resolve_options({}, {"num_beam": 4}, ModelLimits(vocab_size=10, max_positions=8))
        Traceback (most recent call last):
        ...
        pyengine.errors.UnknownOptionError: num_beam: no such option; did you mean num_beams?
    """
    call = _without_added_tokens(call, limits)
    check_names(call)
    given = _overridden(file, call)
    do_sample: bool = given.value("do_sample", optional(boolean, False), limits)
    check_supported(given, do_sample)
    checks = {**CHECKS, **(SAMPLING_CHECKS if do_sample else {})}
    values = {
        name: given.value(name, check, limits)
        for name, check in checks.items()
        if given.holds(name)
    }
    lengths = _prompted_lengths if limits.prompted else _lengths
    values.update(lengths(given, limits))
    options = GenerationOptions(
        decoder_start_token_id=0 if limits.prompted else _decoder_start(given, limits),
        do_sample=do_sample,
        **{name: value for name, value in values.items() if value is not None},
    )
    _check_together(options, given)
    return options


def one_hypothesis(options: GenerationOptions) -> GenerationOptions:
    """The options, of a stream.

    Raises:
        OptionError: several hypotheses were asked for.
    """
    for name in ("num_beams", "num_return_sequences"):
        if getattr(options, name) > 1:
            found = getattr(options, name)
            raise OptionError(f"{name}: found {found}, expected 1: a stream is one hypothesis")
    return options


def _random_seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


def to_core(options: GenerationOptions, return_scores: bool = True) -> _core.GenerationOptions:
    """The same options as the C++ engine's struct: the one place where the two meet.

    Without ``return_scores`` a greedy search leaves its scores out, and the work for them.
    """
    from pyengine import _core

    stopping = {
        False: _core.EarlyStopping.HEURISTIC,
        True: _core.EarlyStopping.IMMEDIATE,
        "never": _core.EarlyStopping.NEVER,
    }
    core = _core.GenerationOptions()
    for name in _SAME_IN_CORE:
        setattr(core, name, getattr(options, name))
    if options.max_added_tokens is not None:
        core.max_new_tokens = options.max_added_tokens
    core.min_new_tokens = options.min_added_tokens
    core.return_scores = return_scores
    core.early_stopping = stopping[options.early_stopping]
    core.eos_token_ids = list(options.eos_token_id)
    core.forced_bos_token_id = (
        -1 if options.forced_bos_token_id is None else options.forced_bos_token_id
    )
    core.forced_eos_token_ids = list(options.forced_eos_token_id)
    core.suppress_tokens = list(options.suppress_tokens)
    core.begin_suppress_tokens = list(options.begin_suppress_tokens)
    core.bad_words_ids = [list(word) for word in options.bad_words_ids]
    if options.do_sample:
        core.seed = _random_seed() if options.seed is None else options.seed
    return core


_SAME_IN_CORE = (
    "num_beams",
    "num_return_sequences",
    "max_length",
    "min_length",
    "max_length_factor",
    "length_penalty",
    "renormalize_logits",
    "decoder_start_token_id",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "repetition_penalty",
    "encoder_repetition_penalty",
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
)


# --- how values combine ------------------------------------------------------------------------


_TOP_K = 50
"""Where nobody says one, as transformers' GenerationConfig has it."""


def _without_added_tokens(call: Mapping[str, Any], limits: ModelLimits) -> dict[str, Any]:
    """The keywords, where they are the fields of :class:`GenerationOptions`, in options' names.

    Without a prompt, the lengths say the same.
    """
    values = dict(call)
    for name in ("max_added_tokens", "min_added_tokens"):
        value = values.pop(name, None)
        if limits.prompted and value:
            values.setdefault(name.replace("added", "new"), value)
    return values


def _overridden(file: Mapping[str, Any], call: Mapping[str, Any]) -> Given:
    values = {"top_k": _TOP_K, **file, **call}
    for length, new_tokens in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        if call.get(length) is not None and new_tokens not in call:
            values.pop(new_tokens, None)
    given_length = any(call.get(name) is not None for name in ("max_length", "max_new_tokens"))
    if given_length and "max_length_factor" not in call:
        values.pop("max_length_factor", None)
    return Given(values, frozenset(call))


def _lengths(given: Given, limits: ModelLimits) -> dict[str, int]:
    return {"max_length": _max_length(given, limits), "min_length": _min_length(given, limits)}


def _prompted_lengths(given: Given, limits: ModelLimits) -> dict[str, int]:
    """Lengths with the prompt, and numbers of new tokens, which depend on no prompt's length."""
    largest = limits.max_positions
    found = {"max_length": largest}
    for name, kept_as in (("max_new_tokens", "max_added_tokens"), ("max_length", "max_length")):
        if given.values.get(name) is not None:
            length: int = given.value(name, at_least(1), limits)
            if length > largest and name in given.from_call:
                raise given.error(name, f"at most {largest}, the model's position limit")
            found[kept_as] = min(length, largest)
            break
    for name, kept_as in (("min_new_tokens", "min_added_tokens"), ("min_length", "min_length")):
        if given.values.get(name) is not None:
            found[kept_as] = given.value(name, at_least(0), limits)
            break
    return found


def _max_length(given: Given, limits: ModelLimits) -> int:
    for name, smallest in (("max_new_tokens", 1), ("max_length", 2)):
        if given.values.get(name) is None:
            continue
        start = 2 - smallest  # max_new_tokens leaves the start token out
        length: int = given.value(name, at_least(smallest), limits) + start
        if length > limits.max_positions and name in given.from_call:
            largest = limits.max_positions - start
            raise given.error(name, f"at most {largest}, from the model's position limit")
        return min(length, limits.max_positions)
    return limits.max_positions


def _min_length(given: Given, limits: ModelLimits) -> int:
    for name, start in (("min_new_tokens", 1), ("min_length", 0)):
        if given.values.get(name) is not None:
            length: int = given.value(name, at_least(0), limits)
            return min(length + start, INT_MAX)
    return 0


def _decoder_start(given: Given, limits: ModelLimits) -> int:
    for name in ("decoder_start_token_id", "bos_token_id"):
        if given.values.get(name) is not None:
            start: int = given.value(name, token, limits)
            return start
    raise OptionError(
        f"decoder_start_token_id: found none, expected a token id in the call or in {FILE_NAME}"
    )


def _check_together(options: GenerationOptions, given: Given) -> None:
    if options.do_sample and options.num_beams > 1:
        expected = f"False with num_beams {options.num_beams}: pyengine does not sample from beams"
        raise given.error("do_sample", expected)
    if options.num_return_sequences > options.num_beams and not options.do_sample:
        raise OptionError(
            f"num_return_sequences: found {options.num_return_sequences}, expected at most "
            f"num_beams, which is {options.num_beams}"
        )
    first = () if options.forced_bos_token_id is None else (options.forced_bos_token_id,)
    forced = {"forced_bos_token_id": first, "forced_eos_token_id": options.forced_eos_token_id}
    for name, tokens in forced.items():
        if tokens and set(tokens) <= set(options.suppress_tokens):
            raise OptionError(
                f"{name}: found {tokens[0]}, expected a token that suppress_tokens allows"
            )
