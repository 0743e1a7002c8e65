"""Damaged files: whatever the damage, read_model gives a model or a pyengine.Error."""

import functools
import tempfile
from pathlib import Path
from unittest import mock

import tiny_onnx
from hypothesis import given, settings
from hypothesis import strategies as st

from pyengine.errors import Error
from pyengine.models import read_model, storage

FILES = ("encoder_model.onnx", "decoder_model.onnx", "config.json")


@functools.cache
def originals() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_onnx.write(Path(name))
        return {file: (folder / file).read_bytes() for file in FILES}


def read_damaged(name: str, data: bytes, small: int) -> None:
    """Reads the folder with one file replaced; tensors above `small` bytes skip protobuf."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(storage, "_SMALL", small),
    ):
        for file, original in originals().items():
            Path(folder, file).write_bytes(data if file == name else original)
        try:
            read_model(folder)
        except Error as error:
            assert str(error)


@settings(max_examples=200)
@given(
    name=st.sampled_from(FILES),
    small=st.sampled_from([0, 1024]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_flipped_bytes(name: str, small: int, flips: list[tuple[float, int]]) -> None:
    data = bytearray(originals()[name])
    for place, value in flips:
        data[int(place * len(data))] = value
    read_damaged(name, bytes(data), small)


@settings(max_examples=50)
@given(name=st.sampled_from(FILES), small=st.sampled_from([0, 1024]), share=st.floats(0, 1))
def test_cut_short(name: str, small: int, share: float) -> None:
    read_damaged(name, originals()[name][: int(share * len(originals()[name]))], small)


@settings(max_examples=100)
@given(
    name=st.sampled_from(FILES),
    small=st.sampled_from([0, 1024]),
    start=st.floats(0, 1, exclude_max=True),
    length=st.integers(1, 40),
    put=st.binary(max_size=20),
)
def test_replaced_stretch(name: str, small: int, start: float, length: int, put: bytes) -> None:
    data = originals()[name]
    at = int(start * len(data))
    read_damaged(name, data[:at] + put + data[at + length :], small)
