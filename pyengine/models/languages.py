"""Which languages a model folder translates between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError, ModelNotFoundError
from pyengine.models.firefox_files import find_firefox_files
from pyengine.models.json_file import read_optional_json_object
from pyengine.models.language_codes import checked_language, language_tag, primary_language

_CODE = r"[a-z]{2,3}"
_LONG_CODE = rf"{_CODE}(?:_(?:[a-z]{{4}}|[a-z]{{2}}))?"
_PAIRS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:^|[-.])({_LONG_CODE})-({_LONG_CODE})$",
        rf"(?:^|[-_.])({_CODE})[-_]({_CODE})$",
    )
)
"""At the end of a folder's name, as in "opus-mt-en-de", "en-pt_br" and "marian_en_de"."""


def languages_of(folder: Path) -> tuple[str, str] | None:
    """Tags of the source and target language; ``None`` where nothing says them.

    They come from ``source_lang`` and ``target_lang`` of ``tokenizer_config.json``, as MarianMT
    folders have them, from the file names of a Firefox model ("model.enpt.intgemm.alphas.bin"), or
    else from the end of the folder's name.
    """
    settings = _tokenizer_settings(folder)
    return (
        _tags(settings.get("source_lang"), settings.get("target_lang"))
        or _from_firefox(folder)
        or _from_name(folder.absolute().name)
    )


def source_language_of(folder: Path) -> str:
    """The language, without region and script, that a folder's model reads unless told otherwise.

    The first that is there: ``src_lang`` of ``tokenizer_config.json``, as multilingual folders have
    it, its ``source_lang``, the source of :func:`languages_of`, "en".
    """
    settings = _tokenizer_settings(folder)
    for code in (settings.get("src_lang"), settings.get("source_lang")):
        if isinstance(code, str) and (tag := language_tag(code)):
            return primary_language(tag)
    source, _ = languages_of(folder) or ("en", "")
    return primary_language(source)


def told_language(language: Any, source: str | None) -> str | None:
    """The language, without region and script, that a call says its texts are in.

    Args:
        language: what the call says of the text, in any form of code; ``None``: nothing.
        source: what it says to the model, as the model calls it.

    Raises:
        InputTypeError, OptionError: ``language`` is no language's code.
    """
    if language is not None:
        return primary_language(checked_language("language", language))
    tag = language_tag(source) if source else None
    return primary_language(tag) if tag else None


def _tokenizer_settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    try:
        return read_optional_json_object(path)
    except (ModelFormatError, ModelNotFoundError):  # it is reported where the tokenizer is loaded
        return {}


def _tags(source: Any, target: Any) -> tuple[str, str] | None:
    if not (isinstance(source, str) and isinstance(target, str)):
        return None
    tags = language_tag(source), language_tag(target)
    return (tags[0], tags[1]) if tags[0] and tags[1] else None


def _from_firefox(folder: Path) -> tuple[str, str] | None:
    try:
        files = find_firefox_files(folder)
    except (ModelFormatError, ModelNotFoundError):  # reported where the model is loaded
        return None
    return files.languages if files else None


def _from_name(name: str) -> tuple[str, str] | None:
    return next(_named_pairs(name.lower()), None)


def _named_pairs(name: str) -> Iterator[tuple[str, str]]:
    for pattern in _PAIRS:
        if (found := pattern.search(name)) and (pair := _tags(found[1], found[2])):
            yield pair
