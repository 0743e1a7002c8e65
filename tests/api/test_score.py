"""``score``: log-probabilities of given ids, the same numbers that the search adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyengine import InputError, InputTypeError, Translator

from .conftest import SENTENCES
from .test_invariance import id_sources

NO_PROCESSOR: dict[str, Any] = {
    "length_penalty": 0.0,
    "bad_words_ids": None,
    "forced_eos_token_id": None,
    "renormalize_logits": False,
}


def sequential_sum(scores: np.ndarray) -> np.float32:
    total = np.float32(0)
    for score in scores:
        total = np.float32(total + score)
    return total


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("model", ["ids_translator", "text_translator"])
def test_sum_is_the_unnormalised_score_bit_for_bit(
    model: str, num_beams: int, request: pytest.FixtureRequest
) -> None:
    translator: Translator = request.getfixturevalue(model)
    sources = id_sources() if model == "ids_translator" else translator.encode_batch(SENTENCES)
    search = {**NO_PROCESSOR, "num_beams": num_beams, "num_return_sequences": num_beams}
    options = translator.generation_options(**search)
    pairs = [
        (source, hypothesis)
        for source, row in zip(sources, translator.generate(sources, **search), strict=True)
        for hypothesis in row
    ]
    ended = 0
    targets = []
    for _, hypothesis in pairs:
        has_end = len(hypothesis.ids) < options.max_new_tokens
        targets.append([*hypothesis.ids, *options.eos_token_id[: int(has_end)]])
        ended += has_end
    assert ended > 0
    scores = translator.score([source for source, _ in pairs], targets)
    for (_, hypothesis), target, row in zip(pairs, targets, scores, strict=True):
        assert row.dtype == np.float32
        assert row.shape == (len(target),)
        assert float(sequential_sum(row)) == hypothesis.score


def test_scores_do_not_depend_on_the_batch(ids_translator: Translator) -> None:
    sources = id_sources()
    targets = [source[::-1] for source in sources]
    together = ids_translator.score(sources, targets)
    for source, target, row in zip(sources, targets, together, strict=True):
        (alone,) = ids_translator.score([source], [target])
        assert np.array_equal(alone, row)
        assert (row < 0).all()


def test_log_probabilities_of_a_whole_vocabulary_add_up_to_one(ids_translator: Translator) -> None:
    size = ids_translator.config.vocab_size
    rows = ids_translator.score([[5, 9, 0]] * size, [[token] for token in range(size)])
    assert np.exp(np.concatenate(rows).astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_scores_agree_with_the_logits(ids_translator: Translator) -> None:
    start = ids_translator.generation_options().decoder_start_token_id
    target = [7, 100, 3, 0]
    inputs = np.array([start, *target[:-1]], np.int32)
    logits = ids_translator.engine.logits(np.array([5, 9, 0], np.int32), inputs).astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    (row,) = ids_translator.score([[5, 9, 0]], [target])
    assert row == pytest.approx(expected[range(4), target], abs=1e-5)


def test_empty_lists_and_targets(ids_translator: Translator) -> None:
    assert ids_translator.score([], []) == []
    first, second = ids_translator.score([[5, 0], [6, 0]], [[], [3]])
    assert first.shape == (0,)
    assert second.shape == (1,)


def test_wrong_pairs(ids_translator: Translator) -> None:
    with pytest.raises(InputError, match="found 2 sources and 1 targets"):
        ids_translator.score([[1, 0], [2, 0]], [[1]])
    with pytest.raises(InputError, match="item 1: source: found 0 tokens, expected 1 to 40"):
        ids_translator.score([[1, 0], []], [[1], [1]])
    with pytest.raises(InputError, match="item 0: target: found 41 tokens, expected 0 to 40"):
        ids_translator.score([[1, 0]], [[1] * 41])
    with pytest.raises(InputError, match=r"targets: item 0, position 1.*211.*0 to 210"):
        ids_translator.score([[1, 0]], [[1, 211]])
    with pytest.raises(InputTypeError, match="item 0"):
        ids_translator.score([[1, 0]], ["abc"])  # type: ignore[list-item]
