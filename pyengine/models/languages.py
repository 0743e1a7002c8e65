"""Which languages a model folder translates between."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pyengine.errors import InputTypeError, ModelFormatError, ModelNotFoundError, OptionError
from pyengine.models.firefox_files import find_firefox_files
from pyengine.models.folder import read_json_object

_PAIR = re.compile(r"(?:^|[-_.])([a-z]{2,3})[-_]([a-z]{2,3})$")
"""At the end of a folder's name, as in "opus-mt-en-de"."""


def primary_language(code: str) -> str:
    """The language of a code with or without a region or script: "pt" for "pt_BR" and "PT"."""
    return re.split(r"[-_]", code.strip().lower())[0]


def checked_language(name: str, code: Any) -> str:
    """The language of a code that a caller gave.

    Raises:
        InputTypeError: no string.
        OptionError: not of ASCII letters, as all codes are.
    """
    if not isinstance(code, str):
        raise InputTypeError(
            f"{name}: expected the code of a language, found {type(code).__name__}"
        )
    if not code.isascii():
        raise OptionError(f"{name}: found {code!r:.60}, expected the code of a language")
    return primary_language(code)


def languages_of(folder: Path) -> tuple[str, str] | None:
    """Codes of the source and target language; ``None`` where nothing says them.

    They come from ``source_lang`` and ``target_lang`` of ``tokenizer_config.json``, as MarianMT
    folders have them, from the file names of a Firefox model ("model.enpt.intgemm.alphas.bin"), or
    else from the end of the folder's name.
    """
    return (
        _from_tokenizer_config(folder)
        or _from_firefox(folder)
        or _from_name(folder.absolute().name)
    )


def _from_tokenizer_config(folder: Path) -> tuple[str, str] | None:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    try:
        config = read_json_object(path)
    except ModelFormatError:  # it is reported where the tokenizer is loaded
        return None
    source, target = config.get("source_lang"), config.get("target_lang")
    if not (isinstance(source, str) and source and isinstance(target, str) and target):
        return None
    return primary_language(source), primary_language(target)


def _from_firefox(folder: Path) -> tuple[str, str] | None:
    try:
        files = find_firefox_files(folder)
    except (ModelFormatError, ModelNotFoundError):  # reported where the model is loaded
        return None
    return files.languages if files else None


def _from_name(name: str) -> tuple[str, str] | None:
    pair = _PAIR.search(name.lower())
    return (pair[1], pair[2]) if pair else None
