# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Ragged arrays of token ids: the loops between Python lists and the engine, compiled.

The plain twin ``_ragged_py.py`` states what each function takes, gives and raises, and is the oracle
in the tests. ``unpack`` and ``group`` are the twin's own: their time goes into making Python ints,
and compiled they were not twice as fast (docs/performance.md).
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

import numpy as np

from pyengine import _ragged_py as twin
from pyengine._ragged_py import group, unpack

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

__all__ = ["group", "length_order", "pack", "permute", "unpack"]

# Longest sequence that is counted in a table of its own (512 kB); beyond it, sorting is as good.
cdef enum:
    MAX_COUNTED_LENGTH = 65535


def pack(sequences, vocab_size):
    """Lay sequences of token ids end to end, and check every id; as ``_ragged_py.pack``."""
    twin.check_vocab_size(vocab_size)
    twin.check_batch(sequences)
    cdef Packer packer = Packer(vocab_size, len(sequences))
    cdef Py_ssize_t item = 0
    for sequence in sequences:
        packer.append(sequence, item)
        item += 1
    return packer.result()


cdef class Packer:
    """The ids and the offsets so far, in arrays that grow."""

    cdef object vocab_size
    cdef int64_t limit          # vocab_size, at most 2**31
    cdef object array           # int32 [capacity]
    cdef int32_t[::1] values    # the same memory
    cdef int64_t total          # ids written
    cdef list ends              # n + 1 offsets

    def __init__(self, vocab_size, Py_ssize_t sequences):
        self.vocab_size = vocab_size
        self.limit = vocab_size
        self.array = np.empty(64 + 32 * sequences, dtype=np.int32)
        self.values = self.array
        self.total = 0
        self.ends = [0]

    cdef append(self, sequence, Py_ssize_t item):
        if type(sequence) is list:
            self.append_list(sequence, item)
        elif isinstance(sequence, np.ndarray) and sequence.ndim == 1 and sequence.dtype.kind in "iu":
            self.append_array(sequence, item)
        else:
            self.append_list(list(twin.check_sequence(sequence, item)), item)
        self.ends.append(self.total)

    cdef append_list(self, list sequence, Py_ssize_t item):
        cdef Py_ssize_t size = PyList_GET_SIZE(sequence), position = 0
        self.reserve(size)
        # The size is read again at each step: converting a foreign integer may run Python code that
        # changes the list.
        while position < size and position < PyList_GET_SIZE(sequence):
            value = <object> PyList_GET_ITEM(sequence, position)
            self.values[self.total] = self.checked(value, item, position)
            self.total += 1
            position += 1

    cdef append_array(self, sequence, Py_ssize_t item):
        # uint64 numbers from 2**63 up turn negative here, so they stay out of range.
        cdef const int64_t[::1] numbers = np.ascontiguousarray(sequence, dtype=np.int64)
        cdef Py_ssize_t position
        self.reserve(numbers.shape[0])
        for position in range(numbers.shape[0]):
            if not 0 <= numbers[position] < self.limit:
                twin.raise_out_of_range(item, position, sequence[position], self.vocab_size)
            self.values[self.total] = <int32_t> numbers[position]
            self.total += 1

    cdef int32_t checked(self, value, Py_ssize_t item, Py_ssize_t position) except -1:
        cdef int overflow = 0
        cdef long long number
        if not PyLong_CheckExact(value):
            if not twin.is_id(value):
                twin.raise_not_an_id(item, position, value, self.vocab_size)
            value = int(value)
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or not 0 <= number < self.limit:
            twin.raise_out_of_range(item, position, value, self.vocab_size)
        return <int32_t> number

    cdef reserve(self, Py_ssize_t more):
        """Make room for ``more`` ids, at least doubling what there was."""
        if self.total + more > self.values.shape[0]:
            grown = np.empty(max(2 * self.values.shape[0], self.total + more), dtype=np.int32)
            grown[: self.total] = self.array[: self.total]
            self.array = grown
            self.values = grown

    cdef result(self):
        return self.array[: self.total].copy(), np.array(self.ends, dtype=np.int64)


cdef const int64_t[::1] checked_offsets(offsets):
    """As the twin's check_offsets, which is left to say what is wrong."""
    cdef const int64_t[::1] bounds
    cdef Py_ssize_t place = 1
    try:
        bounds = offsets
    except (TypeError, ValueError):  # not int64 in one piece
        return twin.check_offsets(offsets)
    while place < bounds.shape[0] and bounds[place - 1] <= bounds[place]:
        place += 1
    if place == bounds.shape[0] and bounds[0] == 0:
        return bounds
    return twin.check_offsets(offsets)


cdef const int64_t[::1] checked_order(order, Py_ssize_t count):
    """As the twin's check_order, which is left to say what is wrong."""
    cdef const int64_t[::1] places
    cdef unsigned char[::1] seen
    cdef Py_ssize_t place = 0
    try:
        places = order
    except (TypeError, ValueError):  # not int64 in one piece
        return twin.check_order(order, count)
    if places.shape[0] == count:
        seen = bytearray(count)
        while place < count and 0 <= places[place] < count and not seen[places[place]]:
            seen[places[place]] = True
            place += 1
        if place == count:
            return places
    return twin.check_order(order, count)


def length_order(offsets):
    """The order that puts long sequences first, stable; as ``_ragged_py.length_order``."""
    cdef const int64_t[::1] bounds = checked_offsets(offsets)
    cdef Py_ssize_t count = bounds.shape[0] - 1, sequence
    cdef int64_t longest = 0, shortfall
    for sequence in range(count):
        longest = max(longest, bounds[sequence + 1] - bounds[sequence])
    if longest > MAX_COUNTED_LENGTH:
        return twin.length_order(offsets)
    # A counting sort: next_place[longest - length] is where the next sequence of that length goes.
    cdef int64_t[::1] next_place = np.zeros(longest + 2, dtype=np.int64)
    result = np.empty(count, dtype=np.int64)
    cdef int64_t[::1] order = result
    for sequence in range(count):
        next_place[longest - (bounds[sequence + 1] - bounds[sequence]) + 1] += 1
    for shortfall in range(longest + 1):
        next_place[shortfall + 1] += next_place[shortfall]
    for sequence in range(count):
        shortfall = longest - (bounds[sequence + 1] - bounds[sequence])
        order[next_place[shortfall]] = sequence
        next_place[shortfall] += 1
    return result


def permute(values, offsets, order):
    """Arrange the sequences of a ragged array anew; as ``_ragged_py.permute``."""
    cdef const int32_t[::1] ids
    try:
        ids = values
    except (TypeError, ValueError):  # not int32 in one piece
        ids = twin.check_ragged(values, offsets)[0]
    cdef const int64_t[::1] bounds = checked_offsets(offsets)
    if bounds[bounds.shape[0] - 1] != ids.shape[0]:
        twin.check_ragged(values, offsets)
    cdef Py_ssize_t count = bounds.shape[0] - 1, place
    cdef const int64_t[::1] places = checked_order(order, count)
    new_values = np.empty(ids.shape[0], dtype=np.int32)
    new_offsets = np.zeros(count + 1, dtype=np.int64)
    cdef int32_t[::1] new_ids = new_values
    cdef int64_t[::1] new_bounds = new_offsets
    cdef int64_t length
    for place in range(count):
        length = bounds[places[place] + 1] - bounds[places[place]]
        new_bounds[place + 1] = new_bounds[place] + length
        if length:
            memcpy(&new_ids[new_bounds[place]], &ids[bounds[places[place]]], length * sizeof(int32_t))
    return new_values, new_offsets
