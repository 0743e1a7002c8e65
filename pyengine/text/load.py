"""Which files of a model folder decide which tokenizer it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pyengine.errors import TokenizerMissingError
from pyengine.models.firefox_files import find_firefox_files
from pyengine.models.languages import languages_of
from pyengine.models.sentence_modules import lowercases
from pyengine.models.source_file import is_source
from pyengine.text import fast, m2m_100, marian, multilingual, numbered_pieces, spiece
from pyengine.text.fast_classes import tokenizer_class
from pyengine.text.tokenizer import Tokenizer


class Family(NamedTuple):
    """One kind of tokenizer: the files it needs, and the ``model_type`` if it is for one only."""

    files: tuple[str, ...]
    model_type: str | None
    load: Callable[[Path, dict[str, Any]], Tokenizer]


def _load_shared(folder: Path, config: dict[str, Any]) -> Tokenizer:
    path = folder / spiece.SHARED_FILES[0]
    return spiece.SpieceTokenizer(path, path, config)


def _load_pair(folder: Path, config: dict[str, Any]) -> Tokenizer:
    source, target = (folder / name for name in spiece.PAIR_FILES)
    return spiece.SpieceTokenizer(source, target, config)


def _load_fast(folder: Path, config: dict[str, Any]) -> Tokenizer:
    return fast.FastTokenizer(folder, tokenizer_class(folder, config))


def _load_multilingual(default: str) -> Callable[[Path, dict[str, Any]], Tokenizer]:
    """The class `default` is that of folders which name none, as transformers has it."""

    def load(folder: Path, config: dict[str, Any]) -> Tokenizer:
        kind = tokenizer_class(folder, config, default)
        return multilingual.MultilingualTokenizer(folder, kind)

    return load


def _load_fairseq(default: str) -> Callable[[Path, dict[str, Any]], Tokenizer]:
    def load(folder: Path, config: dict[str, Any]) -> Tokenizer:
        kind = tokenizer_class(folder, config, default)
        return numbered_pieces.FairseqPieceTokenizer(folder, kind)

    return load


def _load_t5(folder: Path, config: dict[str, Any]) -> Tokenizer:
    return numbered_pieces.T5PieceTokenizer(folder)


def _load_pegasus(folder: Path, config: dict[str, Any]) -> Tokenizer:
    return numbered_pieces.PegasusPieceTokenizer(folder)


FAMILIES = (
    # The first row whose files are all there, and whose model_type fits, decides. MarianMT comes
    # before tokenizer.json: some exports carry both, and transformers uses the SentencePiece files.
    Family(marian.FILES, None, lambda folder, config: marian.MarianTokenizer(folder)),
    Family(spiece.SHARED_FILES, "transformer", _load_shared),
    Family(spiece.PAIR_FILES, "transformer", _load_pair),
    Family(m2m_100.FILES, "m2m_100", lambda folder, config: m2m_100.M2M100Tokenizer(folder)),
    Family(fast.FILES, "m2m_100", _load_multilingual("NllbTokenizer")),
    Family(fast.FILES, "mbart", _load_multilingual("MBartTokenizer")),
    Family(fast.FILES, "t5", lambda folder, config: multilingual.T5Tokenizer(folder)),
    Family(fast.FILES, None, _load_fast),
    Family(numbered_pieces.T5_FILES, "t5", _load_t5),
    Family(numbered_pieces.T5_FILES, "mt5", _load_t5),
    Family(numbered_pieces.PEGASUS_FILES, "pegasus", _load_pegasus),
    Family(numbered_pieces.FAIRSEQ_FILES, "xlm-roberta", _load_fairseq("XLMRobertaTokenizer")),
    Family(numbered_pieces.FAIRSEQ_FILES, "mbart", _load_fairseq("MBartTokenizer")),
    Family(numbered_pieces.FAIRSEQ_FILES, "m2m_100", _load_fairseq("NllbTokenizer")),
)


def load_tokenizer(folder: Path, raw_config: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a model folder: Firefox's, or one decided by the table :data:`FAMILIES`.

    Args:
        folder: the model folder; tokenizer files lie at its top.
        raw_config: the contents of ``config.json``.

    Raises:
        TokenizerMissingError: no row of the table has all its files; the message names them.
        ModelFormatError: a tokenizer file is damaged or not this model's; the message names it.
        UnsupportedModelError: the folder asks for what its tokenizer does not do.
    """
    tokenizer = _load(Path(folder), raw_config)
    tokenizer.pair = languages_of(Path(folder))
    return tokenizer


def _load(folder: Path, raw_config: dict[str, Any]) -> Tokenizer:
    if files := find_firefox_files(folder):
        return spiece.SpieceTokenizer(files.source_vocab, files.target_vocab, raw_config)
    for family in FAMILIES:
        if _fits(family, raw_config) and not _missing(family, folder):
            tokenizer = family.load(folder, raw_config)
            if lowercases(folder):
                tokenizer.lowercase()
            return tokenizer
    looked_for = [_account(family, folder) for family in FAMILIES if _fits(family, raw_config)]
    raise TokenizerMissingError(
        f"{folder}: no tokenizer files, so only token ids can be used; "
        f"looked for {'; or '.join(looked_for)}"
    )


def _fits(family: Family, raw_config: dict[str, Any]) -> bool:
    return family.model_type in (None, raw_config.get("model_type"))


def _missing(family: Family, folder: Path) -> list[str]:
    return [name for name in family.files if not is_source(folder / name)]


def _account(family: Family, folder: Path) -> str:
    """The files of a row, and which of them are missing if some are there."""
    missing = _missing(family, folder)
    files = " + ".join(family.files)
    return (
        files if len(missing) == len(family.files) else f"{files} (missing: {', '.join(missing)})"
    )
