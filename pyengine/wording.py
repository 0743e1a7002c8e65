"""How the texts of a call are put to a model: its languages, and a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyengine.errors import InputTypeError

if TYPE_CHECKING:
    from pyengine.text import Tokenizer


@dataclass(frozen=True)
class Wording:
    """What a call says of its texts.

    Attributes:
        source, target: codes of the languages as a multilingual model calls them, such as
            "fra_Latn" of NLLB; ``None``: what the folder's configuration says.
        prefix: goes before each text, such as "translate English to German: " of T5.
    """

    source: str | None = None
    target: str | None = None
    prefix: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str):
            found = type(self.prefix).__name__
            raise InputTypeError(f"prefix: expected a string, found {found}")

    def encode_batch(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, with what tells its languages.

        Raises:
            InputTypeError: an item is no text.
            OptionError: a language that the model does not know.
        """
        if self.prefix:
            texts = [self.prefix + text for text in texts]
        return tokenizer.encode_batch(texts, self.source, self.target)

    def options(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """The generation options that the target language asks for.

        Raises:
            OptionError: a language that the model does not know.
        """
        tokenizer.check_languages(self.source, self.target)
        if tokenizer.languages is None or self.target is None:
            return {}
        first = tokenizer.languages.first_id(self.target)
        return {} if first is None else {"forced_bos_token_id": first}
