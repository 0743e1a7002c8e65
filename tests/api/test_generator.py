"""Decoder-only models: logits, continuations and scores against transformers' recorded ones."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine import _core
from pyengine.info import describe, format_info, open_model
from pyengine.models import read_folder

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FAMILIES = ("gpt2", "llama", "llama-tied", "mistral", "qwen2")


def golden(name: str, suffix: str) -> Path:
    return FIXTURES / "golden" / f"{name.replace('-', '_')}.{suffix}"


def logits_of(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids [n], logits [n, vocab_size]) of random texts; the last is as long as the positions."""
    with np.load(golden(name, "npz")) as arrays:
        return [(arrays[f"ids_{k}"], arrays[f"logits_{k}"]) for k in range(3)]


def load(name: str | Path, **settings: Any) -> pyengine.Generator:
    return pyengine.Generator(FIXTURES / name, **{"cache_dir": False, **settings})


loaded_once = functools.cache(load)
"""For tests that differ in their options alone, and close nothing."""


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


NO_SOURCE = np.empty(0, np.int32)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("compute_type", "bound"), [("float32", 1e-5), ("int8", 1e-1)])
def test_logits_are_those_of_transformers(name, compute_type, bound):
    engine = load(name, compute_type=compute_type).engine
    for ids, expected in logits_of(name):
        found = engine.logits(NO_SOURCE, ids)
        gap = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
        assert gap.max() < bound


def searches(name: str) -> list[Any]:
    content = json.loads(golden(name, "json").read_text())
    return [
        pytest.param(name, content["prompts"], case, id=f"{name}-{number}")
        for number, case in enumerate(content["cases"])
    ]


@pytest.mark.parametrize(
    ("name", "prompts", "case"), [search for name in FAMILIES for search in searches(name)]
)
def test_generate_equals_transformers(name, prompts, case):
    assert len(case["results"]) >= 2
    used = [prompts[result["prompt"]] for result in case["results"]]
    found = loaded_once(name).generate(used, **case["options"])
    for row, result in zip(found, case["results"], strict=True):
        assert [hypothesis.ids for hypothesis in row] == result["ids"]
        if result["scores"]:
            assert [h.score for h in row] == pytest.approx(result["scores"], rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_are_log_probabilities(name):
    texts = logits_of(name)
    found = load(name).score([ids.tolist() for ids, _ in texts])
    assert [len(scores) for scores in found] == [len(ids) - 1 for ids, _ in texts]
    for (ids, logits), scores in zip(texts, found, strict=True):
        expected = log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-5)
    assert load(name).score([]) == []
    assert len(load(name).score([[]])[0]) == 0


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3, "num_return_sequences": 3},
        {"num_beams": 3, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
        {"repetition_penalty": 1.5, "encoder_repetition_penalty": 1.2, "renormalize_logits": True},
    ],
)
def test_nothing_depends_on_batch_threads_or_isa(name, options):
    rng = np.random.default_rng(5)
    alone = loaded_once(name, threads=1, batch_size=1)
    longest = alone.config.max_positions - 10
    prompts = [rng.integers(3, 131, min(n, longest)).tolist() for n in (1, 17, 3, 33, 16, 2)]
    options = {"max_new_tokens": 9, **options}
    expected = [alone.generate([prompt], **options)[0] for prompt in prompts]
    for isa in _core.available_isas():
        for threads, batch_size in ((1, 2), (2, 32)):
            generator = loaded_once(name, threads=threads, batch_size=batch_size, isa=isa)
            assert generator.generate(prompts * 2, **options) == expected * 2


@pytest.mark.parametrize("compute_type", ["int8", "bfloat16"])
def test_smaller_types_do_not_depend_on_the_batch_either(compute_type):
    generator = load("llama-tied", compute_type=compute_type)  # heads of 32: bfloat16 keys
    prompts = [[5], [6, 7, 8], list(range(3, 40))]
    together = generator.generate(prompts, num_beams=2, max_new_tokens=8)
    assert together == [
        generator.generate([prompt], num_beams=2, max_new_tokens=8)[0] for prompt in prompts
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prompt_in_one_pass_is_the_prompt_token_by_token(name):
    """What greedy search says after a prompt, it says after the prompt and its own continuation."""
    generator = load(name)
    prompt = [5, 9, 77, 20]
    whole = generator.generate([prompt], max_new_tokens=10, eos_token_id=None)[0][0].ids
    for split in (1, 4, 9):
        start = prompt + whole[:split]
        rest = generator.generate([start], max_new_tokens=10 - split, eos_token_id=None)[0][0]
        assert rest.ids == whole[split:]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_greedy_score_is_that_of_its_ids(name):
    generator = load(name)
    found = generator.generate([[5, 9]], max_new_tokens=6, eos_token_id=None)[0][0]
    scores = generator.score([[5, 9, *found.ids]])[0][1:]
    assert found.score == pytest.approx(float(scores.sum()) / 6, rel=1e-6)


def test_up_to_the_position_limit():
    generator = load("gpt2")
    ids = logits_of("gpt2")[2][0].tolist()
    assert len(ids) == generator.config.max_positions == 48
    assert len(generator.generate([ids[:47]], eos_token_id=None)[0][0].ids) == 1
    assert len(generator.generate([ids[:40]], eos_token_id=None)[0][0].ids) == 8
    both = generator.generate([ids[:40], ids[:5]], eos_token_id=None, max_new_tokens=20)
    assert [len(row[0].ids) for row in both] == [8, 20]
    with pytest.raises(pyengine.InputError, match="item 1: found 48 tokens, expected 1 to 47"):
        generator.generate([[5], ids])
    with pytest.raises(pyengine.InputError, match="item 0: found 49 tokens, expected 0 to 48"):
        generator.score([[*ids, 5]])


def test_lengths_with_and_without_the_prompt():
    generator = load("llama")
    prompts = [[5, 6, 7], [5]]
    for options, lengths in (
        ({"max_new_tokens": 4}, [4, 4]),
        ({"max_length": 6}, [3, 5]),
        ({"max_length": 6, "max_new_tokens": 2}, [2, 2]),
    ):
        for beams in (1, 2):
            found = generator.generate(prompts, eos_token_id=None, num_beams=beams, **options)
            assert [len(row[0].ids) for row in found] == lengths
    with pytest.raises(pyengine.InputError, match=r"item 0: found 3 tokens.*below max_length"):
        generator.generate(prompts, max_length=3)


def test_wrong_arguments():
    generator = load("llama")
    with pytest.raises(pyengine.InputError, match="item 0: found 0 tokens, expected 1 to 47"):
        generator.generate([[]])
    with pytest.raises(pyengine.InputError, match=r"item 0, position 1: .*131"):
        generator.generate([[5, 131]])
    with pytest.raises(pyengine.OptionError, match=r"decoder_start_token_id.*the prompt starts"):
        generator.generate([[5]], decoder_start_token_id=3)
    with pytest.raises(pyengine.OptionError, match="max_new_tokens: found 49, expected at most 48"):
        generator.generate([[5]], max_new_tokens=49)
    with pytest.raises(pyengine.UnknownOptionError, match="did you mean num_beams"):
        generator.generate([[5]], num_beam=2)
    with pytest.raises(pyengine.TokenizerMissingError):
        generator.encode("text")
    assert generator.generate([]) == []
    generator.close()
    with pytest.raises(pyengine.ClosedError, match="the generator of"):
        generator.generate([[5]])


def test_the_other_class_is_named():
    with pytest.raises(pyengine.UnsupportedModelError, match=r"llama is no.*pyengine\.Generator"):
        pyengine.Encoder(FIXTURES / "llama", cache_dir=False)
    with pytest.raises(pyengine.UnsupportedModelError, match=r"bert is no.*pyengine\.Encoder"):
        load("bert-cls")


def test_the_cache_gives_the_same_bits(tmp_path):
    for name in FAMILIES:
        first, second = (load(name, cache_dir=tmp_path) for _ in range(2))
        assert (first.from_cache, second.from_cache) == (False, True)
        ids = logits_of(name)[1][0]
        a, b = (generator.engine.logits(NO_SOURCE, ids) for generator in (first, second))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "layers", "more"),
    [
        ("gpt2", "2 decoder", "decoding"),
        ("llama", "2 decoder", "gated silu"),
        ("bert-cls", "2 encoder", "sad, calm, glad"),
        ("marian-odd", "1 encoder + 1 decoder", "decoding"),
    ],
)
def test_info_shows_every_kind_of_model(name, layers, more):
    with open_model(FIXTURES / name, cache_dir=False) as model:
        facts = describe(model)
    text = format_info(json.loads(json.dumps(facts)))
    assert layers in text
    assert more in text
    assert facts["decoding"] is None or isinstance(model, (pyengine.Generator, pyengine.Translator))


def test_a_tied_head_is_held_once():
    tied, untied = load("llama-tied"), load("llama")
    assert tied.parameters < 131 * 32 + 20_000
    assert untied.parameters > 2 * 131 * 48


@pytest.mark.parametrize(
    ("name", "fields", "positions"),
    [
        ("mistral", {}, 24),
        ("mistral", {"sliding_window": None}, 48),
        ("mistral", {"sliding_window": 100}, 48),
        ("qwen2", {"sliding_window": 10}, 48),
        ("qwen2", {"sliding_window": 10, "use_sliding_window": True}, 10),
    ],
)
def test_texts_are_no_longer_than_a_sliding_window(tmp_path, name, fields, positions):
    folder = Path(shutil.copytree(FIXTURES / name, tmp_path / name))
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    assert read_folder(folder).config.max_positions == positions


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("gpt2", {"n_layer": 3}, "decoder_layers: found 2, expected 3"),
        ("gpt2", {"activation_function": "relu"}, "found gelu_tanh, expected relu"),
        ("gpt2", {"n_inner": 101}, "fc1.weight.*expected .64, 101. by config"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "supported is false"),
        ("gpt2", {"n_positions": 49}, "embed_positions.weight.*expected .49, 64. by config"),
        ("llama", {"num_key_value_heads": 4}, "k_proj.weight.*expected .48, 96. by config"),
        ("llama", {"num_key_value_heads": 3}, "num_key_value_heads is 3, expected a divisor of"),
        ("llama", {"head_dim": 12}, "attention heads: found 24, expected 12 by config"),
        ("llama", {"rms_norm_eps": 1e-3}, r"epsilon: found 9\.99\d*e-07, expected 0\.001"),
        ("llama", {"hidden_act": "gelu"}, "found silu, expected gelu"),
        ("llama", {"rope_scaling": {"rope_type": "yarn"}}, "rope_type 'yarn', supported are def"),
        ("llama", {"rope_scaling": 7}, "rope_scaling is 7, expected an object"),
        ("llama", {"vocab_size": None}, "'vocab_size' is missing"),
        ("mistral", {"sliding_window": 100}, "layers.0/self_attn.*does not compute"),
    ],
)
def test_a_configuration_that_is_not_the_graphs(tmp_path, name, fields, message):
    folder = tmp_path / name
    shutil.copytree(FIXTURES / name, folder)
    config = json.loads((folder / "config.json").read_text()) | fields
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(pyengine.ModelFormatError, match=message):
        load(folder)
