"""Weights in float16, bfloat16 and float64 are read as float32, and never twice in memory."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from pyengine import Translator
from pyengine.errors import ModelFormatError
from pyengine.models import read_model
from pyengine.models.number_types import NUMBER_TYPES, narrowed

FIXTURES = Path(__file__).parents[1] / "fixtures"
Narrow = Callable[[np.ndarray], np.ndarray]


def to_float16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Cut off, as good as rounding here."""
    return (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def stored_as(kind: int, values: np.ndarray, name: str, is_raw: bool) -> onnx.TensorProto:
    """A tensor of the number type, its numbers in raw_data or one by one."""
    if kind == TensorProto.BFLOAT16:
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    elif kind == TensorProto.FLOAT16:
        bits = values.astype(np.float16).view(np.uint16)
    else:
        bits = values.astype(np.float64)
    tensor = TensorProto(name=name, data_type=kind, dims=values.shape)
    if is_raw:
        tensor.raw_data = bits.tobytes()
    elif kind == TensorProto.DOUBLE:
        tensor.double_data.extend(bits.ravel().tolist())
    else:
        tensor.int32_data.extend(bits.ravel().tolist())
    return tensor


def narrow_weights(model: onnx.ModelProto, kind: int, is_raw: bool) -> None:
    """Store every float32 tensor but scalars in `kind`, with a Cast behind it."""
    for i, tensor in enumerate(model.graph.initializer):
        if tensor.dims and tensor.data_type == TensorProto.FLOAT:
            stored = stored_as(kind, numpy_helper.to_array(tensor), f"narrow_{i}", is_raw)
            cast = helper.make_node("Cast", [stored.name], [tensor.name], f"/Cast_{i}", to=1)
            tensor.CopyFrom(stored)
            model.graph.node.insert(0, cast)


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        (TensorProto.FLOAT16, to_float16),
        (TensorProto.BFLOAT16, to_bfloat16),
        (TensorProto.DOUBLE, lambda values: values),
    ],
)
def test_weights_behind_casts(tmp_path: Path, kind: int, narrow: Narrow, is_raw: bool) -> None:
    expected = read_model(tiny_onnx.write(tmp_path / "plain")).tensors
    encoder = tiny_onnx.encoder()
    narrow_weights(encoder, kind, is_raw)
    found = read_model(tiny_onnx.write(tmp_path / "narrow", encoder)).tensors
    for name, values in expected.items():
        is_narrow = name.startswith("encoder.")
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], narrow(values) if is_narrow else values), name


def float16_copy(name: str, tmp_path: Path) -> Path:
    """A fixture whose graphs compute in float16, as onnxruntime's converter writes them."""
    folder = tmp_path / name
    shutil.copytree(FIXTURES / name, folder)
    for path in folder.rglob("*.onnx"):
        model = convert_float_to_float16(
            onnx.load(path), keep_io_types=True, disable_shape_infer=True
        )
        onnx.save(model, path)
    return folder


@pytest.mark.parametrize(
    "name", ["marian-split", "bart", "m2m", "t5", "gpt2", "llama", "bert-cls", "roberta"]
)
def test_graphs_in_float16(tmp_path: Path, name: str) -> None:
    found = read_model(float16_copy(name, tmp_path)).tensors
    expected = read_model(FIXTURES / name).tensors
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        narrow = to_float16(values)
        is_tiny = np.abs(values) < 1e-6  # which the converter moves away from 0
        assert found[key].dtype == np.float32
        assert np.array_equal(found[key], np.where(is_tiny, found[key], narrow)), key


def test_a_merged_decoder_between_casts(tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    shutil.copytree(FIXTURES / "marian-merged", folder)
    path = folder / "onnx" / "decoder_model_merged.onnx"
    model = onnx.load(path)
    narrow_weights(model, TensorProto.FLOAT16, is_raw=True)
    choice = next(node for node in model.graph.node if node.op_type == "If")
    choice.output[0] = "logits_16"
    cast = helper.make_node("Cast", ["logits_16"], ["logits"], "cast", to=1)
    model.graph.node.append(cast)
    onnx.save(model, path)
    found = read_model(folder).tensors
    for name, values in read_model(FIXTURES / "marian-merged").tensors.items():
        is_narrow = not name.startswith("encoder.")
        assert np.array_equal(found[name], to_float16(values) if is_narrow else values), name


def test_float16_weights_compute_in_float32(tmp_path: Path) -> None:
    with Translator(float16_copy("marian-split", tmp_path), cache_dir=False) as translator:
        assert translator.compute_type == "float32"
        golden = np.load(FIXTURES / "golden" / "marian_split.npz")
        found = translator.engine.logits(golden["source_0"], golden["decoder_input_0"])
        assert np.abs(found - golden["logits_0"]).max() < 2e-2 * np.abs(golden["logits_0"]).max()


def test_numbers_that_are_none(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    tensor = tiny_onnx.initializer(encoder, name)
    stored = stored_as(TensorProto.FLOAT16, numpy_helper.to_array(tensor), name, is_raw=False)
    stored.int32_data[0] = 1 << 17
    tensor.CopyFrom(stored)
    with pytest.raises(ModelFormatError, match=f"{name}.* is no float16"):
        read_model(tiny_onnx.write(tmp_path, encoder)).tensors["encoder.layers.0.fc1.weight"]


def test_every_float16_and_bfloat16_widens_exactly() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    half, brain = NUMBER_TYPES[TensorProto.FLOAT16], NUMBER_TYPES[TensorProto.BFLOAT16]
    values = np.empty(bits.size, np.float32)
    half.convert(bits.view(np.float16), values)
    is_number = ~np.isnan(values)
    assert np.array_equal(values[is_number].astype(np.float16).view(np.uint16), bits[is_number])
    brain.convert(bits, values)
    assert np.array_equal(values.view(np.uint32) >> 16, bits)


@pytest.mark.parametrize("value", [1e-5, 1e-6, 8.0, 22.627417])
def test_numbers_as_narrow_types_hold_them(value: float) -> None:
    near = 2**-24  # half the distance of float16's smallest numbers
    assert all(abs(found - value) <= max(value * 2**-8, near) for found in narrowed(value))


def big_encoder(folder: Path, kind: int, width: int, offset: int) -> onnx.ModelProto:
    """An encoder whose token table lies at `offset` of a sparse file beside it."""
    encoder = tiny_onnx.encoder()
    table = tiny_onnx.initializer(encoder, tiny_onnx.node(encoder, "embed_tokens/Gather").input[0])
    rows, columns = 1 << 20, tiny_onnx.HIDDEN
    entries = {"location": "big.bin", "offset": offset, "length": rows * columns * width}
    big = TensorProto(name=table.name, data_type=kind, dims=(rows, columns))
    big.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        big.external_data.append(onnx.StringStringEntryProto(key=key, value=str(value)))
    table.CopyFrom(big)
    folder.mkdir(exist_ok=True)
    with (folder / "big.bin").open("wb") as file:
        file.truncate(offset + rows * columns * width)
        file.seek(offset + (rows * columns - 1) * width)
        file.write(np.array(1.5, np.float16 if width == 2 else np.float32).tobytes())
    return encoder


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_external_data_beyond_4_gb_is_held_once(tmp_path: Path, kind: int) -> None:
    encoder = big_encoder(tmp_path, kind, 4 if kind == TensorProto.FLOAT else 2, 5 << 30)
    folder = tiny_onnx.write(tmp_path, encoder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "vocab_size": 1 << 20,
        "decoder_vocab_size": tiny_onnx.VOCAB,
        "share_encoder_decoder_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tracemalloc.start()
    try:
        table = read_model(folder).tensors["encoder.embed_tokens.weight"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table.dtype == np.float32 and table.shape == (1 << 20, tiny_onnx.HIDDEN)
    assert table[-1, -1] == 1.5 and not table[:-1].any()
    assert peak < 1.4 * table.nbytes
