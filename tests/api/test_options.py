"""Generation options: how the file's and the call's values combine, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from pyengine import GenerationOptions, Generator, OptionError, Translator, UnknownOptionError
from pyengine.generation_options import OPTION_NAMES
from pyengine.kept_options import KeptOptions
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options

from .conftest import FIXTURES

LIMITS = ModelLimits(vocab_size=100, max_positions=64)
START = {"decoder_start_token_id": 99, "eos_token_id": 0}


def resolve(file: dict[str, Any] | None = None, **call: Any) -> GenerationOptions:
    return resolve_options({**START, **(file or {})}, call, LIMITS)


def test_defaults_are_those_of_transformers_with_the_position_limit() -> None:
    assert resolve() == GenerationOptions(
        max_length=64, decoder_start_token_id=99, eos_token_id=(0,), num_beams=1,
        num_return_sequences=1, min_length=0, length_penalty=1.0, early_stopping=False,
        renormalize_logits=False, forced_bos_token_id=None, forced_eos_token_id=(),
        suppress_tokens=(), begin_suppress_tokens=(), bad_words_ids=(),
    )  # fmt: skip


def test_a_real_opus_mt_file() -> None:
    file = {
        "bad_words_ids": [[98]], "forced_eos_token_id": 0, "max_length": 512, "num_beams": 4,
        "pad_token_id": 98, "renormalize_logits": True, "bos_token_id": 0, "do_sample": False,
        "transformers_version": "4.32.0", "_from_model_config": True, "early_stopping": None,
    }  # fmt: skip
    options = resolve(file)
    assert options.num_beams == 4
    assert options.max_length == 64  # clamped to the positions
    assert options.bad_words_ids == ((98,),)
    assert options.forced_eos_token_id == (0,)
    assert options.renormalize_logits is True
    assert options.early_stopping is False


@pytest.mark.parametrize(
    ("file", "call", "max_length"),
    [
        ({}, {}, 64),
        ({"max_length": 20}, {}, 20),
        ({"max_length": 20}, {"max_length": 30}, 30),
        ({"max_length": 20}, {"max_new_tokens": 30}, 31),
        ({"max_length": 20}, {"max_length": None}, 64),
        ({"max_new_tokens": 10, "max_length": 20}, {}, 11),
        ({"max_new_tokens": 10}, {"max_length": 30}, 30),  # the call's wins in either spelling
        ({}, {"max_new_tokens": 5, "max_length": 30}, 6),  # transformers: new tokens win
        ({"max_new_tokens": 500}, {}, 64),
        ({}, {"max_new_tokens": 63}, 64),
        ({}, {"max_length": 64}, 64),
        ({}, {"max_length": np.int64(7)}, 7),
    ],
)
def test_max_length(file: dict[str, Any], call: dict[str, Any], max_length: int) -> None:
    options = resolve(file, **call)
    assert options.max_length == max_length
    assert options.max_new_tokens == max_length - 1


@pytest.mark.parametrize(
    ("file", "call", "min_length"),
    [
        ({}, {}, 0),
        ({"min_length": 3}, {}, 3),
        ({"min_length": 3}, {"min_new_tokens": 5}, 6),
        ({"min_new_tokens": 5}, {"min_length": 3}, 3),
        ({"min_length": 3, "min_new_tokens": 1}, {}, 2),
        ({}, {"min_length": 30, "max_length": 20}, 30),  # as transformers: never an end token
    ],
)
def test_min_length(file: dict[str, Any], call: dict[str, Any], min_length: int) -> None:
    assert resolve(file, **call).min_length == min_length


def test_a_length_of_the_call_replaces_the_folders_factor() -> None:
    file = {"max_length_factor": 2.5}
    assert resolve(file).max_length_factor == 2.5
    assert resolve(file, max_new_tokens=9).max_length_factor == 0
    assert resolve(file, max_length=9).max_length_factor == 0
    assert resolve(file, max_length=9, max_length_factor=2).max_length_factor == 2
    assert resolve(file, max_length_factor=None).max_length_factor == 0
    with pytest.raises(OptionError, match="max_length_factor: found -1, expected a number from 0"):
        resolve(max_length_factor=-1)


def test_none_switches_off_what_the_file_sets() -> None:
    file = {
        "bad_words_ids": [[5]], "suppress_tokens": [1], "begin_suppress_tokens": [2],
        "forced_bos_token_id": 3, "forced_eos_token_id": [0, 4],
    }  # fmt: skip
    assert resolve(file).forced_eos_token_id == (0, 4)
    assert resolve(file, **dict.fromkeys(file)) == resolve()


def test_decoder_start_falls_back_to_the_beginning_token() -> None:
    assert resolve_options({"bos_token_id": 7}, {}, LIMITS).decoder_start_token_id == 7
    with pytest.raises(OptionError, match="decoder_start_token_id: found none"):
        resolve_options({}, {}, LIMITS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"num_beams": 0}, "num_beams: found 0, expected an integer from 1 to 1024"),
        ({"num_beams": 2.0}, "num_beams: found 2.0, expected an integer"),
        ({"num_beams": "4"}, "num_beams: found '4', expected an integer"),
        ({"num_beams": True}, "num_beams: found True, expected an integer"),
        ({"num_beams": None}, "num_beams: found None, expected an integer"),
        ({"num_beams": 1025}, "num_beams: found 1025, expected an integer from 1 to 1024"),
        ({"max_length": 10**12}, "max_length: found 1000000000000"),
        ({"num_return_sequences": 2}, "expected at most num_beams, which is 1"),
        ({"max_length": 65}, "max_length: found 65, expected at most 64, from the model's"),
        ({"max_length": 1}, "max_length: found 1, expected an integer of at least 2"),
        ({"max_new_tokens": 64}, "max_new_tokens: found 64, expected at most 63"),
        ({"max_new_tokens": 0}, "max_new_tokens: found 0"),
        ({"min_length": -1}, "min_length: found -1, expected an integer of at least 0"),
        ({"length_penalty": "1"}, "length_penalty: found '1', expected a finite number"),
        ({"length_penalty": float("nan")}, "length_penalty: found nan"),
        ({"length_penalty": float("inf")}, "length_penalty: found inf"),
        ({"early_stopping": "always"}, "found 'always', expected True, False or 'never'"),
        ({"early_stopping": 1}, "early_stopping: found 1"),
        ({"renormalize_logits": 1}, "renormalize_logits: found 1, expected True or False"),
        ({"forced_bos_token_id": 100}, "found 100, expected a token id from 0 to 99"),
        ({"forced_bos_token_id": -1}, "found -1, expected a token id from 0 to 99"),
        ({"eos_token_id": [0, 100]}, "eos_token_id: found .*, expected a token id from 0 to 99"),
        ({"suppress_tokens": 5}, "suppress_tokens: found 5, expected a list of token ids"),
        ({"suppress_tokens": "12"}, "suppress_tokens: found '12', expected a list"),
        ({"bad_words_ids": [5]}, "bad_words_ids: found .*, expected a list of non-empty lists"),
        ({"bad_words_ids": [[]]}, "bad_words_ids: found .*, expected a list of non-empty lists"),
        ({"bad_words_ids": [[1, 200]]}, "bad_words_ids: found .*, expected a token id"),
        ({"decoder_start_token_id": "a"}, "decoder_start_token_id: found 'a'"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: found -1, expected an integer of"),
        ({"encoder_no_repeat_ngram_size": 2.5}, "encoder_no_repeat_ngram_size: found 2.5"),
        ({"repetition_penalty": 0}, "repetition_penalty: found 0, expected a number from 1e-6"),
        (
            {"encoder_repetition_penalty": "2"},
            "encoder_repetition_penalty: found '2', exp",
        ),
        ({"do_sample": 1}, "do_sample: found 1, expected True or False"),
        ({"do_sample": True, "num_beams": 4}, "do_sample: found True, expected False with num_b"),
        ({"do_sample": True, "temperature": 0}, "temperature: found 0, expected a number from"),
        ({"do_sample": True, "top_k": -1}, "top_k: found -1, expected an integer of at least 0"),
        ({"do_sample": True, "top_p": 1.5}, "top_p: found 1.5, expected a number from 0 to 1"),
        ({"do_sample": True, "min_p": "x"}, "min_p: found 'x', expected a finite number"),
        ({"do_sample": True, "seed": -1}, "seed: found -1, expected an integer from 0 to 1844674"),
        (
            {"do_sample": True, "eta_cutoff": 0.9},
            "eta_cutoff: found 0.9, expected only 0: pyengine",
        ),
        ({"num_beam_groups": 2}, "num_beam_groups: found 2.*not support"),
        ({"diversity_penalty": 0.5}, "diversity_penalty: found 0.5.*not support"),
        ({"stop_strings": ["."]}, "stop_strings: found .*not support"),
        (
            {"forced_bos_token_id": 5, "suppress_tokens": [4, 5]},
            "forced_bos_token_id: found 5, expected a token that suppress_tokens allows",
        ),
        (
            {"forced_eos_token_id": [5, 4], "suppress_tokens": [4, 5]},
            "forced_eos_token_id: found 5, expected a token that suppress_tokens allows",
        ),
    ],
)
def test_wrong_values_name_option_found_and_expected(call: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        resolve(**call)


def test_wrong_values_of_the_file_say_so() -> None:
    with pytest.raises(OptionError, match=r"num_beams: found 0, .* \(in the model's generation_c"):
        resolve({"num_beams": 0})
    with pytest.raises(OptionError, match=r"do_sample: found True.*generation_config"):
        resolve({"do_sample": True}, num_beams=2)
    assert resolve({"do_sample": True}, do_sample=False, num_beams=2) == resolve(num_beams=2)


def test_a_file_that_samples() -> None:
    file = {"do_sample": True, "temperature": 0.6, "top_p": 0.9}  # as Llama's
    options = resolve(file, seed=7)
    assert options.do_sample
    assert (options.temperature, options.top_p, options.min_p, options.seed) == (0.6, 0.9, 0.0, 7)
    assert options.top_k == 50  # transformers' default
    assert resolve(file, top_k=5).top_k == resolve({**file, "top_k": 5}).top_k == 5
    assert resolve(file, top_k=None).top_k == resolve({**file, "top_k": None}).top_k == 0
    assert resolve(file, num_return_sequences=20).num_return_sequences == 20
    assert resolve(file, temperature=None, top_p=None).temperature == 1.0


def test_values_that_change_nothing_are_accepted() -> None:
    assert resolve(
        do_sample=False, temperature=0.7, top_k=50, top_p=0.9, typical_p=0.5, seed=4,
        repetition_penalty=1.0, encoder_repetition_penalty=None, no_repeat_ngram_size=0,
        num_beam_groups=1, diversity_penalty=0.0, use_cache=True,
        pad_token_id=5, stop_strings=None, constraints=None,
    ) == resolve()  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("num_beam", "num_beams"),
        ("beams", "num_beams"),
        ("max_len", "max_length"),
        ("maxlength", "max_length"),
        ("lenght_penalty", "length_penalty"),
        ("bad_words", "bad_words_ids"),
        ("supress_tokens", "suppress_tokens"),
        ("beam_size", "num_beams"),
        ("num_hypotheses", "num_return_sequences"),
        ("max_decoding_length", "max_new_tokens"),
    ],
)
def test_unknown_options_name_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownOptionError, match=f"{wrong}: no such option; did you mean {right}"):
        resolve(**{wrong: 4})


def test_settings_of_the_translator_are_no_options() -> None:
    with pytest.raises(UnknownOptionError, match=r"batch_size: no such option; it is a setting"):
        resolve(batch_size=4)


def test_an_unknown_option_like_no_other_lists_all() -> None:
    with pytest.raises(UnknownOptionError, match="the options are " + ", ".join(OPTION_NAMES)):
        resolve(xyzzy=4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3, "max_new_tokens": 7, "min_length": 4},
        {"num_beams": 2, "max_length": 20, "min_new_tokens": 2, "bad_words_ids": [[5, 6]]},
        {"num_beams": 1, "do_sample": True, "top_p": 0.5, "seed": 3},
    ],
)
def test_complete_options_are_options(options: dict[str, Any], ids_translator: Translator) -> None:
    resolved = ids_translator.generation_options(**options)
    assert ids_translator.generation_options(**asdict(resolved)) == resolved
    sources = [[12, 7, 0]]
    found = ids_translator.generate(sources, **asdict(resolved))
    assert found == ids_translator.generate(sources, **options)
    with Generator(FIXTURES / "gpt2", threads=1) as generator:
        resolved = generator.generation_options(**options)
        assert generator.generation_options(**asdict(resolved)) == resolved


def test_an_end_token_counts_once() -> None:
    assert resolve({"eos_token_id": [4, 0, 4, 4]}).eos_token_id == (4, 0)


def test_options_are_kept_for_calls_with_the_same_keywords() -> None:
    resolved: list[dict[str, Any]] = []

    def counted(call: Mapping[str, Any]) -> GenerationOptions:
        resolved.append(dict(call))
        return resolve(None, **call)

    kept = KeptOptions(counted)
    assert kept.of({"num_beams": 1, "length_penalty": 1.0}).num_beams == 1
    assert kept.of({"num_beams": 1, "length_penalty": 1.0}) == resolve(num_beams=1)
    assert len(resolved) == 1
    for equal in (True, 1.0):  # to 1, but none is a number of beams
        with pytest.raises(OptionError, match="num_beams"):
            kept.of({"num_beams": equal, "length_penalty": 1.0})
    tokens = [5]
    assert kept.of({"suppress_tokens": tokens}).suppress_tokens == (5,)
    tokens[0] = 6
    assert kept.of({"suppress_tokens": tokens}).suppress_tokens == (6,)
    for seed in range(200):
        assert kept.of({"do_sample": True, "seed": seed}).seed == seed
    assert len(kept._kept) < 100
