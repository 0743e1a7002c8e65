"""The tokenizer of MarianMT (OPUS-MT) folders: two SentencePiece models over one vocabulary file.

``source.spm`` cuts the text and ``vocab.json`` numbers the pieces; ``target.spm`` joins them again.
The numbers inside the SentencePiece models mean nothing. Folders with ``separate_vocabs`` number
the target pieces by ``target_vocab.json``.

Source: ``MarianTokenizer`` in transformers 4.57.6. It does not normalise punctuation as it encodes
(its ``normalize`` is there, but nothing calls it), so neither do we.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.text.added_tokens import AddedTokenSplitter
from pyengine.text.json_file import read_optional_json_object, read_vocabulary
from pyengine.text.sentencepiece_model import SentencePieceModel
from pyengine.text.special_tokens import (
    AddedToken,
    SpecialTokens,
    clean_up_spaces,
    read_special_tokens,
)
from pyengine.text.tokenizer import Tokenizer

FILES = ("source.spm", "target.spm", "vocab.json")

_DEFAULT_TOKENS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_WORD_START = "\u2581"  # SentencePiece's mark for a space


class MarianTokenizer(Tokenizer):
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
        settings = read_optional_json_object(folder / "tokenizer_config.json")
        if settings.get("sp_model_kwargs"):
            raise UnsupportedModelError(
                f"{folder / 'tokenizer_config.json'}: expected no sp_model_kwargs, "
                f"found {settings['sp_model_kwargs']!r}"
            )
        self._source_spm = SentencePieceModel(folder / "source.spm")
        self._target_spm = SentencePieceModel(folder / "target.spm")
        source_vocab = read_vocabulary(folder / "vocab.json")
        target_vocab = source_vocab
        if settings.get("separate_vocabs"):
            target_vocab = read_vocabulary(folder / "target_vocab.json")
        special = read_special_tokens(folder, _DEFAULT_TOKENS)
        for role in ("unk_token", "pad_token"):
            if special.roles[role] not in source_vocab:
                raise ModelFormatError(
                    f"{folder / 'vocab.json'}: expected the {role} {special.roles[role]!r}, "
                    "found no such token"
                )
        self._set_up_encoding(special, source_vocab)
        self._set_up_decoding(special, target_vocab)

    def _set_up_encoding(self, special: SpecialTokens, vocab: dict[str, int]) -> None:
        """Number the added tokens; the ids of special tokens are those of the source side."""
        added = {token.content: token for token in special.added.values()}
        ids = {**vocab, **{token.content: number for number, token in special.added.items()}}
        next_id = len(ids)
        for token in special.named:
            added.setdefault(token.content, token)
            if token.content not in ids:
                ids[token.content] = next_id
                next_id += 1
        self._added: dict[str, AddedToken] = added
        self._ids = ids
        self._unknown_id = vocab[special.roles["unk_token"]]
        self._end_id = ids.get(special.roles["eos_token"], self._unknown_id)
        split_at = () if special.split_special_tokens else added.values()
        self._splitter = AddedTokenSplitter(split_at)

    def _set_up_decoding(self, special: SpecialTokens, target_vocab: dict[str, int]) -> None:
        """Give every id its piece; an id that decoding drops has none."""
        dropped = {token.content for token in special.named}
        pieces = {number: piece for piece, number in target_vocab.items()}
        pieces.update((self._ids[content], content) for content in self._added)
        self._pieces = {number: piece for number, piece in pieces.items() if piece not in dropped}
        # Added tokens that are not special stand in the decoded text as they are, between spaces.
        self._kept_whole = set(self._added) - dropped
        self._clean_up = special.clean_up_spaces

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [[*self._encode_one(text), self._end_id] for text in texts]

    def _encode_one(self, text: str) -> Iterator[int]:
        for part in self._splitter.split(text):
            if self._splitter.is_token(part):
                yield self._ids[part]
                continue
            code, rest = _split_language_code(part)
            for piece in [*code, *self._source_spm.pieces(rest)]:
                yield self._ids.get(piece, self._unknown_id)

    def _decode(self, sequences: list[list[int]]) -> list[str]:
        return [self._decode_one(ids) for ids in sequences]

    def _decode_one(self, ids: list[int]) -> str:
        parts: list[str] = []
        run: list[str] = []  # the pieces since the last token that is kept whole
        for piece in (self._pieces[number] for number in ids if number in self._pieces):
            if piece not in self._kept_whole:
                run.append(piece)
                continue
            if text := self._join(run):
                parts.append(text)
            parts.append(piece)
            run = []
        if run:  # here transformers also keeps an empty text, so a space may end the whole
            parts.append(self._join(run))
        text = " ".join(parts)
        return clean_up_spaces(text) if self._clean_up else text

    def _join(self, pieces: list[str]) -> str:
        return self._target_spm.join(pieces).replace(_WORD_START, " ").strip()


def _split_language_code(text: str) -> tuple[list[str], str]:
    """``">>fra<< Hello"`` as ``([">>fra<<"], " Hello")``; no code gives an empty list."""
    end = text.find("<<") if text.startswith(">>") else -1
    return ([], text) if end == -1 else ([text[: end + 2]], text[end + 2 :])
