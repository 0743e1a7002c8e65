"""The decoder-only folders of tests/fixtures, and what transformers says about them.

Each entry of DECODERS becomes tests/fixtures/NAME as `optimum-cli export onnx` writes it, and two
files in tests/fixtures/golden: NAME.npz with `ids_K` [n] of random texts and the `logits_K` [n,
vocab_size] after each id, and NAME.json with `prompts`; `cases`: {"options", "results": one per
prompt that no rounding can change, {"prompt": index, "ids": continuations, "scores"}}; `warpers`:
{"options", "prompt", "allowed": ids that sampling may draw first, "likely": those of them with a
probability above 0.01}. Called by tools.make_fixtures.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optimum.exporters.onnx import onnx_export_from_model
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tools.golden_search import NOISE, NUM_NOISY_RUNS, Noise, whole_penalty

FIXTURES_DIR = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
END = 2
CASES: tuple[dict[str, Any], ...] = (
    {"max_new_tokens": 12},
    {"max_length": 20},
    {"max_new_tokens": 7, "min_new_tokens": 5},
    {"max_new_tokens": 8, "min_length": 12},
    {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 10},
    {"num_beams": 3, "max_length": 18, "length_penalty": 0.3, "early_stopping": "never"},
    {"num_beams": 2, "max_new_tokens": 9, "early_stopping": True, "length_penalty": 2.0},
    {"num_beams": 5, "max_new_tokens": 6, "renormalize_logits": True, "suppress_tokens": [7, 9]},
    {"num_beams": 2, "max_new_tokens": 8, "begin_suppress_tokens": [3, 4, 5, 6, 7, 8]},
    {"max_new_tokens": 10, "bad_words_ids": [[11, 12], [13]], "forced_eos_token_id": END},
    {"max_new_tokens": 12, "no_repeat_ngram_size": 1},
    {"max_new_tokens": 12, "repetition_penalty": 1.5},
    {"max_new_tokens": 12, "encoder_repetition_penalty": 3.0, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 12, "encoder_no_repeat_ngram_size": 2, "repetition_penalty": 0.6},
    {"num_beams": 3, "max_new_tokens": 10, "no_repeat_ngram_size": 1, "repetition_penalty": 1.3},
    {"num_beams": 3, "max_new_tokens": 10, "repetition_penalty": 0.5, "no_repeat_ngram_size": 2},
    {"num_beams": 2, "max_new_tokens": 9, "repetition_penalty": 1.6, "renormalize_logits": True},
    {"num_beams": 2, "max_new_tokens": 9, "encoder_repetition_penalty": 4.0},
)

WARPERS: tuple[dict[str, Any], ...] = (
    {},  # top_k 50
    {"top_k": 7},
    {"top_k": 0, "top_p": 0.6},
    {"top_k": 0, "top_p": 0.9, "temperature": 0.5},
    {"top_k": 30, "top_p": 0.8, "temperature": 1.5},
    {"top_k": 0, "min_p": 0.2},
    {"top_k": 40, "top_p": 0.95, "min_p": 0.1, "temperature": 2.0},
    {"top_k": 0, "typical_p": 0.3},
    {"top_k": 0, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.8, "temperature": 1.5},
    {"top_k": 20, "repetition_penalty": 1.8, "no_repeat_ngram_size": 1},
    {"top_k": 0, "top_p": 0.7, "repetition_penalty": 0.4, "suppress_tokens": [7, 9, 11]},
)


@dataclass(frozen=True)
class DecoderFixture:
    """One folder.

    Attributes:
        name: of the folder.
        model: its class.
        config: of the model.
        longest: tokens of a text; 0: as many as there are positions.
    """

    name: str
    model: type[PreTrainedModel]
    config: PretrainedConfig
    seed: int
    longest: int = 0


TOKENS = {"bos_token_id": 1, "eos_token_id": END, "pad_token_id": 0}

SMALL_LLAMA = {
    **{"vocab_size": 131, "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 1},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 48},
}

DECODERS = (
    DecoderFixture(
        name="gpt2",
        model=GPT2LMHeadModel,
        config=GPT2Config(
            vocab_size=131, n_positions=48, n_embd=64, n_layer=2, n_head=4, n_inner=100, **TOKENS
        ),
        seed=21,
    ),
    DecoderFixture(  # two heads share their keys, heads wider than the hidden size's share
        name="llama",
        model=LlamaForCausalLM,
        config=LlamaConfig(
            vocab_size=131,
            hidden_size=48,
            intermediate_size=77,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            max_position_embeddings=48,
            **TOKENS,
        ),
        seed=22,
    ),
    DecoderFixture(  # one head of keys for all, biases, a tied head, scaled frequencies
        name="llama-tied",
        model=LlamaForCausalLM,
        config=LlamaConfig(
            vocab_size=131,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            attention_bias=True,
            mlp_bias=True,
            rope_theta=500.0,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            },
            **TOKENS,
        ),
        seed=23,
    ),
    DecoderFixture(  # a window of 24 tokens, which texts must not exceed here
        name="mistral",
        model=MistralForCausalLM,
        config=MistralConfig(**SMALL_LLAMA, sliding_window=24, head_dim=8, **TOKENS),
        seed=24,
        longest=24,
    ),
    DecoderFixture(  # biases in three projections, a tied head
        name="qwen2",
        model=Qwen2ForCausalLM,
        config=Qwen2Config(**SMALL_LLAMA, tie_word_embeddings=True, **TOKENS),
        seed=25,
    ),
)


def make_model(fixture: DecoderFixture) -> PreTrainedModel:
    """A model whose every parameter matters, and whose texts end now and then."""
    torch.manual_seed(fixture.seed)
    model = fixture.model(fixture.config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.3)
            elif parameter.dim() == 1:
                parameter.normal_(0.0, 0.3)
            elif "embed" in name or "wte" in name or "wpe" in name or "lm_head" in name:
                parameter.normal_(0.0, 0.35)
            else:
                parameter.normal_(0.0, parameter.shape[1] ** -0.5)
        model.get_output_embeddings().weight[END] *= 1.6
    model.generation_config = GenerationConfig(**TOKENS)
    return model


def search(model: PreTrainedModel, prompt: list[int], options: dict[str, Any]) -> tuple[Any, Any]:
    """Continuations of one prompt, best first, and their scores (None for greedy search)."""
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        return_dict_in_generate=True,
        output_scores=True,
        do_sample=False,
        **whole_penalty(ids, options),
        **options,
    )
    rows = [row[len(prompt) :] for row in output.sequences.tolist()]
    found = [row[: row.index(END)] if END in row else row for row in rows]
    scores = getattr(output, "sequences_scores", None)
    return found, None if scores is None else [round(s, 6) for s in scores.tolist()]


def is_safe(model: PreTrainedModel, prompt: list[int], options: dict[str, Any], ids: Any) -> bool:
    """Whether noise on the logits changes nothing, and no padding was generated."""
    if any(TOKENS["pad_token_id"] in row for row in ids):
        return False
    for seed in range(NUM_NOISY_RUNS):
        with Noise(model, NOISE, seed):
            if search(model, prompt, options)[0] != ids:
                return False
    return True


def record_searches(model: PreTrainedModel, prompts: list[list[int]], path: Path) -> None:
    """Writes golden/NAME.json."""
    cases, dropped = [], 0
    for options in CASES:
        results = []
        for i, prompt in enumerate(prompts):
            ids, scores = search(model, prompt, options)
            if is_safe(model, prompt, options, ids):
                results.append({"prompt": i, "ids": ids, "scores": scores})
            else:
                dropped += 1
        cases.append({"options": options, "results": results})
    print(f"  dropped {dropped} of {len(CASES) * len(prompts)} searches")
    warpers = [record_warpers(model, prompts, options) for options in WARPERS]
    content = {"prompts": prompts, "cases": cases, "warpers": warpers}
    path.write_text(json.dumps(content) + "\n")


def record_warpers(
    model: PreTrainedModel, prompts: list[list[int]], options: dict[str, Any]
) -> dict[str, Any]:
    """What `options` leave of the logits after the longest prompt."""
    ids = torch.tensor([prompts[-1]])
    settings = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_scores": True}
    mask = torch.ones_like(ids)
    output = model.generate(ids, attention_mask=mask, do_sample=True, **settings, **options)
    shares = output.scores[0][0].softmax(-1)
    allowed, likely = ((shares > least).nonzero()[:, 0].tolist() for least in (0, 0.01))
    return {"options": options, "prompt": len(prompts) - 1, "allowed": allowed, "likely": likely}


def record_logits(fixture: DecoderFixture, model: PreTrainedModel, path: Path) -> None:
    """Writes golden/NAME.npz."""
    rng = np.random.default_rng(fixture.seed)
    arrays: dict[str, np.ndarray] = {}
    longest = fixture.longest or fixture.config.max_position_embeddings
    for k, length in enumerate((1, 5, longest)):
        ids = rng.integers(3, fixture.config.vocab_size, length)
        with torch.no_grad():
            logits = model(torch.tensor(ids[None])).logits[0]
        arrays[f"ids_{k}"], arrays[f"logits_{k}"] = ids.astype(np.int32), logits.numpy()
    np.savez_compressed(path, **arrays)


def build(fixture: DecoderFixture) -> None:
    """Writes the folder and the golden files of one fixture."""
    model = make_model(fixture)
    folder = FIXTURES_DIR / fixture.name
    golden = FIXTURES_DIR / "golden" / fixture.name.replace("-", "_")
    rng = np.random.default_rng(fixture.seed + 100)
    lengths = (1, 2, 5, 17 if not fixture.longest else fixture.longest - 12)
    prompts = [rng.integers(3, fixture.config.vocab_size, n).tolist() for n in lengths]
    record_logits(fixture, model, golden.with_suffix(".npz"))
    record_searches(model, prompts, golden.with_suffix(".json"))
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        task = "text-generation-with-past"
        onnx_export_from_model(model, Path(name), task=task, do_validation=False)
        shutil.copytree(name, folder)
