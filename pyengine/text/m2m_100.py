"""The tokenizer of M2M-100 folders: one SentencePiece model, a vocabulary, and language tokens.

The language tokens ``__fr__`` are special tokens whose ids follow those of the vocabulary.

Source: ``M2M100Tokenizer`` in transformers 4.57.6.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from pyengine.errors import ModelFormatError
from pyengine.text.language_tokens import LanguageTokens
from pyengine.text.pieces import DEFAULT_TOKENS, PieceTokenizer, read_settings, read_side
from pyengine.text.special_tokens import SpecialTokens, read_special_tokens

FILES = ("sentencepiece.bpe.model", "vocab.json")

_LANGUAGE = re.compile(r"__(\w+)__")


class M2M100Tokenizer(PieceTokenizer):
    """M2M-100's text to ids and ids to text.

    Args:
        folder: holds :data:`FILES`.

    Raises:
        ModelFormatError: a file is damaged, the vocabulary lacks the unknown or padding token, or
            the configuration names no language tokens.
        UnsupportedModelError: the configuration asks SentencePiece for something out of the
            ordinary, such as sampling.
    """

    def __init__(self, folder: Path) -> None:
        settings = read_settings(folder)
        side = read_side(folder, *FILES)
        super().__init__(folder, side, side, _with_languages_first(folder))
        ids = {
            code[1]: self._ids[token]
            for token in self._added
            if (code := _LANGUAGE.fullmatch(token))
        }
        default = str(settings.get("src_lang") or "en")
        if default not in ids:
            raise ModelFormatError(
                f"{folder}: expected the language token '__{default}__' among the special tokens, "
                f"found {len(ids)} language tokens"
            )
        self.languages = LanguageTokens(ids, self._end_id, default, language_first=True)

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [list(self._encode_one(text)) for text in texts]


def _with_languages_first(folder: Path) -> SpecialTokens:
    """The special tokens in the order of their ids: languages follow the vocabulary, whatever other
    tokens a folder lists before them."""
    special = read_special_tokens(folder, DEFAULT_TOKENS)
    named = sorted(special.named, key=lambda token: not _LANGUAGE.fullmatch(token.content))
    return dataclasses.replace(special, named=tuple(named))
