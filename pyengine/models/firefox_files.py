"""Which files a Firefox Translations (Bergamot) folder holds; each may be gzipped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pyengine.errors import ModelFormatError, ModelNotFoundError
from pyengine.models.language_codes import language_tag
from pyengine.models.source_file import names_in

# The endings of a model file, best first: int8 with the activations' multipliers, int8, float32.
_MODELS = (".intgemm.alphas.bin", ".intgemm8.bin", ".bin", ".npz")
# Those of a shortlist, best first: Marian's binary form, which is read at once, and its text.
_SHORTLISTS = (".bin", ".s2t", ".txt")
_CODE = re.compile(r"[a-z]{2,3}(?:_(?:[a-z]{4}|[a-z]{2}))?")


@dataclass(frozen=True)
class FirefoxFiles:
    """The files of a folder.

    Attributes:
        model: ``model*.bin`` or ``model*.npz``.
        source_vocab, target_vocab: SentencePiece models; one file where the languages share it.
        shortlist: ``lex*.bin``, ``lex*.s2t`` or ``lex*.txt``; ``None`` without one.
    """

    model: Path
    source_vocab: Path
    target_vocab: Path
    shortlist: Path | None

    @property
    def languages(self) -> tuple[str, str] | None:
        """The tags that the model's name says, as in "model.enpt.intgemm.alphas.bin", or else that
        of its folder, as in "enzh_hant".
        """
        words = [*self.model.name.lower().split(".")[1:], self.model.absolute().parent.name]
        with_english = (pair for word in words for pair in _pairs(word) if "en" in pair)
        plain = _pairs(words[0]) if len(words[0]) == 4 else []
        return next(with_english, None) or next(iter(plain), None)  # Mozilla's all have English


def find_firefox_files(folder: Path) -> FirefoxFiles | None:
    """The files of a Firefox folder; ``None`` where no file is a Marian model, or where a
    config.json says what the folder holds (other engines call their files model.bin too).

    Raises:
        ModelNotFoundError: a model is there, but no vocabulary.
        ModelFormatError: several files could be the same one.
    """
    names = names_in(folder) if folder.is_dir() else []
    if "config.json" in names:
        return None
    for ending in _MODELS:
        if model := _only(folder, [name for name in names if _is(name, "model", ending)]):
            break
    else:
        return None

    def vocab(prefix: str) -> Path | None:
        return _only(folder, [name for name in names if _is(name, prefix, ".spm")])

    shared = vocab("vocab")
    source, target = vocab("srcvocab") or shared, vocab("trgvocab") or shared
    if source is None or target is None:
        raise ModelNotFoundError(
            f"{str(folder)!r} holds {model.name}, but lacks vocab*.spm, or srcvocab*.spm and "
            "trgvocab*.spm"
        )
    return FirefoxFiles(model, source, target, find_shortlist(folder))


def find_shortlist(folder: Path) -> Path | None:
    """The lexical shortlist of any model folder: ``lex*.bin``, else ``lex*.s2t`` or ``lex*.txt``.

    Raises:
        ModelFormatError: there are several of a kind.
    """
    names = names_in(folder)
    for ending in _SHORTLISTS:
        if found := _only(folder, [name for name in names if _is(name, "lex", ending)]):
            return found
    return None


def _pairs(word: str) -> list[tuple[str, str]]:
    """The pairs of tags that a word may mean: "enzh_hant" is "en" and "zh-Hant"."""
    halves = [(word[:i], word[i:]) for i in range(2, len(word) - 1)]
    codes = [half for half in halves if all(map(_CODE.fullmatch, half))]
    tags = [(language_tag(source), language_tag(target)) for source, target in codes]
    return [(source, target) for source, target in tags if source and target]


def is_binary(shortlist: Path) -> bool:
    """Whether the file of a shortlist is Marian's binary one, by its name."""
    return shortlist.name.removesuffix(".gz").endswith(_SHORTLISTS[0])


def _is(name: str, prefix: str, ending: str) -> bool:
    return name.startswith(prefix) and name.removesuffix(".gz").endswith(ending)


def _only(folder: Path, names: list[str]) -> Path | None:
    """The one file; where it is there both plain and gzipped, the plain one."""
    kept = [name for name in names if name.removesuffix(".gz") == name or name[:-3] not in names]
    if len(kept) > 1:
        raise ModelFormatError(f"{str(folder)!r} holds {' and '.join(kept)}, expected one of them")
    return folder / kept[0] if kept else None
