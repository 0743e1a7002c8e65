"""Generation options: transformers' names and meaning, from the model folder and from the call.

A model folder's ``generation_config.json`` holds the defaults, the keywords of a call override
them. Names, defaults and the way lengths combine are those of transformers 4.57
(``generation/configuration_utils.py``, ``GenerationMixin._prepare_generated_length``), with two
differences: where neither the call nor the file sets a length, the limit is the model's number of
positions (transformers: 20 tokens), and a length given in the call replaces the file's in either
spelling (in transformers the file's ``max_new_tokens`` wins over the call's ``max_length``).
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyengine.errors import OptionError, UnknownOptionError

if TYPE_CHECKING:
    from pyengine import _core

FILE_NAME = "generation_config.json"
MAX_BEAMS = 1024
"""More than any use we know of; the search's memory and time grow with its square."""

_INT_MAX = 2**31 - 1


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
        num_return_sequences: hypotheses returned for each sentence, at most ``num_beams``.
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
        max_added_tokens: generated tokens at most, however long the prompt of a
            :class:`~pyengine.Generator` is, whose tokens the lengths above count; ``None``: as many
            as these allow.
        min_added_tokens: tokens generated before an end token is allowed, as above.

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
    max_added_tokens: int | None = None
    min_added_tokens: int = 0

    @property
    def max_new_tokens(self) -> int:
        """Generated tokens at most, the end token included."""
        return self.max_length - 1

    @property
    def min_new_tokens(self) -> int:
        """Generated tokens before an end token is allowed."""
        return max(self.min_length - 1, 0)


@dataclass(frozen=True)
class ModelLimits:
    """What a model allows: ids in ``[0, vocab_size)``, at most ``max_positions`` tokens.

    A model that is ``prompted`` continues the caller's ids, and has no decoder start token.
    """

    vocab_size: int
    max_positions: int
    prompted: bool = False


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
    _check_names(call)
    given = _overridden(file, call)
    _check_unsupported(given)
    values = {
        name: given.value(name, check, limits)
        for name, check in _CHECKS.items()
        if given.holds(name)
    }
    lengths = _prompted_lengths if limits.prompted else _lengths
    values.update(lengths(given, limits))
    options = GenerationOptions(
        decoder_start_token_id=0 if limits.prompted else _decoder_start(given, limits),
        **{name: value for name, value in values.items() if value is not None},
    )
    _check_together(options)
    return options


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
    return core


_SAME_IN_CORE = (
    "num_beams",
    "num_return_sequences",
    "max_length",
    "min_length",
    "length_penalty",
    "renormalize_logits",
    "decoder_start_token_id",
)


# --- one value -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """The raw values in force, and which of them come from the call."""

    values: dict[str, Any]
    from_call: frozenset[str]

    def holds(self, name: str) -> bool:
        return self.values.get(name) is not None or name in self.from_call

    def value(self, name: str, check: _Check, limits: ModelLimits) -> Any:
        try:
            return check(self.values.get(name), limits)
        except _BadValue as bad:
            raise self.error(name, bad.expected) from None

    def error(self, name: str, expected: str) -> OptionError:
        origin = "" if name in self.from_call else f" (in the model's {FILE_NAME})"
        return OptionError(
            f"{name}: found {_shown(self.values.get(name))}, expected {expected}{origin}"
        )


class _BadValue(Exception):
    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


_Check = Callable[[Any, ModelLimits], Any]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _integer(value: Any, expected: str) -> int:
    if isinstance(value, bool):
        raise _BadValue(expected)
    try:
        return operator.index(value)
    except TypeError:
        raise _BadValue(expected) from None


def _between(minimum: int, maximum: int) -> _Check:
    expected = f"an integer from {minimum} to {maximum}"
    if maximum == _INT_MAX:
        expected = f"an integer of at least {minimum}"

    def check(value: Any, limits: ModelLimits) -> int:
        number = _integer(value, expected)
        if not minimum <= number <= maximum:
            raise _BadValue(expected)
        return number

    return check


def _at_least(minimum: int) -> _Check:
    return _between(minimum, _INT_MAX)


def _real(value: Any, limits: ModelLimits) -> float:
    expected = "a finite number"
    if isinstance(value, (bool, str, bytes)):
        raise _BadValue(expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _BadValue(expected) from None
    if not math.isfinite(number):
        raise _BadValue(expected)
    return number


def _boolean(value: Any, limits: ModelLimits) -> bool:
    if not isinstance(value, bool):
        raise _BadValue("True or False")
    return value


def _stopping(value: Any, limits: ModelLimits) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value == "never":
        return value
    raise _BadValue("True, False or 'never'")


def _token(value: Any, limits: ModelLimits) -> int:
    expected = f"a token id from 0 to {limits.vocab_size - 1}"
    number = _integer(value, expected)
    if not 0 <= number < limits.vocab_size:
        raise _BadValue(expected)
    return number


def _optional_token(value: Any, limits: ModelLimits) -> int | None:
    return None if value is None else _token(value, limits)


def _tokens(value: Any, limits: ModelLimits) -> tuple[int, ...]:
    if value is None:
        return ()
    if not _is_list(value):
        raise _BadValue(f"a list of token ids from 0 to {limits.vocab_size - 1}")
    return tuple(_token(item, limits) for item in value)


def _token_or_tokens(value: Any, limits: ModelLimits) -> tuple[int, ...]:
    if value is None or _is_list(value):
        return _tokens(value, limits)
    return (_token(value, limits),)


def _words(value: Any, limits: ModelLimits) -> tuple[tuple[int, ...], ...]:
    expected = f"a list of non-empty lists of token ids from 0 to {limits.vocab_size - 1}"
    if value is None:
        return ()
    if not _is_list(value) or not all(_is_list(word) and len(word) > 0 for word in value):
        raise _BadValue(expected)
    return tuple(_tokens(word, limits) for word in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


_CHECKS: dict[str, _Check] = {
    "num_beams": _between(1, MAX_BEAMS),
    "num_return_sequences": _between(1, MAX_BEAMS),
    "length_penalty": _real,
    "early_stopping": _stopping,
    "renormalize_logits": _boolean,
    "eos_token_id": _token_or_tokens,
    "forced_bos_token_id": _optional_token,
    "forced_eos_token_id": _token_or_tokens,
    "suppress_tokens": _tokens,
    "begin_suppress_tokens": _tokens,
    "bad_words_ids": _words,
}
_LENGTHS = ("max_length", "max_new_tokens", "min_length", "min_new_tokens")
_STARTS = ("decoder_start_token_id",)

OPTION_NAMES = tuple(sorted((*_CHECKS, *_LENGTHS, *_STARTS)))
"""Every keyword that ``translate`` and ``generate`` act on."""


# --- what pyengine does not do -----------------------------------------------------------------

_NOT_SUPPORTED: dict[str, tuple[Any, ...]] = {
    # Name: the values that change nothing (None never does).
    "do_sample": (False,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "repetition_penalty": (1,),
    "encoder_repetition_penalty": (1,),
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
_WITHOUT_EFFECT = (  # while not sampling, without padding, with finite logits
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "pad_token_id",
    "bos_token_id",
    "use_cache",
    "remove_invalid_values",
)


_KNOWN = frozenset((*OPTION_NAMES, *_NOT_SUPPORTED, *_WITHOUT_EFFECT))


def _check_names(call: Mapping[str, Any]) -> None:
    for name in call:
        if name not in _KNOWN:
            raise UnknownOptionError(f"{name}: no such option; {_nearest(name)}")


_OTHER_NAMES = {  # of CTranslate2 and fairseq
    "num_hypotheses": "num_return_sequences",
    "nbest": "num_return_sequences",
    "n_best": "num_return_sequences",
    "max_decoding_length": "max_new_tokens",
    "min_decoding_length": "min_new_tokens",
    "truncation": "truncate",
}
SETTING_NAMES = (
    *("compute_type", "threads", "batch_size", "isa", "cache_dir", "shortlist", "variant"),
)


def _nearest(name: str) -> str:
    if name in SETTING_NAMES:
        return "it is a setting of Translator(...)"
    if name in _OTHER_NAMES:
        return f"did you mean {_OTHER_NAMES[name]}?"
    close = difflib.get_close_matches(name, OPTION_NAMES, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"the options are {', '.join(OPTION_NAMES)}"


def _check_unsupported(given: _Given) -> None:
    for name, inactive in _NOT_SUPPORTED.items():
        value = given.values.get(name)
        if value is not None and value not in inactive:
            hint = f"only {inactive[0]!r}" if inactive else "only None"
            raise given.error(name, f"{hint}: pyengine does not support this option yet")


# --- how values combine ------------------------------------------------------------------------


def _overridden(file: Mapping[str, Any], call: Mapping[str, Any]) -> _Given:
    values = {**file, **call}
    for length, new_tokens in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        if call.get(length) is not None and new_tokens not in call:
            values.pop(new_tokens, None)
    return _Given(values, frozenset(call))


def _lengths(given: _Given, limits: ModelLimits) -> dict[str, int]:
    return {"max_length": _max_length(given, limits), "min_length": _min_length(given, limits)}


def _prompted_lengths(given: _Given, limits: ModelLimits) -> dict[str, int]:
    """Lengths with the prompt, and numbers of new tokens, which depend on no prompt's length."""
    largest = limits.max_positions
    found = {"max_length": largest}
    for name, kept_as in (("max_new_tokens", "max_added_tokens"), ("max_length", "max_length")):
        if given.values.get(name) is not None:
            length: int = given.value(name, _at_least(1), limits)
            if length > largest and name in given.from_call:
                raise given.error(name, f"at most {largest}, the model's position limit")
            found[kept_as] = min(length, largest)
            break
    for name, kept_as in (("min_new_tokens", "min_added_tokens"), ("min_length", "min_length")):
        if given.values.get(name) is not None:
            found[kept_as] = given.value(name, _at_least(0), limits)
            break
    return found


def _max_length(given: _Given, limits: ModelLimits) -> int:
    for name, smallest in (("max_new_tokens", 1), ("max_length", 2)):
        if given.values.get(name) is None:
            continue
        start = 2 - smallest  # max_new_tokens leaves the start token out
        length: int = given.value(name, _at_least(smallest), limits) + start
        if length > limits.max_positions and name in given.from_call:
            largest = limits.max_positions - start
            raise given.error(name, f"at most {largest}, from the model's position limit")
        return min(length, limits.max_positions)
    return limits.max_positions


def _min_length(given: _Given, limits: ModelLimits) -> int:
    for name, start in (("min_new_tokens", 1), ("min_length", 0)):
        if given.values.get(name) is not None:
            length: int = given.value(name, _at_least(0), limits)
            return length + start
    return 0


def _decoder_start(given: _Given, limits: ModelLimits) -> int:
    for name in ("decoder_start_token_id", "bos_token_id"):
        if given.values.get(name) is not None:
            token: int = given.value(name, _token, limits)
            return token
    raise OptionError(
        f"decoder_start_token_id: found none, expected a token id in the call or in {FILE_NAME}"
    )


def _check_together(options: GenerationOptions) -> None:
    if options.num_return_sequences > options.num_beams:
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
