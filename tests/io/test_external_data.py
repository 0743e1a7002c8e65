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
        ({"location": "."}, ["is a folder"]),
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


def linked(folder: Path, *places: Path) -> Path:
    """A folder of links to the tiny model's files, of which those in `folder` go to `places`."""
    links = folder.parent / "links"
    links.mkdir()
    moved = dict(zip(("encoder_model.onnx", "weights.bin"), places, strict=True))
    for file in folder.iterdir():
        place = moved.get(file.name, file)
        if place != file:
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
        (links / file.name).symlink_to(os.path.relpath(place, links))
    return links


SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_OTHER = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
STORES = {
    "hub cache": (f"blobs/{SHA256}", f"blobs/{SHA256_OTHER}"),
    "hub cache without LFS": (f"blobs/{SHA256}", f"blobs/{SHA256_OTHER[:40]}"),
    "git-annex": (
        f".git/annex/objects/Mx/k3/SHA256E-s96--{SHA256}.onnx/SHA256E-s96--{SHA256}.onnx",
        f".git/annex/objects/9p/FF/SHA256E-s9--{SHA256_OTHER}.bin/SHA256E-s9--{SHA256_OTHER}.bin",
    ),
    "DVC": (
        f"cache/files/md5/{SHA256[:2]}/{SHA256[2:32]}",
        f"cache/files/md5/{SHA256_OTHER[:2]}/{SHA256_OTHER[2:32]}",
    ),
    "Nix, a folder": (f"store/{SHA256[:32]}-opus/m.onnx", f"store/{SHA256[:32]}-opus/weights.bin"),
    "Nix, files": (f"store/{SHA256[:32]}-encoder.onnx", f"store/{SHA256_OTHER[:32]}-w/weights.bin"),
    "git-annex, the data alone": (
        "model/encoder_model.onnx",
        f".git/annex/objects/f5a/0b1/SHA256E-s9--{SHA256}.bin/SHA256E-s9--{SHA256}.bin",
    ),
    "DVC, the data alone": (
        "model/encoder_model.onnx",
        f"model/../.dvc/cache/files/md5/{SHA256[:2]}/{SHA256[2:32]}",
    ),
    "a cache of DVC elsewhere, the data alone": (
        "model/encoder_model.onnx",
        f"shared/files/md5/{SHA256[:2]}/{SHA256[2:32]}",
    ),
    "plain folder": ("real/encoder.onnx", "real/below/weights.bin"),
}


@pytest.mark.parametrize("places", STORES.values(), ids=STORES)
def test_external_data_in_a_folder_of_links(tmp_path: Path, places: tuple[str, str]) -> None:
    (tmp_path / "model").mkdir()
    write_external(tmp_path / "model", lambda entry: None)
    folder = linked(tmp_path / "model", *(tmp_path / place for place in places))
    plain = read_model(tiny_onnx.write(tmp_path / "plain")).tensors
    name = "encoder.layers.0.fc1.weight"
    assert np.array_equal(read_model(folder).tensors[name], plain[name])


@pytest.mark.parametrize(
    "places",
    [
        (f"blobs/{SHA256}", f"secret/{SHA256_OTHER}"[:20]),
        (f"blobs/{SHA256}", "weights.bin"),
        (f"a/{SHA256}/m.onnx", ".ssh/id_rsa"),
        ("a/m.onnx", f"b/{SHA256}"),
        ("store/a/m.onnx", "store/b/weights.bin"),
        (f"R/{SHA256}/m.onnx", f".gnupg/private-keys-v1.d/{SHA256[:40]}.key"),
        ("model/encoder_model.onnx", f".gnupg/private-keys-v1.d/{SHA256[:40]}.key"),
        ("model/encoder_model.onnx", f"blobs/{SHA256}"),
        ("model/encoder_model.onnx", ".git/annex/objects/config"),
        ("model/encoder_model.onnx", f".git/config/{'a' * 40}"),
    ],
)
def test_external_data_in_a_folder_of_links_and_outside(
    tmp_path: Path, places: tuple[str, str]
) -> None:
    (tmp_path / "model").mkdir()
    write_external(tmp_path / "model", lambda entry: None)
    folder = linked(tmp_path / "model", *(tmp_path / place for place in places))
    refuse(folder, ModelFormatError, "not inside")


def test_external_data_beside_the_file_behind_the_only_link(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_external(tmp_path / "model", lambda entry: None)
    folder = linked(tmp_path / "model", *(tmp_path / "real" / n for n in ("m.onnx", "weights.bin")))
    (folder / "weights.bin").unlink()
    read_model(folder)
    (tmp_path / "real" / "weights.bin").unlink()
    refuse(folder, ModelFormatError, "'weights.bin' does not exist")


@pytest.mark.parametrize("digits", [20, 5000])
@pytest.mark.parametrize("key", ["offset", "length"])
def test_external_data_of_a_long_number(tmp_path: Path, key: str, digits: int) -> None:
    write_external(tmp_path, lambda entry: entry.update({key: "9" * digits}))
    refuse(tmp_path, ModelFormatError, "onnx::MatMul_13")


def test_external_data_that_is_a_fifo(tmp_path: Path) -> None:
    write_external(tmp_path, lambda entry: None)
    (tmp_path / "weights.bin").unlink()
    os.mkfifo(tmp_path / "weights.bin")
    refuse(tmp_path, ModelFormatError, "is a FIFO, expected a regular file")
