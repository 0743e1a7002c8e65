"""Sampling: against a NumPy twin, the model's own distribution and transformers' warpers."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
import tiny_marian
from sampling_twin import Warpers, probabilities, sample, uniform

import pyengine
from pyengine import _core

from .conftest import FIXTURES

PROMPT = [5, 9, 77, 20]
NO_SOURCE = np.empty(0, np.int32)
END = 2
WARPERS = [
    {"top_k": 0},
    {},  # top_k 50
    {"top_k": 3, "temperature": 0.7},
    {"top_k": 0, "top_p": 0.8},
    {"top_k": 20, "top_p": 0.9, "temperature": 1.7},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 30, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
    {"top_k": 0, "typical_p": 0.3},
    {"top_k": 40, "min_p": 0.02, "typical_p": 0.7, "temperature": 1.3},
    {"top_k": 0, "typical_p": 0.0},
    {"top_k": 0, "top_p": 0.0},
]


def load(name: str, **settings: Any) -> pyengine.Generator:
    return pyengine.Generator(FIXTURES / name, cache_dir=False, **settings)


def as_warpers(options: dict[str, Any]) -> Warpers:
    return Warpers(**{"top_k": 50, **options})


def samples_of(generator: pyengine.Generator, prompt: list[int], **options: Any) -> list[Any]:
    return generator.generate([prompt], do_sample=True, **options)[0]


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("options", WARPERS)
def test_a_generator_samples_as_the_twin(name: str, options: dict[str, Any]) -> None:
    generator = load(name)

    def logits_after(ids: list[int]) -> np.ndarray:
        return generator.engine.logits(NO_SOURCE, np.array(PROMPT + ids, np.int32))[-1]

    found = samples_of(
        generator, PROMPT, seed=123, num_return_sequences=5, max_new_tokens=8, **options
    )
    assert len(found) == 5
    for number, hypothesis in enumerate(found):
        ids, total = sample(logits_after, PROMPT, number, 123, as_warpers(options), 8, ends=[END])
        assert hypothesis.ids == [i for i in ids if i != END]
        assert hypothesis.score == pytest.approx(total / len(ids), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("options", [{"top_k": 0}, {"top_k": 12, "top_p": 0.9}])
def test_a_translator_samples_as_the_twin(ids_translator, options: dict[str, Any]) -> None:
    """The folder bans its padding and forces the end token at the last position."""
    source = [12, 7, 0]

    def logits_after(ids: list[int]) -> np.ndarray:
        inputs = np.array([210, *ids], np.int32)
        logits = ids_translator.engine.logits(np.array(source, np.int32), inputs)[-1]
        logits[210] = -np.inf
        if len(ids) == 8:
            logits[:] = -np.inf
            logits[0] = 0.0
        return logits

    settings = {"num_beams": 1, "max_new_tokens": 9, "num_return_sequences": 4, "seed": 7}
    (found,) = ids_translator.generate([source], do_sample=True, **settings, **options)
    for number, hypothesis in enumerate(found):
        ids, total = sample(logits_after, source, number, 7, as_warpers(options), 9, ends=[0])
        assert hypothesis.ids == [i for i in ids if i != 0]
        assert hypothesis.score == pytest.approx(total / len(ids), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"top_k": 5},
        {"top_k": 0, "top_p": 0.7, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
        {"top_k": 9, "repetition_penalty": 0.7, "encoder_repetition_penalty": 2.0},
    ],
)
def test_nothing_depends_on_batch_threads_or_isa(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    prompts = [rng.integers(3, 131, n).tolist() for n in (1, 17, 3, 33, 16, 2)]
    options = {
        "do_sample": True,
        "seed": 5,
        "max_new_tokens": 9,
        "num_return_sequences": 3,
    } | options
    alone = load("llama", threads=1, batch_size=1)
    expected = [alone.generate([prompt], **options)[0] for prompt in prompts]
    assert len({tuple(h.ids) for row in expected for h in row}) > 12
    for isa in _core.available_isas():
        for threads, batch_size in ((1, 2), (2, 32)):
            generator = load("llama", threads=threads, batch_size=batch_size, isa=isa)
            assert generator.generate(prompts[::-1] * 2, **options) == expected[::-1] * 2


def test_more_samples_leave_the_first_as_they_are() -> None:
    generator = load("gpt2")
    options = {"seed": 1, "max_new_tokens": 6}
    many = samples_of(generator, PROMPT, num_return_sequences=40, **options)
    assert samples_of(generator, PROMPT, num_return_sequences=3, **options) == many[:3]
    assert samples_of(generator, PROMPT, **options) == many[:1]
    assert (
        samples_of(generator, PROMPT, seed=2, num_return_sequences=3, max_new_tokens=6) != many[:3]
    )


def test_without_a_seed_every_call_is_another() -> None:
    generator = load("gpt2")
    found = {tuple(samples_of(generator, PROMPT, max_new_tokens=12)[0].ids) for _ in range(6)}
    assert len(found) > 1


def chi_square(counts: np.ndarray, shares: np.ndarray) -> float:
    """Pearson's statistic less its mean, in its standard deviations; rare ids in one cell."""
    expected = shares * counts.sum()
    order = np.argsort(expected)
    rare = order[np.cumsum(expected[order]) < 5]
    often = np.setdiff1d(np.arange(len(shares)), rare)
    cells = [*zip(counts[often], expected[often], strict=True)]
    if expected[rare].sum() > 1:
        cells.append((counts[rare].sum(), expected[rare].sum()))
    statistic = sum((seen - mean) ** 2 / mean for seen, mean in cells)
    freedom = max(len(cells) - 1, 1)
    return (statistic - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize("options", WARPERS[:-1])
def test_frequencies_are_the_probabilities(options: dict[str, Any]) -> None:
    generator = load("gpt2")
    logits = generator.engine.logits(NO_SOURCE, np.array(PROMPT, np.int32))[-1]
    ids, shares = probabilities(logits, as_warpers(options))
    expected = np.zeros(131)
    expected[ids] = shares
    counts = np.zeros(131)
    for seed in range(20):
        for hypothesis in samples_of(
            generator, PROMPT, seed=seed, num_return_sequences=1000, max_new_tokens=1, **options
        ):
            counts[hypothesis.ids[0] if hypothesis.ids else END] += 1
    assert counts.sum() == 20_000
    assert not counts[expected == 0].any()
    assert abs(chi_square(counts, expected)) < 4


def test_two_steps_are_independent_draws() -> None:
    """The pair of the first two tokens has the product of their conditional probabilities."""
    generator = load("gpt2")
    found = samples_of(
        generator, PROMPT, seed=3, num_return_sequences=1000, max_new_tokens=2, top_k=3
    )
    pairs = [tuple(h.ids) for h in found if len(h.ids) == 2]
    logits = generator.engine.logits(NO_SOURCE, np.array(PROMPT, np.int32))[-1]
    first, shares = probabilities(logits, Warpers(top_k=3))
    counts, expected = [], []
    for a, share in zip(first.tolist(), shares, strict=True):
        inputs = np.array([*PROMPT, a], np.int32)
        after, rest = probabilities(
            generator.engine.logits(NO_SOURCE, inputs)[-1], Warpers(top_k=3)
        )
        for b, other in zip(after.tolist(), rest, strict=True):
            if END not in (a, b):
                counts.append(pairs.count((a, b)))
                expected.append(share * other * 1000)
    assert sum(counts) == len(pairs)
    statistic = sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))
    assert statistic < 30  # 8 degrees of freedom: p < 0.0003


def test_random_numbers_are_uniform_and_their_own() -> None:
    numbers = np.array([uniform(0, [1, 2], s, i) for s in range(200) for i in range(50)])
    assert abs(numbers.mean() - 0.5) < 0.01
    assert np.histogram(numbers, 20, (0, 1))[0].std() < 40
    assert len(set(numbers.tolist())) == len(numbers)
    assert uniform(0, [1, 2], 3, 0) != uniform(0, [1, 2, 3], 0, 0)


def test_golden_sets_of_transformers() -> None:
    """The ids that transformers' warpers leave of recorded logits, option by option."""
    generator = load("gpt2")
    content = json.loads((FIXTURES / "golden" / "gpt2.json").read_text())
    for case in content["warpers"]:
        prompt, allowed = content["prompts"][case["prompt"]], set(case["allowed"])
        seen: set[int] = set()
        for seed in range(4):
            found = samples_of(
                generator, prompt, seed=seed, num_return_sequences=1000, max_new_tokens=1,
                eos_token_id=None, **case["options"],
            )  # fmt: skip
            seen |= {h.ids[0] for h in found}
        assert seen <= allowed
        likely = set(case["likely"])  # those of a share that 4,000 samples do not miss
        assert likely <= seen


def test_penalties_act_before_the_draw() -> None:
    generator = load("gpt2")
    options = {"seed": 4, "num_return_sequences": 200, "max_new_tokens": 6, "eos_token_id": None}
    for top_k in (0, 300, 50, 4):
        for hypothesis in samples_of(
            generator, PROMPT, no_repeat_ngram_size=1, top_k=top_k, **options
        ):
            ids = PROMPT + hypothesis.ids
            assert len(set(ids)) == len(ids)
    logits = generator.engine.logits(NO_SOURCE, np.array(PROMPT, np.int32))[-1]
    for top_k in (0, 50):
        processed = logits.copy()
        for i in PROMPT:
            processed[i] *= 3 if processed[i] < 0 else np.float32(1 / 3)
        ids, shares = probabilities(processed, Warpers(top_k=top_k))
        found = samples_of(
            generator, PROMPT, **{**options, "max_new_tokens": 1, "num_return_sequences": 1000},
            repetition_penalty=3.0, top_k=top_k,
        )  # fmt: skip
        counts = np.bincount([h.ids[0] for h in found], minlength=131)
        expected = np.zeros(131)
        expected[ids] = shares
        assert abs(chi_square(counts, expected)) < 4


def test_top_k_of_any_size_keeps_the_same_best() -> None:
    """Above 256 the whole row is taken, below a list of candidates."""
    generator = load("gpt2")
    options = {"seed": 9, "num_return_sequences": 50, "max_new_tokens": 5}
    assert samples_of(generator, PROMPT, top_k=131, **options) == samples_of(
        generator, PROMPT, top_k=1000, **options
    )


def test_a_folder_that_says_so_samples(tmp_path) -> None:
    folder = tmp_path / "gpt2"
    shutil.copytree(FIXTURES / "gpt2", folder)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(
        json.dumps({**config, "do_sample": True, "temperature": 0.9, "top_p": 0.9})
    )
    generator = pyengine.Generator(folder, cache_dir=False)
    assert generator.generation_options().do_sample
    options = {"max_new_tokens": 8, "seed": 11}
    found = generator.generate([PROMPT], **options)
    explicit = {"do_sample": True, "temperature": 0.9, "top_p": 0.9, "top_k": 50}
    assert found == load("gpt2").generate([PROMPT], **explicit, **options)
    greedy = generator.generate([PROMPT], do_sample=False, max_new_tokens=8)
    assert greedy == load("gpt2").generate([PROMPT], max_new_tokens=8)


def test_texts(text_translator) -> None:
    texts = ["A dog runs.", "Two women talk."]
    options = {"do_sample": True, "num_beams": 1, "seed": 5}
    found = text_translator.translate(texts, num_return_sequences=3, **options)
    assert [len(row) for row in found] == [3, 3]
    assert len(set(found[0])) > 1
    assert text_translator.translate(texts[0], **options) == found[0][0]


@pytest.mark.parametrize(
    "option", [{"encoder_no_repeat_ngram_size": 1}, {"encoder_repetition_penalty": 3.0}]
)
def test_ids_of_a_source_may_be_larger_than_the_targets(tmp_path, option) -> None:
    """They ban and penalise nothing, neither in the sentence's own row nor in that of another."""
    tiny_marian.write_folder(tmp_path / "xxyy", 0, 20, source_vocab_size=700)
    sources = np.random.default_rng(3).integers(21, 700, (8, 8)).tolist()
    options = {"do_sample": True, "num_beams": 1, "top_k": 0, "seed": 1, "max_new_tokens": 6}
    with pyengine.Translator(tmp_path / "xxyy", cache_dir=False) as translator:
        plain = translator.generate(sources, **options)
        assert translator.generate(sources, **options, **option) == plain
