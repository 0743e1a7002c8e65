"""Padding: our ids have none, and give what onnxruntime gives for them in a padded batch. An id of
padding among them is a token, as it is to onnxruntime without a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from pyengine import Encoder, Generator, Translator
from pyengine.bench.onnxruntime_loop import OnnxRuntimeEncoder, OnnxRuntimeGenerator, _padded

from .conftest import FIXTURES

TRANSLATORS = ("marian-odd", "bart", "mbart", "pegasus", "m2m", "t5", "mt5")
ENCODERS = ("bert-cls", "roberta", "xlm-roberta-cls", "distilbert-cls")
GENERATORS = ("gpt2", "llama", "llama-tied", "qwen2")
BOTH_SIDES = ("m2m", "t5", "mt5", "roberta", "xlm-roberta-cls")
"""Families whose positions do not count padding: of the others, padding on the left moves the
positions, in transformers too."""

LENGTHS = (3, 17, 1, 30)


def load(kind: Any, name: str) -> Any:
    return kind(FIXTURES / name, compute_type="float32", threads=2, cache_dir=False)


def random_ids(vocab_size: int, lengths: tuple[int, ...] = LENGTHS) -> list[list[int]]:
    rng = np.random.default_rng(9)
    return [rng.integers(4, vocab_size, length).tolist() for length in lengths]


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected).max(-1) / np.abs(expected).max(-1)).max())


def encoder_states(translator: Translator, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """onnxruntime's last hidden states [batch, longest, hidden_size]."""
    session = onnxruntime.InferenceSession(translator._model.encoder_path)
    hidden: np.ndarray = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    return hidden


def own_states(translator: Translator, sources: list[list[int]]) -> list[np.ndarray]:
    offsets = np.cumsum([0, *map(len, sources)]).astype(np.int64)
    hidden = translator.engine.encode(np.concatenate(sources).astype(np.int32), offsets, 32)
    return np.split(hidden, offsets[1:-1])


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("name", TRANSLATORS)
def test_sources_are_those_of_a_padded_batch(name: str, left: bool) -> None:
    if left and name not in BOTH_SIDES:
        pytest.skip("padding on the left moves its positions")
    with load(Translator, name) as translator:
        sources = random_ids(translator.config.source_vocab_size - 1)
        pad = translator._model.raw_config["pad_token_id"]
        ids, mask = _padded(sources, pad, left)
        expected = encoder_states(translator, ids, mask)
        for row, kept, own in zip(expected, mask, own_states(translator, sources), strict=True):
            assert difference(own, row[kept == 1]) <= 1e-4


@pytest.mark.parametrize("name", TRANSLATORS)
def test_padding_inside_a_source_is_a_token(name: str) -> None:
    with load(Translator, name) as translator:
        pad = translator._model.raw_config["pad_token_id"]
        (source,) = random_ids(translator.config.source_vocab_size - 1, (20,))
        source[0] = source[5] = source[6] = source[19] = pad
        expected = encoder_states(translator, np.array([source]), np.ones((1, 20), np.int64))
        assert difference(own_states(translator, [source])[0], expected[0]) <= 1e-4


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_texts_are_those_of_a_padded_batch(name: str, left: bool) -> None:
    if left and name not in BOTH_SIDES:
        pytest.skip("padding on the left moves its positions")
    with load(Encoder, name) as encoder:
        texts = random_ids(encoder.config.source_vocab_size)
        ids, mask = _padded(texts, encoder._model.raw_config["pad_token_id"], left)
        session = onnxruntime.InferenceSession(encoder._model.encoder_path)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        names = [value.name for value in session.get_inputs()]
        (expected,) = session.run(None, {name: feeds[name] for name in names})
        values, offsets = np.concatenate(texts).astype(np.int32), np.cumsum([0, *map(len, texts)])
        if encoder.config.classifies:
            # The head reads the first place of a row, which padding on the left takes.
            whole = slice(len(texts)) if not left else slice(3, 4)
            found = encoder.engine.classify(values, offsets, 32)
            assert difference(found[whole], expected[whole]) <= 1e-4
            return
        for row, kept, own in zip(expected, mask, encoder.forward(texts), strict=True):
            assert difference(own, row[kept == 1]) <= 1e-4


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_inside_a_text_is_a_token(name: str) -> None:
    with load(Encoder, name) as encoder:
        pad = encoder._model.raw_config["pad_token_id"]
        (text,) = random_ids(encoder.config.source_vocab_size, (20,))
        text[0] = text[5] = text[6] = text[19] = pad
        expected = OnnxRuntimeEncoder(encoder._model.encoder_path, 1).run([text])[0]
        values, offsets = np.array(text, np.int32), np.array([0, 20], np.int64)
        run = encoder.engine.classify if encoder.config.classifies else encoder.engine.encode
        assert difference(run(values, offsets, 1), np.atleast_2d(expected)) <= 1e-4


@pytest.mark.parametrize("name", GENERATORS)
def test_prompts_are_those_of_a_batch_padded_on_the_left(name: str) -> None:
    from pyengine.bench.onnxruntime_loop import GreedySearch

    with load(Generator, name) as generator:
        prompts = random_ids(generator.config.vocab_size)
        search = GreedySearch(0, (), 0, max_length=9)
        found = OnnxRuntimeGenerator(generator._model.decoder_path, 2).greedy(prompts, search, True)
        own = generator.generate(prompts, num_beams=1, max_new_tokens=8, eos_token_id=None)
        assert [best[0].ids for best in own] == found.ids
        for prompt, ids, logits in zip(prompts, found.ids, found.logits, strict=True):
            read = np.array([*prompt, *ids[:-1]], np.int32)
            rows = generator.engine.logits(np.empty(0, np.int32), read)[len(prompt) - 1 :]
            assert difference(rows, logits) <= 1e-4
