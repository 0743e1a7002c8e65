"""The lexical shortlist of a model folder, ready for its engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyengine import _core, exits
from pyengine.errors import UnsupportedModelError
from pyengine.models.binary_file import read_file
from pyengine.models.firefox_files import is_binary
from pyengine.models.shortlist import check_vocabularies, read_binary_shortlist, read_text_shortlist
from pyengine.models.source_file import is_source

if TYPE_CHECKING:
    from pyengine.models import ModelFolder

_PAIR, _SHARED = ("source.spm", "target.spm"), "spiece.model"


def load_shortlist(path: Path, model: ModelFolder) -> _core.Shortlist:
    """Read the shortlist ``path`` of ``model``.

    Raises:
        ModelFormatError: it is damaged, or of other vocabularies; names the file.
        UnsupportedModelError: it is a text, and the vocabularies are no SentencePiece models.
    """
    vocabularies = _vocabularies(model)
    if is_binary(path):
        shortlist = read_binary_shortlist(path)
    elif vocabularies is None:
        raise UnsupportedModelError(
            f"{path.name}: a shortlist of pieces needs {' and '.join(_PAIR)}, or {_SHARED}, "
            "whose ids are the model's"
        )
    else:
        with exits.guarded_imports:
            from pyengine.text.sentencepiece_model import SentencePieceModel

        source, target = map(SentencePieceModel, vocabularies)
        shortlist = read_text_shortlist(path, source.id_of, target.id_of, len(source))
    check_vocabularies(path, shortlist, model.config)
    return _core.Shortlist(
        shortlist.num_first,
        shortlist.offsets,
        shortlist.entries,
        shared_vocabulary=vocabularies is not None and _are_equal(*vocabularies),
    )


def _vocabularies(model: ModelFolder) -> tuple[Path, Path] | None:
    """The SentencePiece models whose ids are those of source and target; ``None`` if none are."""
    if model.firefox is not None:
        return model.firefox.source_vocab, model.firefox.target_vocab
    if is_source(model.path / "vocab.json"):  # which has its own ids of the pieces
        return None
    source, target = (model.path / name for name in _PAIR)
    shared = model.path / _SHARED
    if is_source(source) and is_source(target):
        return source, target
    return (shared, shared) if is_source(shared) else None


def _are_equal(a: Path, b: Path) -> bool:
    return a == b or read_file(a) == read_file(b)
