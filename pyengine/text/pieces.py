"""Tokenizers whose SentencePiece model cuts the text while a vocabulary numbers the pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.json_file import read_json_object, read_optional_json_object
from pyengine.text.added_tokens import AddedTokenSplitter
from pyengine.text.sentencepiece_model import SentencePieceModel
from pyengine.text.special_tokens import (
    AddedToken,
    SpecialTokens,
    clean_up_spaces,
    read_special_tokens,
)
from pyengine.text.tokenizer import Tokenizer

DEFAULT_TOKENS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
WORD_START = "\u2581"  # SentencePiece's mark for a space


class Side(NamedTuple):
    """A language's pieces and their ids, and the file that these come from if not the model's."""

    model: SentencePieceModel
    vocab: dict[str, int]
    vocab_file: Path | None = None

    @property
    def origin(self) -> Path:
        """The file that the ids come from."""
        return self.vocab_file or self.model.path


class PieceTokenizer(Tokenizer):
    """Text to ids and ids to text; a subclass says what it puts around them.

    Args:
        folder: holds the configuration of the special tokens, and ``vocab.json`` or the like.
        source, target: the two sides, often the same.
        special: the special tokens; ``None``: those of the configuration.

    Raises:
        ModelFormatError: the source vocabulary lacks the unknown or padding token.
    """

    def __init__(
        self, folder: Path, source: Side, target: Side, special: SpecialTokens | None = None
    ) -> None:
        self._source_spm, self._target_spm = source.model, target.model
        if special is None:
            special = read_special_tokens(folder, DEFAULT_TOKENS)
        for role in ("unk_token", "pad_token"):
            if special.roles[role] not in source.vocab:
                raise ModelFormatError(
                    f"{source.origin}: expected the {role} {special.roles[role]!r}, found no such "
                    "token"
                )
        self._set_up_encoding(special, source.vocab)
        self._set_up_decoding(special, target.vocab)

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
        self.unknown_ids = frozenset((self._unknown_id,))
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
        self._kept_whole = set(self._added) - dropped if special.spaces_around_added else set()
        self._clean_up = special.clean_up_spaces

    def _encode_one(self, text: str) -> Iterator[int]:
        for token in self._tokens_of(text):
            yield self._ids.get(token, self._unknown_id)

    def _tokens_of(self, text: str) -> Iterator[str]:
        """The added tokens and pieces of a text."""
        for part in self._splitter.split(text):
            if self._splitter.is_token(part):
                yield part
            else:
                yield from self._pieces_of(part)

    def _pieces_of(self, text: str) -> list[str]:
        """The pieces of text without added tokens."""
        return self._source_spm.pieces(text)

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
        return self._target_spm.join(pieces).replace(WORD_START, " ").strip()


def read_settings(folder: Path) -> dict[str, object]:
    """``tokenizer_config.json``.

    Raises:
        UnsupportedModelError: it asks SentencePiece for something out of the ordinary, such as
            sampling.
    """
    path = folder / "tokenizer_config.json"
    settings = read_optional_json_object(path)
    if settings.get("sp_model_kwargs"):
        raise UnsupportedModelError(
            f"{path}: expected no sp_model_kwargs, found {settings['sp_model_kwargs']!r}"
        )
    return settings


def read_side(folder: Path, model: str, vocab: str) -> Side:
    """The files of a side; raises ModelFormatError for a damaged one."""
    return Side(
        SentencePieceModel(folder / model), _read_vocabulary(folder / vocab), folder / vocab
    )


def _read_vocabulary(path: Path) -> dict[str, int]:
    """Token to id, from a ``vocab.json``.

    Raises:
        ModelFormatError: no JSON object, an id that is no integer from 0 to 2**31 - 1, or a token
            with half a surrogate pair, which is no text.
    """
    vocabulary = read_json_object(path)
    try:
        "".join(vocabulary).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ModelFormatError(f"{path}: expected tokens of UTF-8, but: {error}") from error
    for token, number in vocabulary.items():
        if type(number) is not int or not 0 <= number < 2**31:
            raise ModelFormatError(
                f"{path}: expected ids from 0 to {2**31 - 1}, found {number!r} for {token!r}"
            )
    return vocabulary
