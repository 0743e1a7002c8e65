"""Tokenizers whose ids are those of a SentencePiece model: our reference models' and Firefox's.

The oracle is the sentencepiece library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.text.sentencepiece_model import SentencePieceModel
from pyengine.text.tokenizer import Tokenizer

SHARED_FILES = ("spiece.model",)
PAIR_FILES = ("source.spm", "target.spm")


class SpieceTokenizer(Tokenizer):
    """SentencePiece ids with the end token; decoding drops padding, start, end and unknown tokens.

    Args:
        source, target: the SentencePiece models of the two sides; often the same file.
        raw_config: ``config.json``; its vocabulary sizes and ``eos_token_id``, where it has them,
            must fit.

    Raises:
        ModelFormatError: a file is damaged, has no end token, or is not this model's.
    """

    def __init__(self, source: Path, target: Path, raw_config: dict[str, Any]) -> None:
        self._source = SentencePieceModel(source)
        self._target = self._source if target == source else SentencePieceModel(target)
        self._end_id = self._source.end_id
        self.unknown_ids = self._source.unknown_ids
        if self._end_id < 0:
            raise ModelFormatError(f"{source}: expected a model with an end token, found none")
        size = raw_config.get("vocab_size")
        # The token table of a converted Marian model has one more row, for padding.
        check_size = _check_exact if raw_config.get("decoder_kind") == "ssru" else _check_most
        check_size(self._source, size)
        check_size(self._target, raw_config.get("decoder_vocab_size", size))
        end_id = raw_config.get("eos_token_id")
        end_ids = end_id if isinstance(end_id, list) else [end_id]
        if end_id is not None and self._end_id not in end_ids:
            raise ModelFormatError(
                f"{source}: expected the eos_token_id {end_id} of config.json as the end token, "
                f"found {self._end_id}"
            )
        self._pieces = range(len(self._target))
        self._dropped = self._target.special_ids

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [[*self._source.ids(text), self._end_id] for text in texts]

    def _decode(self, sequences: list[list[int]]) -> list[str]:
        pieces, dropped = self._pieces, self._dropped
        return [
            self._target.join([i for i in ids if i in pieces and i not in dropped])
            for ids in sequences
        ]


def _check_exact(model: SentencePieceModel, vocab_size: object) -> None:
    if isinstance(vocab_size, int) and len(model) != vocab_size - 1:
        raise ModelFormatError(
            f"{model.path}: expected the {vocab_size - 1} pieces of the model, found {len(model)}"
        )


def _check_most(model: SentencePieceModel, vocab_size: object) -> None:
    if isinstance(vocab_size, int) and len(model) > vocab_size:
        raise ModelFormatError(
            f"{model.path}: expected at most the {vocab_size} pieces of config.json, "
            f"found {len(model)}"
        )
