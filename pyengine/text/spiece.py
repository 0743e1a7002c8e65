"""The tokenizer of our reference models: one SentencePiece model whose ids are the model's ids.

Written by tools/reference, ``model_type`` "transformer". The oracle is the sentencepiece library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.text.sentencepiece_model import SentencePieceModel
from pyengine.text.tokenizer import Tokenizer

FILES = ("spiece.model",)


class SpieceTokenizer(Tokenizer):
    """SentencePiece ids with the end token; decoding drops padding, start, end and unknown tokens.

    Args:
        folder: holds :data:`FILES`.
        raw_config: ``config.json``; its ``vocab_size`` and ``eos_token_id``, where it has them,
            must fit the SentencePiece model.

    Raises:
        ModelFormatError: the file is damaged, has no end token, or is not this model's.
    """

    def __init__(self, folder: Path, raw_config: dict[str, Any]) -> None:
        path = folder / "spiece.model"
        self._spm = SentencePieceModel(path)
        self._end_id = self._spm.end_id
        if self._end_id < 0:
            raise ModelFormatError(f"{path}: expected a model with an end token, found none")
        vocab_size = raw_config.get("vocab_size")
        if isinstance(vocab_size, int) and len(self._spm) > vocab_size:
            raise ModelFormatError(
                f"{path}: expected at most the {vocab_size} pieces of config.json, "
                f"found {len(self._spm)}"
            )
        end_id = raw_config.get("eos_token_id")
        end_ids = end_id if isinstance(end_id, list) else [end_id]
        if end_id is not None and self._end_id not in end_ids:
            raise ModelFormatError(
                f"{path}: expected the eos_token_id {end_id} of config.json as the end token, "
                f"found {self._end_id}"
            )
        self._kept = set(range(len(self._spm))) - self._spm.special_ids

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [[*self._spm.ids(text), self._end_id] for text in texts]

    def _decode(self, sequences: list[list[int]]) -> list[str]:
        return [self._spm.join([i for i in ids if i in self._kept]) for ids in sequences]
