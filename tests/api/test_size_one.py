"""Models of all families with one layer, one head, one label, an inner width of one, one pair of
rotary positions and one word more than a power of two, in the forms of exporters."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from export_forms import (
    Convert,
    blocks,
    converted,
    dequantised,
    dynamic,
    expected_outputs,
    qdq,
    session_optimised,
    with_weights,
)
from onnxruntime.quantization import QuantType

from pyengine.models import read_model
from pyengine.models.families import FAMILIES

from .conftest import FIXTURES
from .test_forms import outputs_of

NAMES = sorted(set(FAMILIES) - {"transformer"})
IDS, SOURCE = np.array([5, 9, 7, 20, 33, 5]), np.array([8, 6, 40, 62, 3])
QUANTISED: dict[str, Convert] = {
    "dynamic": dynamic(QuantType.QUInt8, per_channel=True),
    "qdq": qdq(QuantType.QInt8, QuantType.QUInt8, per_channel=True),
}
FORMS: dict[str, Convert] = {
    "optimised": session_optimised("EXTENDED"),
    "blocks": blocks(4, symmetric=False),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("size_one")
    with tarfile.open(FIXTURES / "size_one.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def check(folder: Path, files: list[Path]) -> None:
    """The outputs of a folder are those that onnxruntime computes from `files`."""
    expected = expected_outputs(files, IDS, SOURCE)
    counted = expected > -1e4
    bound = 1e-4 * max(1.0, float(np.abs(expected[counted]).max()))
    found = outputs_of(folder, "float32", IDS, SOURCE)
    np.testing.assert_allclose(found[counted], expected[counted], rtol=0, atol=bound)


@pytest.mark.parametrize("name", NAMES)
def test_as_exported(name: str, plain: Path) -> None:
    model = read_model(plain / name)
    assert max(model.config.encoder_num_heads, model.config.decoder_num_heads) == 1
    assert max(model.config.encoder_ffn_dim, model.config.decoder_ffn_dim) == 1
    check(plain / name, list(model.graph_paths.values()))


@pytest.mark.parametrize("form", QUANTISED)
@pytest.mark.parametrize("name", NAMES)
def test_quantised(name: str, form: str, plain: Path, tmp_path: Path) -> None:
    folder = converted(name, tmp_path / "int8", QUANTISED[form], plain)
    model = read_model(folder)
    assert model.stored_type == "int8"
    files = []
    for path in model.graph_paths.values():
        files.append(tmp_path / path.name)
        with_weights(plain / name / path.name, dequantised(path), files[-1])
    check(folder, files)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_in_another_form(name: str, form: str, plain: Path, tmp_path: Path) -> None:
    folder = converted(name, tmp_path / "model", FORMS[form], plain)
    check(folder, list(read_model(folder).graph_paths.values()))
