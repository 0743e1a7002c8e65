"""Text and ids of any kind: nothing crashes, nothing prints, errors name the item."""

from __future__ import annotations

import doctest
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyengine.errors import InputError, InputTypeError
from pyengine.text import special_tokens, surrogates
from pyengine.text.surrogates import replace_lone_surrogates

any_text = st.text(st.characters(codec=None, exclude_categories=[]), max_size=80)
special = ["</s>", "<unk>", "<pad>", ">>fra<<", ">>", "<<", "<keep>", "<eat>", "<word>", "\ud83d"]
mixed_text = st.lists(any_text | st.sampled_from(special), max_size=6).map("".join)


@given(text=mixed_text, ids=st.lists(st.integers(0, 600), max_size=30))
def test_no_text_and_no_ids_crash(case: Any, text: str, ids: list[int]) -> None:
    encoded = case.tokenizer.encode(text)
    assert all(type(number) is int and number >= 0 for number in encoded)
    for sequence in (encoded, ids):
        decoded = case.tokenizer.decode(sequence)
        decoded.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("x\ud83d", "x\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude00!", "\ufffd\U0001f600!"),
        ("\ufeffa\ud800", "\ufeffa\ufffd"),
        ("\U0001f600 \u00e9 plain", "\U0001f600 \u00e9 plain"),
    ],
    ids=ascii,
)
def test_lone_surrogates_become_the_replacement_character(
    cases: Any, text: str, clean: str
) -> None:
    assert replace_lone_surrogates(text) == clean
    for case in cases.values():
        assert case.tokenizer.encode(text) == case.tokenizer.encode(clean)


def test_text_without_surrogates_stays_the_same_object() -> None:
    text = "na\u00efve \U0001f600"
    assert replace_lone_surrogates(text) is text


@pytest.mark.parametrize("unit", ["a", "the dog ", "\u65e5", "\x00", " ", ">>", "</s>", "e\u0301"])
def test_a_hundred_thousand_characters(case: Any, unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    ids = case.tokenizer.encode(text)
    assert ids
    if unit == "the dog ":
        assert 25_000 <= len(ids) <= 100_000
    assert isinstance(case.tokenizer.decode(ids), str)


@pytest.mark.parametrize("thing", [b"bytes", None, 3, ["nested"], np.array(["a"])], ids=str)
def test_what_is_no_text_is_named(case: Any, thing: Any) -> None:
    with pytest.raises(InputTypeError, match=r"^item 1: expected text \(str\), found "):
        case.tokenizer.encode_batch(["fine", thing])
    with pytest.raises(InputTypeError, match=r"^item 0: expected text"):
        case.tokenizer.encode(thing)


def test_one_text_is_no_batch(case: Any) -> None:
    with pytest.raises(InputTypeError, match="encode takes that"):
        case.tokenizer.encode_batch("a dog")


def test_ids_are_checked(case: Any) -> None:
    with pytest.raises(InputError, match=r"^item 1, position 2: token id -1 is out of range"):
        case.tokenizer.decode_batch([[1], [1, 2, -1]])
    with pytest.raises(InputError, match=r"^item 0, position 0: token id 2147483648 "):
        case.tokenizer.decode([2**31])
    with pytest.raises(InputTypeError, match=r"^item 0, position 1: expected a token id"):
        case.tokenizer.decode([1, True])
    with pytest.raises(InputTypeError, match="expected a sequence of token ids"):
        case.tokenizer.decode(5)


def test_ids_of_numpy_decode_alike(case: Any) -> None:
    ids = case.golden["ids"][100]
    assert case.tokenizer.decode(np.array(ids)) == case.golden["decoded"][100]


def test_ids_that_do_not_exist_are_dropped(case: Any) -> None:
    ids = case.golden["ids"][100]
    assert case.tokenizer.decode([*ids, 2**31 - 1, 10**6]) == case.tokenizer.decode(ids)


def test_many_threads_share_a_tokenizer(case: Any, lines: list[str]) -> None:
    expected = (case.golden["ids"], case.golden["decoded"])
    results: list[Any] = [None] * 8

    def work(place: int) -> None:
        tokenizer = case.tokenizer
        encoded = tokenizer.encode_batch(case.lines_of(lines))
        results[place] = (encoded, tokenizer.decode_batch(encoded))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * len(results)


def test_nothing_is_printed(case: Any, lines: list[str], capfd: Any) -> None:
    case.tokenizer.decode_batch(case.tokenizer.encode_batch(lines))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("module", [surrogates, special_tokens], ids=lambda m: m.__name__)
def test_the_documented_examples_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
