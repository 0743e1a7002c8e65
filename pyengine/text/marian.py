"""The tokenizer of MarianMT (OPUS-MT) folders: two SentencePiece models over one vocabulary file.

``source.spm`` cuts the text and ``vocab.json`` numbers the pieces; ``target.spm`` joins them again.
Folders with ``separate_vocabs`` number
the target pieces by ``target_vocab.json``.

Source: ``MarianTokenizer`` in transformers 4.57.6. It does not normalise punctuation as it encodes
(its ``normalize`` is there, but nothing calls it), so neither do we.
"""

from __future__ import annotations

import re
from pathlib import Path

from pyengine.text.language_tokens import TargetPrefixes
from pyengine.text.pieces import PieceTokenizer, read_settings, read_side

FILES = ("source.spm", "target.spm", "vocab.json")

_CODE = re.compile(r">>([^<>]+)<<")


class MarianTokenizer(PieceTokenizer):
    """MarianMT's text to ids and ids to text.

    Text that starts with ``>>`` is a language code up to the next ``<<``, looked up whole in the
    vocabulary; this happens again after every special token in the text.

    Args:
        folder: holds :data:`FILES`, and ``target_vocab.json`` if the vocabularies are separate.

    Raises:
        ModelFormatError: a file is damaged, or the vocabulary lacks the unknown or padding token.
        UnsupportedModelError: the configuration asks SentencePiece for something out of the
            ordinary, such as sampling.
    """

    def __init__(self, folder: Path) -> None:
        settings = read_settings(folder)
        source = read_side(folder, "source.spm", "vocab.json")
        target_vocab = "target_vocab.json" if settings.get("separate_vocabs") else "vocab.json"
        super().__init__(folder, source, read_side(folder, "target.spm", target_vocab))
        codes = [code for piece in source.vocab if (code := _CODE.fullmatch(piece))]
        if codes:
            self.languages = TargetPrefixes({code[1]: f"{code[0]} " for code in codes})

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [[*self._encode_one(text), self._end_id] for text in texts]

    def _pieces_of(self, text: str) -> list[str]:
        code, rest = _split_language_code(text)
        return [*code, *super()._pieces_of(rest)]


def _split_language_code(text: str) -> tuple[list[str], str]:
    """``">>fra<< Hello"`` as ``([">>fra<<"], " Hello")``; no code gives an empty list."""
    end = text.find("<<") if text.startswith(">>") else -1
    return ([], text) if end == -1 else ([text[: end + 2]], text[end + 2 :])
