"""The compiled ragged functions against their plain twin: same results, same errors, same words."""

from __future__ import annotations

import array
import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyengine import _ragged, _ragged_py
from pyengine.errors import Error, InputError, InputTypeError

VOCAB_SIZE = 50

ids = st.integers(0, VOCAB_SIZE - 1)
id_lists = st.lists(st.lists(ids, max_size=12), max_size=12)


def outcome(function: Any, *arguments: Any) -> Any:
    """The result as nested lists with the dtypes, or the error's type and message."""
    try:
        result = function(*arguments)
    except Error as error:
        return type(error), str(error)
    parts = result if isinstance(result, tuple) else (result,)
    return [(p.dtype, p.tolist()) if isinstance(p, np.ndarray) else p for p in parts]


def both(name: str, *arguments: Any) -> Any:
    """The outcome of the twin, after comparing it with the compiled function's."""
    expected = outcome(getattr(_ragged_py, name), *arguments)
    assert outcome(getattr(_ragged, name), *arguments) == expected
    return expected


def as_kind(kind: str, sequence: list[int]) -> Any:
    """``sequence`` in one of the forms that ``pack`` takes."""
    return {
        "list": lambda: sequence,
        "tuple": lambda: tuple(sequence),
        "numpy scalars": lambda: [np.int16(i) for i in sequence],
        "int64": lambda: np.array(sequence, dtype=np.int64),
        "uint8": lambda: np.array(sequence, dtype=np.uint8),
        "big endian": lambda: np.array(sequence, dtype=">i4"),
        "strided": lambda: np.repeat(np.array(sequence, dtype=np.int32), 2)[::2],
        "object": lambda: np.array(sequence, dtype=object),
        "array": lambda: array.array("l", sequence),
    }[kind]()


KINDS = [
    "list",
    "tuple",
    "numpy scalars",
    "int64",
    "uint8",
    "big endian",
    "strided",
    "object",
    "array",
]


@given(id_lists, st.lists(st.sampled_from(KINDS), min_size=12, max_size=12))
def test_pack_takes_every_form_and_unpack_inverts_it(
    sequences: list[list[int]], kinds: list[str]
) -> None:
    forms = [as_kind(kind, sequence) for kind, sequence in zip(kinds, sequences, strict=False)]
    (value_type, values), (offset_type, offsets) = both("pack", forms, VOCAB_SIZE)
    assert (value_type, offset_type) == (np.int32, np.int64)
    assert values == [i for sequence in sequences for i in sequence]
    assert offsets == [0, *np.cumsum([len(s) for s in sequences], dtype=int).tolist()]
    assert both("unpack", values, offsets) == [[*map(list, sequences)]]


class Oddity(int):
    """A subclass of int is an id; what it prints as is not asked."""

    def __str__(self) -> str:
        return "odd"

    __repr__ = __str__


HOSTILE = [
    -1,
    VOCAB_SIZE,
    2**31,
    2**32 + 3,
    2**63,
    -(2**63) - 1,
    10**30,
    True,
    np.True_,
    1.0,
    np.float32(2),
    np.nan,
    "7",
    b"7",
    None,
    [],
    np.array(3),
    np.timedelta64(3, "s"),
    np.uint64(2**64 - 1),
    np.int8(-1),
    Oddity(7),
    Oddity(-7),
    "long " * 1000,
]


@given(
    st.lists(st.lists(ids | st.sampled_from(HOSTILE), max_size=6), max_size=4),
    st.sampled_from([list, tuple, lambda s: np.array([*s, None], dtype=object)[:-1]]),
)
def test_pack_reports_hostile_values_alike(sequences: list[list[Any]], form: Any) -> None:
    both("pack", [form(sequence) for sequence in sequences], VOCAB_SIZE)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_pack_names_item_position_value_and_range(value: Any) -> None:
    result = both("pack", [[1, 2], [3, value, -5]], VOCAB_SIZE)
    if value == 7 and isinstance(value, int):
        assert result[1].startswith("item 1, position 2: token id -5 ")
        return
    kind, message = result
    wrong_kind = isinstance(value, (bool, np.timedelta64)) or not isinstance(
        value, (int, np.integer)
    )
    assert kind is (InputTypeError if wrong_kind else InputError)
    assert message.startswith("item 1, position 1: ")
    assert "0 to 49" in message
    assert len(message) < 200
    if kind is InputError:
        assert f"token id {int(value)} " in message or abs(int(value)) > 10**20


@pytest.mark.parametrize(
    ("sequences", "start"),
    [
        ("abc", "expected a list of sequences"),
        (b"abc", "expected a list of sequences"),
        (7, "expected a list of sequences"),
        (None, "expected a list of sequences"),
        ({1: 2}, "expected a list of sequences"),
        (iter([[1]]), "expected a list of sequences"),
        (np.array(7), "expected a list of sequences"),
        ([1, 2], "item 0: expected a sequence of token ids, found an object of type int"),
        (np.array([1, 2]), "item 0: expected a sequence of token ids, found np.int64(1)"),
        ([[1], "ab"], "item 1: expected a sequence of token ids, found 'ab' (str)"),
        ([[1], None], "item 1: expected a sequence of token ids, found None"),
        ([[1], {1}], "item 1: expected a sequence of token ids, found an object of type set"),
        ([np.ones((2, 3), int)], "item 0: expected a sequence of token ids, found an array"),
        ([np.array(3)], "item 0: expected a sequence of token ids, found an array"),
        ([np.array([True])], "item 0, position 0: expected a token id"),
        ([np.array([1.5])], "item 0, position 0: expected a token id"),
        ([[1, 2], [[1]]], "item 1, position 0: expected a token id"),
        ([[99], "ab"], "item 0, position 0: token id 99"),
    ],
    ids=str,
)
def test_pack_reports_wrong_structure(sequences: Any, start: str) -> None:
    kind, message = both("pack", sequences, VOCAB_SIZE)
    assert issubclass(kind, Error)
    assert message.startswith(start)


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 3), int)], ids=str)
def test_pack_takes_nothing(empty: Any) -> None:
    assert both("pack", empty, VOCAB_SIZE) == [(np.int32, []), (np.int64, [0])]


def test_pack_takes_empty_sequences_and_an_empty_float_array() -> None:
    expected = [(np.int32, [3]), (np.int64, [0, 0, 1, 1, 1])]
    assert both("pack", [[], [3], (), np.array([])], VOCAB_SIZE) == expected


def test_pack_takes_the_rows_of_a_matrix() -> None:
    matrix = np.arange(6).reshape(2, 3)
    assert both("pack", matrix, 6) == [(np.int32, [0, 1, 2, 3, 4, 5]), (np.int64, [0, 3, 6])]


@pytest.mark.parametrize("size", [0, -1, 2**31 + 1, 1.5, True, None, "9"])
def test_pack_checks_the_vocabulary_size(size: Any) -> None:
    kind, message = both("pack", [[0]], size)
    assert issubclass(kind, Error)
    assert message.startswith("vocab_size")


@pytest.mark.parametrize("value", [-1, VOCAB_SIZE, 2**31, 2**32 + 1, 2**63 - 1, -(2**63)])
def test_pack_checks_arrays_too(value: int) -> None:
    kind, message = both("pack", [[1], np.array([3, VOCAB_SIZE - 1, value])], VOCAB_SIZE)
    assert kind is InputError
    assert message.startswith(f"item 1, position 2: token id {value} ")
    unsigned = np.array([0, 2**64 - 5], dtype=np.uint64)
    assert str(2**64 - 5) in both("pack", [unsigned], VOCAB_SIZE)[1]


def test_pack_reaches_the_largest_id() -> None:
    largest = 2**31 - 1
    assert both("pack", [[largest], np.array([largest])], 2**31)[0][1] == [largest, largest]
    assert both("pack", [[largest]], largest)[0] is InputError


def test_pack_grows_beyond_its_first_guess() -> None:
    sequences = [[1] * 10, [2] * 5000, list(range(VOCAB_SIZE)) * 1000, [3]]
    (_, values), _ = both("pack", sequences, VOCAB_SIZE)
    assert values == [i for sequence in sequences for i in sequence]


def test_pack_survives_a_list_that_shrinks_while_it_is_read() -> None:
    victim: list[Any] = []

    class Saboteur(np.int64):
        def __int__(self) -> int:
            victim.clear()
            return 1

    victim.extend([Saboteur(1), *range(1000)])
    values, offsets = _ragged.pack([victim, [4]], 2000)
    assert (values.tolist(), offsets.tolist()) == ([1, 4], [0, 1, 2])


@given(st.lists(st.integers(0, 9), max_size=40))
def test_length_order_is_stable_and_longest_first(lengths: list[int]) -> None:
    offsets = [0, *np.cumsum(lengths, dtype=int).tolist()]
    [(dtype, order)] = both("length_order", offsets)
    assert dtype == np.int64
    assert order == sorted(range(len(lengths)), key=lambda i: -lengths[i])


def test_length_order_takes_lengths_too_long_to_count() -> None:
    assert both("length_order", [0, 5, 2**62, 2**62 + 5]) == [(np.int64, [1, 0, 2])]


@given(id_lists, st.randoms())
def test_permute_moves_every_sequence_and_group_restores(sequences: Any, random: Any) -> None:
    values, offsets = _ragged_py.pack(sequences, VOCAB_SIZE)
    order = list(range(len(sequences)))
    random.shuffle(order)
    (_, new_values), (_, new_offsets) = both("permute", values, offsets, order)
    assert _ragged_py.unpack(new_values, new_offsets) == [list(sequences[i]) for i in order]
    scores = np.array(order, dtype=np.float32) / 4
    groups = _ragged.group(new_values, new_offsets, scores, 1, order)
    assert groups == [[(list(s), i / 4)] for i, s in enumerate(sequences)]


def test_group_gives_every_source_its_hypotheses_best_first() -> None:
    values, offsets = _ragged.pack([[1], [2, 2], [], [4], [5], [6]], VOCAB_SIZE)
    scores = np.array([-1, -2, -3, -4, -5, -6], dtype=np.float32)
    assert _ragged.group(values, offsets, scores, 2, [2, 0, 1]) == [
        [([], -3.0), ([4], -4.0)],
        [([5], -5.0), ([6], -6.0)],
        [([1], -1.0), ([2, 2], -2.0)],
    ]
    assert _ragged.group([], [0], [], 3, []) == []


BAD_OFFSETS = [[], [1, 3], [0, 2], [0, 4], [0, 2, 1, 3], [0.0, 3.0], [[0, 3]], [0, 2**63], "ab"]


@pytest.mark.parametrize("offsets", BAD_OFFSETS, ids=str)
@pytest.mark.parametrize("name", ["unpack", "permute", "group"])
def test_bad_offsets_are_refused(name: str, offsets: Any) -> None:
    rest = {"unpack": [], "permute": [[0]], "group": [[-1.0], 1, [0]]}[name]
    kind, message = both(name, [1, 2, 3], offsets, *rest)
    assert issubclass(kind, Error)
    assert message.startswith("offsets: expected")


@pytest.mark.parametrize("offsets", [[], [1, 3], [0, 2, 1], [0.0, 1.0]], ids=str)
def test_length_order_refuses_bad_offsets(offsets: Any) -> None:
    kind, message = both("length_order", offsets)
    assert issubclass(kind, Error)
    assert message.startswith("offsets: expected")


@pytest.mark.parametrize(
    "order", [[], [0], [0, 0], [0, 2], [-1, 0], [0, 1, 2], [0.0, 1.0]], ids=str
)
@pytest.mark.parametrize("name", ["permute", "group"])
def test_bad_orders_are_refused(name: str, order: Any) -> None:
    rest = {"permute": [], "group": [[-1.0, -2.0], 1]}[name]
    kind, message = both(name, [1, 2, 3], [0, 1, 3], *rest, order)
    assert issubclass(kind, Error)
    assert message.startswith("order: expected")


@pytest.mark.parametrize(
    ("scores", "per_source", "start"),
    [
        ([-1.0], 1, "scores: expected 2"),
        (["a", "b"], 1, "scores: expected an array of floats"),
        ([[1.0, 2.0]], 1, "scores: expected an array of floats"),
        ([-1.0, -2.0], 0, "per_source is 0"),
        ([-1.0, -2.0], 3, "per_source is 3"),
    ],
)
def test_group_refuses_what_does_not_fit(scores: Any, per_source: int, start: str) -> None:
    kind, message = outcome(_ragged.group, [1, 2, 3], [0, 1, 3], scores, per_source, [0, 1])
    assert issubclass(kind, Error)
    assert message.startswith(start)


def test_values_must_be_integers_that_fit() -> None:
    assert both("unpack", [1.5], [0, 1])[0] is InputTypeError
    assert both("unpack", [2**31], [0, 1])[0] is InputError
    assert both("permute", np.ones((1, 1), int), [0, 1], [0])[0] is InputTypeError


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(_ragged_py).failed == 0
