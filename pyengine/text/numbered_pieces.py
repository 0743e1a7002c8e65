"""The tokenizers of folders with a SentencePiece model alone, whose own numbers give the ids: T5,
mT5, Pegasus, XLM-RoBERTa, mBART, mBART-50 and NLLB.

Where the folder holds a ``tokenizer.json`` too, that is used, as by transformers. Languages are
those that the configuration lists among the special tokens.

Source: the classes of these names in transformers 4.57.6 that need no ``tokenizer.json``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.text.multilingual import fairseq_languages, is_language
from pyengine.text.pieces import DEFAULT_TOKENS, WORD_START, PieceTokenizer, Side, read_settings
from pyengine.text.sentencepiece_model import SentencePieceModel
from pyengine.text.special_tokens import AddedToken, SpecialTokens, read_special_tokens
from pyengine.text.tokenizer import TypedIds

T5_FILES = PEGASUS_FILES = ("spiece.model",)
FAIRSEQ_FILES = ("sentencepiece.bpe.model",)

_SENTINEL = "<extra_id_"
_PEGASUS_OFFSET = 103
_MOST_TOKENS = 10_000
"""That a configuration may add by a number; 103 are the most we know of."""
_FAIRSEQ_IDS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
_FAIRSEQ_TOKENS = {
    **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"},
    **{"pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"},
}
_NO_DUMMY_PREFIX = b"\x1a\x02\x18\x00"
"""``normalizer_spec`` { ``add_dummy_prefix``: false } of a serialised model: what is appended to
one overrides it, as always in protocol buffers."""


class T5PieceTokenizer(PieceTokenizer):
    """T5's ``spiece.model``: its ids, then those of the sentinels, ``<extra_id_0>`` the last.

    Args:
        folder: holds :data:`T5_FILES`.

    Raises:
        ModelFormatError: a file is damaged.
        UnsupportedModelError: the configuration asks SentencePiece for something out of the
            ordinary, such as sampling.
    """

    def __init__(self, folder: Path) -> None:
        settings = read_settings(folder)
        self._legacy = settings.get("legacy") in (None, True)
        self._prefix = "" if settings.get("add_prefix_space") is False else WORD_START
        path = folder / T5_FILES[0]
        model = SentencePieceModel(path, b"" if self._legacy else _NO_DUMMY_PREFIX)
        special = _with_sentinels(read_special_tokens(folder, DEFAULT_TOKENS), settings, len(model))
        side = Side(model, model.vocabulary())
        super().__init__(folder, side, side, special)
        self._specials = {token.content for token in special.named}
        self._unknown = special.roles["unk_token"]
        self._unknown_length = len(model.pieces(self._unknown))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        found = (list(self._encode_one(text)) for text in texts)
        # A text that ends with the end token gets no second one.
        return [ids if ids[-1:] == [self._end_id] else [*ids, self._end_id] for ids in found]

    def _tokens_of(self, text: str) -> Iterator[str]:
        if self._legacy or not text:
            return super()._tokens_of(text)
        tokens = list(super()._tokens_of(self._prefix + text.replace(WORD_START, " ")))
        before_special = tokens[:1] == [WORD_START] and set(tokens[1:2]) & self._specials
        return iter(tokens[1:] if before_special else tokens)

    def _pieces_of(self, text: str) -> list[str]:
        if self._legacy or not text.startswith((WORD_START, " ")):
            return super()._pieces_of(text)
        # Without its dummy prefix SentencePiece drops leading spaces; behind a word it cannot.
        return super()._pieces_of(self._unknown + text)[self._unknown_length :]


def _with_sentinels(
    special: SpecialTokens, settings: Mapping[str, Any], num_pieces: int
) -> SpecialTokens:
    """With the sentinels as special tokens, as many as the settings say."""
    listed = [token for token in special.named if token.content.startswith(_SENTINEL)]
    count = len(listed) or _count(settings, "extra_ids", 100)
    sentinels = {
        num_pieces + count - 1 - i: AddedToken(f"{_SENTINEL}{i}>", True, True, special=True)
        for i in range(count)
    }
    named = {token.content: token for token in (*special.named, *sentinels.values())}
    return dataclasses.replace(
        special, named=tuple(named.values()), added={**sentinels, **special.added}
    )


class PegasusPieceTokenizer(PieceTokenizer):
    """Pegasus' ``spiece.model``, its ids moved by 103 for masks and unused tokens.

    Args:
        folder: holds :data:`PEGASUS_FILES`.

    Raises:
        ModelFormatError, UnsupportedModelError: as :class:`T5PieceTokenizer`.
    """

    def __init__(self, folder: Path) -> None:
        settings = read_settings(folder)
        offset = _count(settings, "offset", _PEGASUS_OFFSET)
        model = SentencePieceModel(folder / PEGASUS_FILES[0])
        side = Side(model, {piece: i + offset for piece, i in model.vocabulary().items()})
        special = read_special_tokens(folder, {**DEFAULT_TOKENS, "mask_token": "<mask_2>"})
        super().__init__(folder, side, side, _with_unused(special, settings, offset))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return [[*self._encode_one(text), self._end_id] for text in texts]


def _with_unused(special: SpecialTokens, settings: Mapping[str, Any], offset: int) -> SpecialTokens:
    """With padding, end, masks and unused tokens as the first ids."""
    of_sentences = settings.get("mask_token_sent", "<mask_1>")
    masks = [] if of_sentences is None else [str(of_sentences), special.roles["mask_token"]]
    unused = [f"<unk_{i}>" for i in range(2, offset)]
    first = [special.roles["pad_token"], special.roles["eos_token"], *masks, *unused]
    added = {number: AddedToken(content, special=True) for number, content in enumerate(first)}
    named = {token.content: token for token in (*special.named, *added.values())}
    return dataclasses.replace(
        special, named=tuple(named.values()), added={**special.added, **added}
    )


def _count(settings: Mapping[str, Any], name: str, default: int) -> int:
    value = settings.get(name)
    if value is None:
        return default
    if type(value) is not int or not 0 <= value <= _MOST_TOKENS:
        raise ModelFormatError(
            f"tokenizer_config.json: {name} is {value!r:.60}, expected 0 to {_MOST_TOKENS}"
        )
    return value


class FairseqPieceTokenizer(PieceTokenizer):
    """fairseq's ``sentencepiece.bpe.model``: four special tokens, its pieces from the third one on,
    languages and a mask.

    Args:
        folder: holds :data:`FAIRSEQ_FILES`.
        kind: the class in transformers.

    Raises:
        ModelFormatError: also for a multilingual model whose configuration lists no languages.
        UnsupportedModelError: as :class:`T5PieceTokenizer`.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        settings = read_settings(folder)
        path = folder / FAIRSEQ_FILES[0]
        model = SentencePieceModel(path)
        special = read_special_tokens(folder, _FAIRSEQ_TOKENS)
        pieces = {piece: i + 1 for piece, i in model.vocabulary().items() if i > 0}
        last = [token.content for token in special.named if is_language(token.content)]
        if kind != "NllbTokenizer":  # which has its mask first
            last.append(special.roles["mask_token"])
        ids = {content: len(model) + 1 + i for i, content in enumerate(last)}
        side = Side(model, {**pieces, **_FAIRSEQ_IDS, **ids})
        super().__init__(folder, side, side, special)
        if kind != "XLMRobertaTokenizer":
            added = {content: self._ids[content] for content in self._added}
            self.languages = fairseq_languages(added, settings, kind, path)
        self._start_id = self._ids[special.roles["cls_token"]]

    def _encode(self, texts: list[str]) -> list[list[int]]:
        if self.languages is not None:  # which put the special tokens around
            return [list(self._encode_one(text)) for text in texts]
        return [[self._start_id, *self._encode_one(text), self._end_id] for text in texts]

    def _encode_pair(self, first: str, second: str, limit: int | None) -> TypedIds:
        if self.languages is not None:
            return super()._encode_pair(first, second, limit)
        a, b = list(self._encode_one(first)), list(self._encode_one(second))
        # Of equal lengths these classes cut the second, which the tokenizers library does not.
        while limit is not None and len(a) + len(b) + 4 > limit:
            (a if len(a) > len(b) else b).pop()
        ids = [self._start_id, *a, self._end_id, self._end_id, *b, self._end_id]
        return TypedIds(ids, [0] * len(ids))

    def _join(self, pieces: list[str]) -> str:
        return "".join(pieces).replace(WORD_START, " ").strip()
