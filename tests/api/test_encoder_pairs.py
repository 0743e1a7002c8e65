"""Pairs of texts in an encoder: their ids, types, hidden states and classes are transformers'."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pyengine

from .test_encoder import CLASSIFIERS, FAMILIES, Golden, difference, load

LONGER = [("A dog runs. " * 30, "The cat laughs!"), ("A dog runs.", "The cat laughs! " * 40)]
LONGER.append(("A dog runs. " * 11, "The cat laughs! " * 12))
"""As LONGER in tools/encoder_fixtures.py repeats the first pair."""


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_and_types_of_pairs(name):
    golden, encoder = Golden(name), load(name)
    found = encoder._get_tokenizer().encode_pairs(golden.pairs)
    assert [pair.ids for pair in found] == golden.pair_ids[:-1]
    assert [pair.types for pair in found] == golden.pair_types[:-1]
    assert encoder.tokenize(golden.pairs) == golden.pair_ids[:-1]


@pytest.mark.parametrize("name", FAMILIES)
def test_hidden_states_of_token_types(name):
    golden, encoder = Golden(name), load(name)
    told = encoder.config.token_types > 0
    found = encoder.forward(golden.pair_ids, golden.pair_types if told else None)
    for hidden, expected in zip(found, golden.pair_hidden, strict=True):
        assert difference(hidden, expected) < 1e-5
    untold = encoder.forward(golden.pair_ids)
    types_matter = encoder.config.token_types > 1
    assert (difference(untold[-1], found[-1]) > 1e-2) == types_matter


@pytest.mark.parametrize("name", FAMILIES)
def test_pairs_and_texts_mix_in_any_batch(name):
    golden = Golden(name)
    mixed = [golden.texts[0], *golden.pairs, golden.texts[1]] * 5
    encoder = load(name, batch_size=3)
    vectors = encoder.encode(mixed, pooling="mean")
    expected = [golden.hidden[0], *golden.pair_hidden[:-1], golden.hidden[1]]
    for vector, hidden in zip(vectors, expected * 5, strict=True):
        assert difference(vector[None], hidden.mean(axis=0)[None]) < 1e-5
    for text, vector in zip(mixed, vectors, strict=True):
        np.testing.assert_array_equal(encoder.encode([text])[0], vector)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes_of_pairs(name):
    golden, encoder = Golden(name), load(name)
    for found, logits in zip(encoder.classify(golden.pairs), golden.pair_logits, strict=False):
        exact = logits.astype(np.float64)
        odds = 1 / (1 + np.exp(-exact)) if len(exact) == 1 else np.exp(exact) / np.exp(exact).sum()
        assert found == pytest.approx(dict(zip(encoder.labels, odds, strict=True)), abs=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_longer_text_of_a_pair_is_cut(name):
    encoder = load(name)
    with pytest.warns(pyengine.TruncationWarning) as caught:
        found = encoder.tokenize(LONGER, truncate=True)
    assert len(caught) == len(LONGER)
    assert re.fullmatch(
        r"item 0: \d+ tokens, the model has 40 positions; the rest was cut", str(caught[0].message)
    )
    assert found == Golden(name).cut_ids
    with pytest.raises(pyengine.InputError, match=r"item 1: .* 40 positions; shorten a text"):
        encoder.tokenize([("a", "b"), LONGER[0]])


def test_a_pair_that_fits_is_not_cut(recwarn):
    golden = Golden("bert-cls")
    assert load("bert-cls").tokenize(golden.pairs, truncate=True) == golden.pair_ids[:-1]
    assert not recwarn


def test_two_strings_in_a_tuple_could_mean_either():
    encoder = load("bert-cls")
    for method in (encoder.encode, encoder.classify, encoder.tokenize):
        with pytest.raises(pyengine.InputTypeError, match=r"one pair or two texts; expected \[\(a"):
            method(("a dog", "a cat"))
    assert len(encoder.classify(["a dog", "a cat"])) == 2
    assert len(encoder.classify(("a dog", "a cat", "a man"))) == 3


@pytest.mark.parametrize(
    "pair", [("a dog", "a cat"), ["a dog", "a cat"], np.array(["a dog", "a cat"])], ids=type
)
def test_a_pair_is_an_item_of_two_strings(pair):
    encoder = load("bert-cls")
    (expected,) = encoder.tokenize([("a dog", "a cat")])
    assert encoder.tokenize([pair]) == encoder.tokenize((pair,)) == [expected]
    assert encoder.tokenize(np.array([["a dog", "a cat"]] * 3)) == [expected] * 3


def test_wrong_pairs_and_types():
    encoder = load("bert-cls")
    for wrong in (("a",), ("a", "b", "c"), ("a", 5), ["a", "b", "c"], {"a": 1, "b": 2}):
        with pytest.raises(pyengine.InputTypeError, match="item 1: expected a string or a pair"):
            encoder.encode(["a dog", wrong])
    with pytest.raises(pyengine.InputError, match="token_types: expected one for each token"):
        encoder.forward([[5, 6]], [[0]])
    with pytest.raises(pyengine.InputError, match=r"token_types: item 0, position 1: .*2"):
        encoder.forward([[5, 6]], [[0, 2]])
    with pytest.raises(pyengine.UnsupportedModelError, match="distilbert knows no token types"):
        load("distilbert-cls").forward([[5]], [[0]])
    packed = pyengine._ragged.pack([[5, 6]], 97)
    with pytest.raises(ValueError, match="2 tokens and 1 token types"):
        encoder.engine.encode(*packed, 1, np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="token type 2 is none of the model's 2"):
        encoder.engine.classify(*packed, 1, np.array([0, 2], np.int32))
