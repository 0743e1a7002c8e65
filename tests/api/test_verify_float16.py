"""Files that compute in float16 are verified in float32, on the values of their weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from onnxruntime.transformers.float16 import convert_float_to_float16

from pyengine import Translator
from pyengine.bench.widened import widened
from pyengine.verify import verify_model

from .conftest import FIXTURES


@pytest.mark.parametrize("keep_io_types", [True, False])
def test_float16_files_are_verified(tmp_path: Path, keep_io_types: bool) -> None:
    folder = tmp_path / "bart"
    shutil.copytree(FIXTURES / "bart", folder)
    for path in folder.glob("*.onnx"):
        narrow = convert_float_to_float16(onnx.load(path), keep_io_types=keep_io_types)
        onnx.save(narrow, path.with_name(f"{path.stem}_fp16.onnx"))
        path.unlink()
    with Translator(folder, cache_dir=False) as translator:
        report = verify_model(translator, max_new_tokens=8)
    assert report.faithful, report.format()


def test_a_float32_file_is_taken_as_it_is() -> None:
    path = FIXTURES / "bart" / "encoder_model.onnx"
    with widened(path) as file:
        assert file == path


def test_a_widened_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "narrow.onnx"
    model = onnx.load(FIXTURES / "bart" / "encoder_model.onnx")
    onnx.save(convert_float_to_float16(model), path)
    with widened(path) as file:
        wide = onnx.load(file)
        assert {tensor.data_type for tensor in wide.graph.initializer} & {10, 16} == set()
    assert not file.exists()
