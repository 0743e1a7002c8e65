"""Checks of what callers hand in: texts and lists of token ids, with errors that name the item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged
from pyengine.errors import InputError, InputTypeError, OptionError, TruncationWarning, excerpt

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]
Text = str | tuple[str, str]
"""A text, or two that a model reads as a pair."""

_NO_LISTS = (str, bytes, bytearray, memoryview, Mapping, set, frozenset)
"""Iterables that hold no list of texts: a mapping gives its keys, a set has no order."""


class ItemError(InputError):
    """An :class:`InputError` that knows which item of the batch is at fault."""

    def __init__(self, item: int, message: str) -> None:
        super().__init__(f"item {item}: {message}")
        self.item = item
        self.reason = message


class ItemTruncated(TruncationWarning):
    """A :class:`TruncationWarning` that knows which item of the batch was cut."""

    def __init__(self, item: int, message: str) -> None:
        super().__init__(f"item {item}: {message}")
        self.item = item
        self.reason = message


def packed(which: str, sequences: Any, vocab_size: int) -> tuple[Ids, Offsets]:
    """``_ragged.pack`` whose errors say which of two lists is at fault."""
    try:
        return _ragged.pack(sequences, vocab_size)
    except (InputError, InputTypeError) as error:
        raise type(error)(f"{which}: {error}") from None


def check_boolean(name: str, value: object, expected: str = "True or False") -> bool:
    """The value of an argument.

    Raises:
        OptionError: it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise OptionError(f"{name}: found {excerpt(value)}, expected {expected}")
    return value


def is_blank(text: str) -> bool:
    """Whether there is nothing to translate in ``text``."""
    return not text or text.isspace()


def checked_text(text: Any, name: str = "text") -> str:
    """A string, called so in errors.

    Raises:
        InputTypeError: something else.
    """
    if not isinstance(text, str):
        raise InputTypeError(f"{name}: expected a string, found {type(text).__name__}")
    return text


def checked_texts(texts: Any) -> list[str]:
    """The strings of any iterable: a list, a tuple, a generator, a view of a dict, a pandas Series
    or a NumPy array of one dimension.

    Raises:
        InputTypeError: something else, or an item that is no string; the message names it.
    """
    items = _items(texts)
    for item, text in enumerate(items):
        if not isinstance(text, str):
            raise InputTypeError(f"item {item}: expected a string, found {type(text).__name__}")
    return [str(text) for text in items]  # NumPy's strings too


def checked_texts_or_pairs(texts: Any) -> list[Text]:
    """The strings and pairs of strings of any iterable, as :func:`checked_texts` takes it.

    A pair is a tuple, a list or an array of two strings, always as an item of something: two
    strings in a tuple that is itself in the place of the iterable could mean either.

    Raises:
        InputTypeError: something else, such a tuple, or an item that is neither; the message names
            it.
    """
    if isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(x, str) for x in texts):
        raise InputTypeError(
            "text: found a tuple of two strings, which may be one pair or two texts; expected "
            "[(a, b)] for a pair, [a, b] for two texts"
        )
    return [_text_or_pair(item, text) for item, text in enumerate(_items(texts, dimensions=2))]


def _text_or_pair(item: int, text: Any) -> Text:
    if isinstance(text, str):
        return str(text)
    if isinstance(text, (tuple, list, np.ndarray)) and len(text) == 2:
        first, second = text
        if isinstance(first, str) and isinstance(second, str):
            return str(first), str(second)
    raise InputTypeError(
        f"item {item}: expected a string or a pair of strings, found {type(text).__name__}"
    )


def _items(texts: Any, dimensions: int = 1) -> list[Any]:
    """What an iterable gives, if its kind may hold texts.

    Args:
        dimensions: of a NumPy array at most. Anything else that has two, such as a DataFrame,
            would give something other than its rows.
    """
    most = dimensions if isinstance(texts, np.ndarray) else 1
    if getattr(texts, "ndim", 1) > most or isinstance(texts, _NO_LISTS):
        raise _no_texts(texts)
    try:
        iterator = iter(texts)
    except TypeError:
        raise _no_texts(texts) from None
    return list(iterator)


def _no_texts(texts: Any) -> InputTypeError:
    expected = "a list of texts" if isinstance(texts, str) else "text or a list of texts"
    return InputTypeError(f"text: expected {expected}, found {type(texts).__name__}")
