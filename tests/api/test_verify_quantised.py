"""A folder of integer products is verified against its float32 model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from export_forms import Convert, converted, dynamic, qdq, session_optimised
from onnxruntime.quantization import QuantType

from pyengine import Translator
from pyengine.bench.dequantised import dequantised
from pyengine.verify import verify_model

from .conftest import FIXTURES

QUINT8 = QuantType.QUInt8


def quantised_and_optimised(path: Path, out: Path) -> None:
    dynamic(QUINT8, True)(path, out.with_suffix(".quantised"))
    session_optimised("EXTENDED")(out.with_suffix(".quantised"), out)
    out.with_suffix(".quantised").unlink()


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("marian-split", dynamic(QUINT8, False)),
        ("marian-merged", dynamic(QuantType.QInt8, True)),
        ("t5", qdq(QUINT8, QUINT8, False)),
        ("marian-odd", quantised_and_optimised),
    ],
)
def test_quantised_files_are_verified(name: str, convert: Convert, tmp_path: Path) -> None:
    folder = converted(name, tmp_path, convert)
    for compute_type in ("float32", "default"):
        with Translator(folder, compute_type=compute_type, cache_dir=False) as translator:
            report = verify_model(translator, max_new_tokens=8)
        assert report.faithful, report.format()


def test_another_weight_is_found(tmp_path: Path) -> None:
    folder = converted("marian-split", tmp_path, dynamic(QUINT8, False))
    with Translator(folder, compute_type="float32", cache_dir=False) as translator:
        path = folder / "decoder_model.onnx"
        model = onnx.load(path)
        zero = next(
            t for t in model.graph.initializer if t.name.endswith("zero_point") and not t.dims
        )
        values = onnx.numpy_helper.to_array(zero) + np.uint8(9)
        zero.CopyFrom(onnx.numpy_helper.from_array(values, zero.name))
        onnx.save(model, path)
        assert not verify_model(translator, max_new_tokens=8).faithful


def test_a_plain_file_is_taken_as_it_is() -> None:
    path = FIXTURES / "bart" / "encoder_model.onnx"
    with dequantised(path) as file:
        assert file == path
