"""What every tokenizer does: text to the ids the encoder sees, and ids back to text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pyengine import _ragged
from pyengine.errors import InputTypeError
from pyengine.text.surrogates import replace_lone_surrogates

_ANY_ID = 2**31


class Tokenizer(ABC):
    """Text to token ids and back, as the model's own transformers tokenizer does it.

    A tokenizer never changes after it is loaded, so any number of threads may use it at once.
    """

    def encode(self, text: str) -> list[int]:
        """The ids of ``text`` as the encoder sees them, with the end token.

        Args:
            text: Unicode of any kind and length; a lone surrogate counts as U+FFFD. The empty text
                gives what the family gives, mostly the end token alone.

        Raises:
            InputTypeError: ``text`` is no ``str``.
            ModelFormatError: the tokenizer file is sound to look at, but cannot encode this text.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text, in the same order; see :meth:`encode`.

        Raises:
            InputTypeError: ``texts`` is itself a ``str``, or an item is none; the message names it.
        """
        if isinstance(texts, str):
            raise InputTypeError("expected a list of texts, found one str; encode takes that")
        return self._encode([_clean(text, item) for item, text in enumerate(texts)])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, without special tokens (end, padding, unknown and so on).

        Args:
            ids: token ids of the target side, with or without the end token. An id that the
                tokenizer does not know is left out like an unknown token: models are padded
                beyond their vocabulary at times.

        Raises:
            InputTypeError: an id is no integer.
            InputError: an id is negative or not below 2**31.
        """
        return self.decode_batch([ids])[0]

    def decode_batch(self, sequences: Sequence[Sequence[int]]) -> list[str]:
        """The text of every sequence of ids, in the same order; see :meth:`decode`.

        Raises:
            InputTypeError, InputError: as :meth:`decode`; the message names item and position.
        """
        return self._decode(_ragged.unpack(*_ragged.pack(sequences, _ANY_ID)))

    @abstractmethod
    def _encode(self, texts: list[str]) -> list[list[int]]:
        """:meth:`encode_batch` for texts that encode in UTF-8."""

    @abstractmethod
    def _decode(self, sequences: list[list[int]]) -> list[str]:
        """:meth:`decode_batch` for Python ints from 0 to 2**31 - 1."""


def _clean(text: object, item: int) -> str:
    if not isinstance(text, str):
        raise InputTypeError(f"item {item}: expected text (str), found {type(text).__name__}")
    return replace_lone_surrogates(text)
