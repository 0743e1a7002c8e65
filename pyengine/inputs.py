"""Checks of what callers hand in: texts and lists of token ids, with errors that name the item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyengine import _ragged
from pyengine.errors import InputError, InputTypeError, TruncationWarning

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]


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
    """A list of strings.

    Raises:
        InputTypeError: something else; the message names the item.
    """
    if not isinstance(texts, Sequence) or isinstance(texts, (str, bytes, bytearray, memoryview)):
        raise InputTypeError(
            f"text: expected text or a list of texts, found {type(texts).__name__}"
        )
    return [checked_text(text, f"item {item}") for item, text in enumerate(texts)]
