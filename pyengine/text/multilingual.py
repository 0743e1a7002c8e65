"""The tokenizers of mBART, mBART-50, NLLB and MADLAD: a ``tokenizer.json`` with language tokens.

The special tokens around a text depend on the languages of a call, so those that the file itself
adds are not used; MADLAD's one is a prefix of the text.

Source: ``MBartTokenizerFast``, ``MBart50TokenizerFast`` and ``NllbTokenizerFast`` in transformers
4.57.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.json_file import read_optional_json_object
from pyengine.text.fast import FastTokenizer
from pyengine.text.language_tokens import LanguageTokens, TargetPrefixes

_LANGUAGE = re.compile(r"[a-z]{2,3}_(?:[A-Z]{2}|[A-Z][a-z]{3})")
"""en_XX and fr_XX of mBART, fra_Latn of NLLB."""

_MADLAD_LANGUAGE = re.compile(r"<2([a-z]{2,3}(?:_[A-Za-z]+)?)>")

_DEFAULT_SOURCES = {"NllbTokenizer": "eng_Latn"}
_DEFAULT_SOURCE = "en_XX"


class MultilingualTokenizer(FastTokenizer):
    """A ``tokenizer.json`` whose added tokens hold languages.

    Args:
        folder: holds ``tokenizer.json`` and ``tokenizer_config.json``.
        kind: the class in transformers, without "Fast".

    Raises:
        ModelFormatError: a file is damaged, or lacks the default language's or the end token.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder, kind)
        settings = read_optional_json_object(folder / "tokenizer_config.json")
        added = self._tokenizer.get_added_tokens_decoder()
        ids = {token.content: number for number, token in added.items()}
        self.languages = fairseq_languages(ids, settings, kind, self._path)

    def _encode_one(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class T5Tokenizer(FastTokenizer):
    """A ``tokenizer.json`` that may hold the languages of MADLAD, such as ``<2de>``.

    Args:
        folder: holds ``tokenizer.json``.

    Raises:
        ModelFormatError: the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "T5Tokenizer")
        if self._tokenizer.token_to_id("<2en>") is not None:
            found = map(_MADLAD_LANGUAGE.fullmatch, self._tokenizer.get_vocab())
            self.languages = TargetPrefixes({code[1]: f"{code[0]} " for code in found if code})


def fairseq_languages(
    ids: Mapping[str, int], settings: Mapping[str, Any], kind: str, path: Path
) -> LanguageTokens:
    """The languages of mBART, mBART-50 and NLLB.

    Args:
        ids: of the special tokens at least.
        settings: ``tokenizer_config.json``.
        kind: the class in transformers, without "Fast".
        path: of the file that errors name.

    Raises:
        ModelFormatError: the default language or the end token is missing.
    """
    languages = {content: number for content, number in ids.items() if is_language(content)}
    default = str(settings.get("src_lang") or _DEFAULT_SOURCES.get(kind, _DEFAULT_SOURCE))
    if default not in languages or "</s>" not in ids:
        raise ModelFormatError(
            f"{path}: expected the tokens '</s>' and {default!r} among the added ones, "
            f"found {len(languages)} languages"
        )
    last = kind == "MBartTokenizer" or bool(settings.get("legacy_behaviour"))
    return LanguageTokens(languages, ids["</s>"], default, language_first=not last)


def is_language(content: str) -> bool:
    """Whether a special token of mBART, mBART-50 or NLLB is a language."""
    return _LANGUAGE.fullmatch(content) is not None
