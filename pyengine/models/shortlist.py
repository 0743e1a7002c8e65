"""Lexical shortlists: which target ids a translation is chosen from, given its source's ids.

Marian's two files (marian-dev, src/data/shortlist.h). The binary one, as Firefox Translations ships
it::

    six uint64: magic, checksum, first, best, number of offsets, number of entries
    the offsets, uint64: one for each source id, and the end
    the entries, uint32: source id i has entries[offsets[i] : offsets[i + 1]], at most ``best``

The text one, from which Marian makes the other, has a line "target source probability" for every
pair of pieces; a source piece keeps the ``best`` most probable. ``first`` and ``best`` are in its
name, as in "lex.50.100.s2t", or else Marian's defaults.

The candidates of a sentence are the ``first`` lowest ids, the end token, the entries of every id of
its source, and these ids themselves where source and target have one vocabulary, so that names can
be copied.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.errors import ModelFormatError
from pyengine.models.binary_file import Cursor, read_file
from pyengine.models.config import ModelConfig

MAGIC = 0xF11A48D5013417F5
DEFAULT_FIRST = DEFAULT_BEST = 100  # of marian's option --shortlist
_NUMBERS = re.compile(r"\.(\d{1,7})\.(\d{1,7})\.")
_NO_WORD = "NULL"  # what fast_align calls a word without a partner


@dataclass(frozen=True)
class Shortlist:
    """A shortlist in memory, without the ids that a shared vocabulary adds.

    Attributes:
        num_first: the ids below are candidates of every sentence.
        offsets: uint64 [source ids + 1], of each source id in ``entries``.
        entries: uint32, target ids.
    """

    num_first: int
    offsets: np.ndarray
    entries: np.ndarray


def read_binary_shortlist(path: Path) -> Shortlist:
    """Reads a binary shortlist, gzipped or not.

    Raises:
        ModelFormatError: not such a file, or damaged; names the file.
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
    ends = (int(offsets[0]), int(offsets[-1])) if num_offsets else None
    if ends != (0, num_entries) or (offsets[1:] < offsets[:-1]).any():
        raise ModelFormatError(
            f"{path.name}: the offsets do not rise from 0 to the {num_entries} entries"
        )
    return Shortlist(num_first, offsets, entries)


def read_text_shortlist(
    path: Path, source_id: Callable[[str], int], target_id: Callable[[str], int], num_sources: int
) -> Shortlist:
    """Reads a text shortlist, gzipped or not.

    Args:
        source_id, target_id: of a piece; unknown ones have an id too.
        num_sources: ids of the source's vocabulary.

    Raises:
        ModelFormatError: not such a file; names the file and the line.
    """
    numbers = _NUMBERS.search(path.name)
    num_first, num_best = map(int, numbers.groups()) if numbers else (DEFAULT_FIRST, DEFAULT_BEST)
    probabilities: dict[int, dict[int, float]] = defaultdict(dict)
    for number, line in enumerate(read_file(path).splitlines(), 1):
        target, source, probability = _parsed(line, f"{path.name}: line {number}")
        if _NO_WORD in (target, source):
            continue
        of_source, i = probabilities[source_id(source)], target_id(target)
        of_source[i] = max(probability, of_source.get(i, 0.0))
    lists = [_most_probable(probabilities.get(i, {}), num_best) for i in range(num_sources)]
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.uint64)
    entries = np.array([i for ids in lists for i in ids], np.uint32)
    return Shortlist(num_first, offsets, entries)


def _most_probable(probabilities: dict[int, float], count: int) -> list[int]:
    best = heapq.nlargest(count, ((probability, i) for i, probability in probabilities.items()))
    return sorted(i for _, i in best)


def _parsed(line: bytes, where: str) -> tuple[str, str, float]:
    try:
        target, source, probability = line.decode("utf-8").split()
        return target, source, float(probability)
    except ValueError:
        raise ModelFormatError(
            f"{where} is {line[:60]!r}, expected a target piece, a source piece and a probability"
        ) from None


def check_vocabularies(path: Path, shortlist: Shortlist, config: ModelConfig) -> None:
    """Check that the shortlist in the file ``path`` is of the vocabularies of ``config``.

    Raises:
        ModelFormatError: there are other numbers of source ids, or target ids beyond the last.
    """
    # A padding token, the last id, is none of the vocabulary that the shortlist was made for.
    sizes = (config.source_vocab_size - 1, config.source_vocab_size)
    num_sources = len(shortlist.offsets) - 1
    if num_sources not in sizes:
        raise ModelFormatError(
            f"{path.name}: found {num_sources} source ids, expected {sizes[0]} as in the model's "
            "vocabulary"
        )
    largest = max(shortlist.num_first - 1, int(shortlist.entries.max(initial=0)))
    if largest >= config.vocab_size:
        raise ModelFormatError(
            f"{path.name}: found the target id {largest}, the model's vocabulary has "
            f"{config.vocab_size}"
        )
