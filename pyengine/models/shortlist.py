"""Lexical shortlists: which target ids a translation is chosen from, given its source's ids.

Marian's binary file, as Firefox Translations ships it (marian-dev, src/data/shortlist.h)::

    six uint64: magic, checksum, first, best, number of offsets, number of entries
    the offsets, uint64: one for each source id, and the end
    the entries, uint32: source id i has entries[offsets[i] : offsets[i + 1]], at most ``best``

The candidates of a sentence are the ``first`` lowest ids, the end token, and the entries of every
id of its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.errors import ModelFormatError
from pyengine.models.binary_file import Cursor, read_file
from pyengine.models.config import ModelConfig

MAGIC = 0xF11A48D5013417F5


@dataclass(frozen=True)
class Shortlist:
    """A shortlist in memory.

    Attributes:
        num_first: the ids below are candidates of every sentence.
        offsets: uint64 [source ids + 1], of each source id in ``entries``.
        entries: uint32, target ids.
    """

    num_first: int
    offsets: np.ndarray
    entries: np.ndarray


def read_shortlist(path: Path, config: ModelConfig) -> Shortlist:
    """Reads a binary shortlist, gzipped or not.

    Args:
        config: of the model that it belongs to.

    Raises:
        ModelFormatError: not such a file, damaged, or of other vocabularies; names the file.
    """
    cursor = Cursor(path.name, read_file(path))
    magic, _, num_first, _, num_offsets, num_entries = cursor.integers("the header", "<u8", 6)
    if magic != MAGIC:
        raise ModelFormatError(
            f"{path.name}: not a lexical shortlist: it begins with {magic:#x}, expected {MAGIC:#x}"
        )
    offsets = cursor.array("the offsets", "<u8", num_offsets)
    entries = cursor.array("the entries", "<u4", num_entries)
    cursor.check_end()
    _check_vocabularies(path.name, num_offsets - 1, max(num_first - 1, _largest(entries)), config)
    if offsets[0] != 0 or offsets[-1] != num_entries or (offsets[1:] < offsets[:-1]).any():
        raise ModelFormatError(
            f"{path.name}: the offsets do not rise from 0 to the {num_entries} entries"
        )
    return Shortlist(num_first, offsets, entries)


def _check_vocabularies(name: str, num_sources: int, largest: int, config: ModelConfig) -> None:
    # A padding token, the last id, is none of the vocabulary that the shortlist was made for.
    sizes = (config.source_vocab_size - 1, config.source_vocab_size)
    if num_sources not in sizes:
        raise ModelFormatError(
            f"{name}: found {num_sources} source ids, expected {sizes[0]} as in the model's "
            "vocabulary"
        )
    if largest >= config.vocab_size:
        raise ModelFormatError(
            f"{name}: found the target id {largest}, the model's vocabulary has {config.vocab_size}"
        )


def _largest(entries: np.ndarray) -> int:
    return int(entries.max(initial=0))
