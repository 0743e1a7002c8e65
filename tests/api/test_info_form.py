"""``pyengine info`` says who wrote the files, what tells their modules, and their number types."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import pyengine
from pyengine.info import describe, format_info, open_model

from .conftest import FIXTURES


def forms_of(folder: Path) -> tuple[list[dict[str, object]], str]:
    """What describe says of the files, and the text of format_info."""
    with open_model(folder, cache_dir=False) as model:
        facts = describe(model)
    return facts["form"], format_info(facts)


@pytest.mark.parametrize(
    ("name", "modules_by"), [("marian-merged", "node names"), ("marian-dynamo", "data flow")]
)
def test_the_form_of_each_file(name: str, modules_by: str) -> None:
    forms, text = forms_of(FIXTURES / name)
    with pyengine.Translator(FIXTURES / name, cache_dir=False) as translator:
        parameters = translator.parameters
    assert [form["modules_by"] for form in forms] == [modules_by] * 2
    assert sum(form["numbers"]["float32"] for form in forms) == parameters
    assert all(form["fused"] == {} and form["producer"] for form in forms)
    shown = f"{forms[0]['path']}: float32; modules by {modules_by}; fused: nothing; written by "
    assert shown in text


def test_shares_of_number_types(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "marian-odd", folder)
    path = folder / "encoder_model.onnx"
    model = onnx.load(path)
    table = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = numpy_helper.to_array(table)
    name = table.name
    table.CopyFrom(numpy_helper.from_array(values.astype("float16"), "narrow"))
    cast = helper.make_node("Cast", ["narrow"], [name], "/Cast", to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    onnx.save(model, path)
    forms, text = forms_of(folder)
    assert forms[0]["numbers"]["float16"] == values.size
    assert list(forms[1]["numbers"]) == ["float32"]
    assert "encoder_model.onnx: float32 " in text and "%, float16 " in text
