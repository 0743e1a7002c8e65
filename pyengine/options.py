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
from typing import Any

from pyengine import _core
from pyengine.errors import OptionError
from pyengine.generation_options import CHECKS, SAMPLING_CHECKS, GenerationOptions
from pyengine.option_names import check_names, check_supported
from pyengine.option_values import (
    FILE_NAME,
    INT_MAX,
    Given,
    ModelLimits,
    at_least,
    boolean,
    optional,
    token,
)


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
    checks = CHECKS | SAMPLING_CHECKS if do_sample else CHECKS
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
    values = vars(options) | {"return_scores": return_scores}
    if options.do_sample and options.seed is None:
        values["seed"] = _random_seed()
    return _core.GenerationOptions(values)


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
