"""Texts come in any iterable that has an order: lists, generators, views, series and arrays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine import Translator
from pyengine.inputs import checked_texts, checked_texts_or_pairs

from .test_encoder import load

TEXTS = ["A dog runs.", "Two women talk."]


class Series:
    """As a pandas Series: values by the labels of an index, of one dimension, no Sequence."""

    ndim = 1

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        raise ValueError("The truth value of a Series is ambiguous.")


class DataFrame(Series):
    """As a pandas DataFrame, which gives the names of its columns."""

    ndim = 2


KINDS = [
    TEXTS,
    (*TEXTS, TEXTS[0]),
    (text for text in TEXTS),
    iter(TEXTS),
    dict.fromkeys(TEXTS).keys(),
    dict(enumerate(TEXTS)).values(),
    map(str, TEXTS),
    Series(TEXTS),
    np.array(TEXTS),
    np.array(TEXTS, object),
    io.StringIO("\n".join(TEXTS)),
    [np.str_(text) for text in TEXTS],
]


@pytest.mark.parametrize("texts", KINDS, ids=lambda texts: type(texts).__name__)
def test_any_ordered_iterable(texts: Any) -> None:
    found = checked_texts(texts)
    assert [text.rstrip("\n") for text in found][:2] == TEXTS
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize(
    "texts",
    [
        "text",
        b"text",
        bytearray(b"text"),
        memoryview(b"text"),
        {"a": "b"},
        {"a", "b"},
        frozenset("ab"),
        DataFrame(TEXTS),
        np.array("text"),
        np.array([["a", "b"], ["c", "d"]])[None],
        None,
        5,
        str,
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_what_holds_no_list_of_texts(texts: Any) -> None:
    for check in (checked_texts, checked_texts_or_pairs):
        with pytest.raises(
            pyengine.InputTypeError, match=r"expected (text or )?a list of texts, found"
        ):
            check(texts)


def test_an_item_that_is_no_text_is_named() -> None:
    with pytest.raises(pyengine.InputTypeError, match="item 1: expected a string, found float"):
        checked_texts(Series(["a", float("nan")]))
    with pytest.raises(pyengine.InputTypeError, match="item 0: expected a string, found tuple"):
        checked_texts([("a", "b")])
    with pytest.raises(pyengine.InputTypeError, match="expected text or a list of texts"):
        checked_texts(np.array([["a", "b"]]))


def test_an_error_of_the_callers_own_iterable_is_left_alone() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise TypeError("of the caller")

    with pytest.raises(TypeError, match="of the caller") as caught:
        checked_texts(broken())
    assert not isinstance(caught.value, pyengine.Error)


def test_every_call_takes_them(text_translator: Translator) -> None:
    expected = text_translator.translate(TEXTS)
    assert text_translator.translate(text for text in TEXTS) == expected
    assert text_translator.translate(np.array(TEXTS)) == expected
    assert text_translator.encode_batch(Series(TEXTS)) == text_translator.encode_batch(TEXTS)
    encoder = load("bert-cls")
    vectors = encoder.encode(TEXTS)
    for texts in (Series(TEXTS), np.array(TEXTS), iter(TEXTS), dict.fromkeys(TEXTS).keys()):
        np.testing.assert_array_equal(encoder.encode(texts), vectors)
    assert encoder.classify(np.array(TEXTS)) == encoder.classify(iter(TEXTS))
    assert encoder.encode(np.str_(TEXTS[0])).shape == (64,)
