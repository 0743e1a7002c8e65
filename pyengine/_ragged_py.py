"""Ragged arrays of token ids, in plain Python and NumPy: the twin of ``_ragged.pyx``, its oracle.

A *ragged array* is ``n`` sequences of token ids laid end to end:

* ``values``  int32 ``[total]``, all ids,
* ``offsets`` int64 ``[n + 1]``, from 0 to ``total``, never decreasing; sequence ``i`` is
  ``values[offsets[i]:offsets[i + 1]]`` and may be empty.

An *order* is an int64 ``[n]`` permutation: place ``k`` of the new arrangement holds the old
sequence ``order[k]``.

Callers import ``pyengine._ragged``, which has the same names and gives the same results and errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyengine.errors import InputError, InputTypeError

__all__ = ["group", "length_order", "pack", "permute", "unpack"]

MAX_VOCAB_SIZE = 2**31
"""Ids are stored as int32, so the largest id is ``2**31 - 1``."""

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]


def pack(sequences: Sequence[Sequence[int]], vocab_size: int) -> tuple[Ids, Offsets]:
    """Lay sequences of token ids end to end, and check every id.

    Args:
        sequences: ``n`` sequences, each a list, a tuple, a one-dimensional NumPy array or another
            ``collections.abc.Sequence``; both the outer and the inner ones may be empty.
        vocab_size: ids are allowed from 0 to ``vocab_size - 1``; 1 to 2**31.

    Returns:
        ``(values, offsets)``, int32 ``[total]`` and int64 ``[n + 1]``.

    Raises:
        InputTypeError: an id is not an ``int`` or a NumPy integer (``bool`` is neither), or a
            sequence is no sequence of ids (text, bytes, a number, an array of two dimensions).
        InputError: an id is out of range, or ``vocab_size`` is.

    The first fault in reading order is reported, with its item, position, value and the range.

    >>> pack([[7, 2], [], (5,)], vocab_size=10)
    (array([7, 2, 5], dtype=int32), array([0, 2, 2, 3]))
    """
    check_vocab_size(vocab_size)
    values: list[int] = []
    offsets = [0]
    for item, sequence in enumerate(check_batch(sequences)):
        for position, value in enumerate(check_sequence(sequence, item)):
            if not is_id(value):
                raise_not_an_id(item, position, value, vocab_size)
            if not 0 <= value < vocab_size:
                raise_out_of_range(item, position, value, vocab_size)
            values.append(int(value))
        offsets.append(len(values))
    return np.array(values, dtype=np.int32), np.array(offsets, dtype=np.int64)


def unpack(values: ArrayLike, offsets: ArrayLike) -> list[list[int]]:
    """Cut a ragged array into lists of Python ints, the inverse of :func:`pack`.

    Args:
        values: integers ``[total]``.
        offsets: integers ``[n + 1]``.

    Raises:
        InputTypeError: an array is not one-dimensional or not of integers.
        InputError: the offsets do not rise from 0 to ``total``.

    >>> unpack([7, 2, 5], [0, 2, 2, 3])
    [[7, 2], [], [5]]
    """
    ids, bounds = check_ragged(values, offsets)
    flat = ids.tolist()
    ends = bounds.tolist()
    return [flat[start:end] for start, end in itertools.pairwise(ends)]


def length_order(offsets: ArrayLike) -> NDArray[np.int64]:
    """The order that puts long sequences first; equal lengths keep their order.

    Args:
        offsets: integers ``[n + 1]``.

    Returns:
        int64 ``[n]``, a permutation of ``0 .. n - 1``.

    Raises:
        InputTypeError: ``offsets`` is not one-dimensional or not of integers.
        InputError: the offsets do not start at 0, or decrease.

    >>> length_order([0, 2, 2, 5, 7])
    array([2, 0, 3, 1])
    """
    bounds = check_offsets(offsets)
    return np.argsort(-np.diff(bounds), kind="stable").astype(np.int64, copy=False)


def permute(values: ArrayLike, offsets: ArrayLike, order: ArrayLike) -> tuple[Ids, Offsets]:
    """Arrange the sequences of a ragged array anew: place ``k`` gets sequence ``order[k]``.

    Args:
        values: integers ``[total]``.
        offsets: integers ``[n + 1]``.
        order: integers ``[n]``, a permutation of ``0 .. n - 1``.

    Returns:
        New ``(values, offsets)``, int32 ``[total]`` and int64 ``[n + 1]``.

    Raises:
        InputTypeError: an array is not one-dimensional or not of integers.
        InputError: the offsets do not rise from 0 to ``total``, or ``order`` is no permutation.

    >>> permute([7, 2, 5], [0, 2, 2, 3], [2, 0, 1])
    (array([5, 7, 2], dtype=int32), array([0, 1, 3, 3]))
    """
    ids, bounds = check_ragged(values, offsets)
    places = check_order(order, len(bounds) - 1)
    new_values: list[int] = []
    new_offsets = [0]
    for source in places:
        new_values.extend(ids[bounds[source] : bounds[source + 1]])
        new_offsets.append(len(new_values))
    return np.array(new_values, dtype=np.int32), np.array(new_offsets, dtype=np.int64)


def group(
    values: ArrayLike, offsets: ArrayLike, scores: ArrayLike, per_source: int, order: ArrayLike
) -> list[list[tuple[list[int], float]]]:
    """Give every source its n-best list, in the order the sources had before :func:`permute`.

    The engine saw source ``order[k]`` at place ``k``, and wrote its ``per_source`` hypotheses,
    best first, as the sequences ``k * per_source`` to ``(k + 1) * per_source - 1``.

    Args:
        values: integers ``[total]``, the ids of all hypotheses.
        offsets: integers ``[n * per_source + 1]``.
        scores: floats ``[n * per_source]``.
        per_source: hypotheses per source, at least 1.
        order: integers ``[n]``, the permutation that was given to :func:`permute`.

    Returns:
        ``n`` lists, the one of source ``i`` at place ``i``, each of ``per_source`` pairs
        ``(ids, score)``, best first.

    Raises:
        InputTypeError: an array is not one-dimensional or not of numbers of its kind.
        InputError: the lengths do not fit together, or ``order`` is no permutation.

    >>> group([7, 8, 9], [0, 1, 3], [-0.5, -0.25], 1, [1, 0])
    [[([8, 9], -0.25)], [([7], -0.5)]]
    """
    ids, bounds = check_ragged(values, offsets)
    points, places = check_group(len(bounds) - 1, scores, per_source, order)
    flat, ends, score_list = ids.tolist(), bounds.tolist(), points.tolist()
    result: list[list[tuple[list[int], float]]] = [[] for _ in places]
    for place, source in enumerate(places.tolist()):
        hypotheses = range(place * per_source, (place + 1) * per_source)
        result[source] = [(flat[ends[h] : ends[h + 1]], score_list[h]) for h in hypotheses]
    return result


# Checks, shared with _ragged.pyx so that both report a fault in the same words.


def check_vocab_size(vocab_size: int) -> None:
    """Raise InputTypeError or InputError unless ``vocab_size`` is an integer from 1 to 2**31."""
    if not is_id(vocab_size):
        raise InputTypeError(f"vocab_size: expected an integer, found {_describe(vocab_size)}")
    if not 1 <= vocab_size <= MAX_VOCAB_SIZE:
        raise InputError(f"vocab_size is {vocab_size}; expected 1 to {MAX_VOCAB_SIZE}")


def check_batch(sequences: Any) -> Any:
    """Return ``sequences`` if it is a sequence that is not text, else raise InputTypeError."""
    if not _is_sequence(sequences):
        raise InputTypeError(
            f"expected a list of sequences of token ids, found {_describe(sequences)}"
        )
    return sequences


def check_sequence(sequence: Any, item: int) -> Any:
    """Return ``sequence`` if it can hold ids, else raise InputTypeError that names ``item``."""
    if not _is_sequence(sequence) or (isinstance(sequence, np.ndarray) and sequence.ndim != 1):
        raise InputTypeError(
            f"item {item}: expected a sequence of token ids, found {_describe(sequence)}"
        )
    return sequence


def is_id(value: object) -> bool:
    """Whether ``value`` is an integer: ``int`` or NumPy's, but no truth value and no duration."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def raise_not_an_id(item: int, position: int, value: object, vocab_size: int) -> NoReturn:
    """Raise the InputTypeError for a value that is no integer."""
    raise InputTypeError(
        f"item {item}, position {position}: expected a token id, an integer from 0 to "
        f"{vocab_size - 1}, found {_describe(value)}"
    )


def raise_out_of_range(item: int, position: int, value: int, vocab_size: int) -> NoReturn:
    """Raise the InputError for an integer outside the vocabulary."""
    number = int(value)
    shown = str(number) if abs(number) < 10**20 else "of more than 20 digits"
    raise InputError(
        f"item {item}, position {position}: token id {shown} is out of range; "
        f"expected 0 to {vocab_size - 1}"
    )


def check_offsets(offsets: ArrayLike) -> Offsets:
    """Return ``offsets`` as contiguous int64 ``[n + 1]`` after checking that it rises from 0."""
    bounds = _integers(offsets, "offsets", np.int64)
    if len(bounds) == 0 or bounds[0] != 0:
        found = "none" if len(bounds) == 0 else f"{bounds[0]} first"
        raise InputError(f"offsets: expected n + 1 numbers that start at 0, found {found}")
    if (bounds[1:] < bounds[:-1]).any():
        place = int(np.argmax(bounds[1:] < bounds[:-1]))
        raise InputError(
            f"offsets: expected no decrease, found {bounds[place]} then {bounds[place + 1]} "
            f"at {place} and {place + 1}"
        )
    return bounds


def check_ragged(values: ArrayLike, offsets: ArrayLike) -> tuple[Ids, Offsets]:
    """Return contiguous ``(values, offsets)``, int32 and int64, after checking that they fit."""
    ids = _integers(values, "values", np.int32)
    bounds = check_offsets(offsets)
    if bounds[-1] != len(ids):
        raise InputError(f"offsets: expected {len(ids)} (the ids) last, found {bounds[-1]}")
    return ids, bounds


def check_order(order: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return ``order`` as contiguous int64 ``[count]`` after checking that it is a permutation."""
    places = _integers(order, "order", np.int64)
    if len(places) != count:
        raise InputError(f"order: expected {count} places, found {len(places)}")
    seen = np.zeros(count, dtype=bool)
    if count and (places.min() < 0 or places.max() >= count):
        raise InputError(f"order: expected places from 0 to {count - 1}, found others")
    seen[places] = True
    if not seen.all():
        raise InputError(f"order: expected a permutation, but {int(np.argmin(seen))} is missing")
    return places


def check_group(
    hypotheses: int, scores: ArrayLike, per_source: int, order: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return ``(scores, order)``, float64 and int64, after checking them against the hypotheses."""
    if per_source < 1 or hypotheses % per_source:
        raise InputError(
            f"per_source is {per_source}; expected a divisor of the {hypotheses} hypotheses"
        )
    points = np.asarray(scores)
    if points.ndim != 1 or (points.size and points.dtype.kind not in "fiu"):
        raise InputTypeError(f"scores: expected an array of floats, found {_describe(points)}")
    if len(points) != hypotheses:
        raise InputError(f"scores: expected {hypotheses}, one a hypothesis, found {len(points)}")
    return points.astype(np.float64), check_order(order, hypotheses // per_source)


_NO_IDS = (str, bytes, bytearray, memoryview)
"""Sequences in Python's eyes, but no list of ids."""


def _is_sequence(thing: object) -> bool:
    if isinstance(thing, np.ndarray):
        return thing.ndim >= 1
    return isinstance(thing, Sequence) and not isinstance(thing, _NO_IDS)


def _integers(array: ArrayLike, name: str, dtype: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """``array`` as a contiguous one-dimensional array of ``dtype``; no value may change by it."""
    given = np.asarray(array)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputTypeError(
            f"{name}: expected a one-dimensional array of integers, found {_describe(given)}"
        )
    result = np.ascontiguousarray(given, dtype=dtype)
    if given.dtype != result.dtype and not np.array_equal(given, result):
        raise InputError(f"{name}: expected numbers that fit {result.dtype}, found larger ones")
    return result


def _describe(thing: object) -> str:
    """A short account of an unexpected object, never longer than a line."""
    if isinstance(thing, np.ndarray):
        return f"an array of {thing.dtype}, shape {thing.shape}"
    if isinstance(thing, (bool, float, str, bytes, np.generic)) or thing is None:
        shown = repr(thing if not isinstance(thing, (str, bytes)) else thing[:40])
        return f"{shown} ({type(thing).__name__})"
    return f"an object of type {type(thing).__name__}"
