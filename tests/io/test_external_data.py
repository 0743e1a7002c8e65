"""Weights in files beside the ONNX file: read, and never from outside the model's folder."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_onnx
from tiny_onnx import refuse

from pyengine.errors import ModelFormatError
from pyengine.models import read_model


def write_external(folder: Path, change: Callable[[dict[str, str]], None]) -> str:
    """The tiny folder with one weight in weights.bin, and that entry changed; its name."""
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    tensor = tiny_onnx.initializer(encoder, name)
    entry = {"location": "weights.bin", "offset": "8", "length": str(len(tensor.raw_data))}
    (folder / "weights.bin").write_bytes(b"12345678" + tensor.raw_data)
    change(entry)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entry.items():
        tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=value))
    tiny_onnx.write(folder)
    (folder / "encoder_model.onnx").write_bytes(encoder.SerializeToString())
    return name


def test_external_data_is_read(tmp_path: Path) -> None:
    write_external(tmp_path, lambda entry: None)
    tensors = read_model(tmp_path).tensors
    plain = read_model(tiny_onnx.write(tmp_path / "plain")).tensors
    name = "encoder.layers.0.fc1.weight"
    assert np.array_equal(tensors[name], plain[name])


def test_external_data_at_an_absolute_place_inside(tmp_path: Path) -> None:
    place = str(tmp_path / "weights.bin")
    write_external(tmp_path, lambda entry: entry.update(location=place))
    refuse(tmp_path, ModelFormatError, place, "not inside")


def test_external_data_in_a_subfolder_or_behind_a_link_inside(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_external(tmp_path, lambda entry: entry.update(location="sub/link.bin"))
    (tmp_path / "sub" / "link.bin").symlink_to(tmp_path / "weights.bin")
    read_model(tmp_path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"location": "none.bin"}, ["'none.bin'", "does not exist"]),
        ({"location": "."}, ["does not exist"]),
        ({"location": ""}, ["not inside"]),
        ({"location": "a\0b"}, ["cannot be read"]),
        ({"location": "x" * 5000}, ["cannot be read"]),
        ({"location": "../weights.bin"}, ["'../weights.bin'", "not inside"]),
        ({"location": "sub/../../weights.bin"}, ["not inside"]),
        ({"location": "/etc/passwd"}, ["'/etc/passwd'", "not inside"]),
        ({"offset": "9"}, ["104 bytes", "105"]),
        ({"offset": "-1"}, ["offset -1"]),
        ({"offset": "99999999999999999999"}, ["104 bytes"]),
        ({"offset": "x"}, ["cannot be read"]),
        ({"length": "92"}, ["length 92", "expected length 96"]),
        ({"length": str(2**62)}, ["expected length 96"]),
        ({"length": "-1"}, ["expected length 96"]),
    ],
)
def test_external_data_that_is_wrong(
    tmp_path: Path, entry: dict[str, str], words: list[str]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    name = write_external(folder, lambda plain: plain.update(entry))
    (tmp_path / "weights.bin").write_bytes(b"0" * 1000)
    with pytest.raises(ModelFormatError) as raised:
        read_model(folder)
    for word in (name, "encoder_model.onnx", *words):
        assert word in str(raised.value)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_external_data_behind_a_link_that_leaves(tmp_path: Path, kind: str, absolute: bool) -> None:
    folder, outside = tmp_path / "model", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    location = "link" if kind == "file" else "link/weights.bin"
    write_external(folder, lambda entry: entry.update(location=location))
    (folder / "weights.bin").rename(outside / "weights.bin")
    target = outside / "weights.bin" if kind == "file" else outside
    (folder / "link").symlink_to(target if absolute else os.path.relpath(target, folder))
    refuse(folder, ModelFormatError, "not inside")
