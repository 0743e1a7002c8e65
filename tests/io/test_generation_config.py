"""Defaults of the generation options, from generation_config.json and config.json."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_onnx

from pyengine.errors import OptionError
from pyengine.generation_options import GenerationOptions
from pyengine.models import read_model
from pyengine.models.generation_config import read_generation_config
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options

FIXTURES = Path(__file__).parents[1] / "fixtures"


def generation_config(folder: Path, own: dict[str, Any] | None, **config: Any) -> dict[str, Any]:
    tiny_onnx.write(folder, **config)
    if own is not None:
        (folder / "generation_config.json").write_text(json.dumps(own))
    return read_model(folder).generation_config


def test_without_the_file_config_json_gives_all(tmp_path: Path) -> None:
    options = {"num_beams": 6, "bad_words_ids": [[8]], "max_length": 7, "forced_eos_token_id": 0}
    found = generation_config(tmp_path, None, **options)
    special = {"decoder_start_token_id": 8, "eos_token_id": 0, "pad_token_id": 8}
    assert found == options | special


def test_the_file_rules_alone_but_for_special_ids(tmp_path: Path) -> None:
    found = generation_config(
        tmp_path, {"max_length": 9, "eos_token_id": 3}, num_beams=6, forced_eos_token_id=0
    )
    special = {"decoder_start_token_id": 8, "eos_token_id": 3, "pad_token_id": 8}
    assert found == {"max_length": 9} | special


def test_null_is_absent(tmp_path: Path) -> None:
    found = generation_config(tmp_path, {"eos_token_id": None, "num_beams": None})
    assert found["eos_token_id"] == 0
    assert "num_beams" not in found


VERSIONS = json.loads((FIXTURES / "config_keys.json").read_text())
NAMES = sorted({name for version in VERSIONS.values() for name in version["generation"]})
# How a framework computes the same tokens.
WITHOUT_INFLUENCE = {
    *("assistant_confidence_threshold", "assistant_ensemble_weight", "assistant_lookbehind"),
    *("cache_config", "cache_implementation", "compile_config", "continuous_batching_config"),
    *("disable_compile", "is_assistant", "low_memory", "max_cache_len", "max_matching_ngram_size"),
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "prefill_chunk_size"),
    *("return_legacy_cache", "speculation_type", "target_lookbehind", "use_mtp"),
    *("pad_token_id", "remove_invalid_values", "use_cache"),
}
OTHER: dict[str, Any] = {
    **{"num_beams": 3, "num_return_sequences": 1, "length_penalty": 2.0, "early_stopping": True},
    **{"max_length": 12, "max_new_tokens": 7, "min_length": 3, "min_new_tokens": 3},
    **{"bad_words_ids": [[5]], "suppress_tokens": [5], "begin_suppress_tokens": [5]},
    **{"forced_bos_token_id": 5, "forced_eos_token_id": 5, "eos_token_id": 5, "bos_token_id": 5},
    **{"decoder_start_token_id": 5, "no_repeat_ngram_size": 2, "encoder_no_repeat_ngram_size": 2},
    **{"repetition_penalty": 1.5, "encoder_repetition_penalty": 1.5, "do_sample": True},
    **{"temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1, "typical_p": 0.5},
    **{"renormalize_logits": True},
}
SAMPLING = {"temperature", "top_k", "top_p", "min_p", "typical_p", "top_h"}
SAMPLING |= {"epsilon_cutoff", "eta_cutoff"}


def resolved(options: dict[str, Any]) -> GenerationOptions:
    return resolve_options(options, {}, ModelLimits(vocab_size=50, max_positions=32))


@pytest.mark.parametrize("name", NAMES)
def test_an_option_counts_in_config_json_as_in_its_own_file(name: str, tmp_path: Path) -> None:
    plain = {"decoder_start_token_id": 1, "do_sample": name in SAMPLING}
    fields = plain | {name: OTHER.get(name, 0.7)}
    from_config = read_generation_config(tmp_path, fields, "transformer")
    (tmp_path / "generation_config.json").write_text(json.dumps(fields))
    from_own_file = read_generation_config(tmp_path, {}, "transformer")
    if name in WITHOUT_INFLUENCE:
        assert resolved(from_config) == resolved(from_own_file) == resolved(plain)
    elif name in OTHER:
        assert resolved(from_config) == resolved(from_own_file)
        assert resolved(from_config) != resolved(plain) or name in UNSEEN
    else:
        for options in (from_config, from_own_file):
            with pytest.raises(OptionError, match=rf"^{name}: found 0.7, expected only"):
                resolved(options)


UNSEEN = {"num_return_sequences": "1 is all that one beam has", "bos_token_id": "not the first id"}


@pytest.mark.parametrize("part", ["decoder", "text_config"])
def test_options_of_a_part_count_where_the_whole_has_none(part: str, tmp_path: Path) -> None:
    config = {"num_beams": 2, part: {"num_beams": 5, "min_length": 3, "vocab_size": 9}}
    assert read_generation_config(tmp_path, config, "bert") == {"num_beams": 2, "min_length": 3}


@pytest.mark.parametrize(
    ("fields", "forced"),
    [({}, 0), ({"bos_token_id": 7}, 7), ({"forced_bos_token_id": 4}, 4)],
)
def test_barts_old_name_of_its_forced_token(
    fields: dict[str, Any], forced: int, tmp_path: Path
) -> None:
    config = {"force_bos_token_to_be_generated": True, **fields}
    assert read_generation_config(tmp_path, config, "bart")["forced_bos_token_id"] == forced


def test_a_default_of_the_family_is_switched_off(tmp_path: Path) -> None:
    found = read_generation_config(tmp_path, {"forced_eos_token_id": None}, "bart")
    assert "forced_eos_token_id" not in found
