"""Recurrent decoders layer by layer: NumPy and the core against the PyTorch reference.

A model cut after its first layers is a model too, so what its last layer gives can be seen: as the
encoder's output, or as logits. The expected values are in golden/transformer_ssru.npz, written by
tools/make_reference_fixtures.py.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import model_twin
import numpy as np
import pytest

from pyengine import _core
from pyengine.cache import core_config
from pyengine.models import ModelConfig, read_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
MODEL = read_model(FIXTURES / "transformer-ssru")
GOLDEN = np.load(FIXTURES / "golden" / "transformer_ssru.npz")
SOURCE, TARGET = (GOLDEN[name].astype(np.int32) for name in ("source_0", "decoder_input_0"))
LAYERS = [("encoder", 0), ("encoder", 1), ("decoder", 0), ("decoder", 1)]


def cut_after(stack: str, layer: int) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """The model without the layers of ``stack`` that follow ``layer``."""
    config = dataclasses.replace(MODEL.config, **{f"{stack}_layers": layer + 1})
    beyond = re.compile(rf"{stack}\.layers\.(\d+)\.")

    def stays(name: str) -> bool:
        match = beyond.match(name)
        return match is None or int(match[1]) <= layer

    return config, {name: array for name, array in MODEL.tensors.items() if stays(name)}


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def test_the_fixture_is_the_model_that_it_should_be() -> None:
    assert MODEL.config.decoder_kind == "ssru"
    assert MODEL.config.encoder_num_heads != MODEL.config.decoder_num_heads
    assert "lm_head.bias" not in MODEL.tensors


@pytest.mark.parametrize(("stack", "layer"), LAYERS)
def test_the_twins_layers_are_the_references(stack: str, layer: int) -> None:
    config, tensors = cut_after(stack, layer)
    hidden = model_twin.encode(config, tensors, SOURCE)
    if stack == "decoder":
        hidden = model_twin.stack(config, tensors, TARGET, "decoder", hidden)
    assert difference(hidden, GOLDEN[f"{stack}_layer_{layer}"]) < 1e-5


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize(("stack", "layer"), LAYERS)
def test_the_cores_layers_are_the_references(stack: str, layer: int, isa: str) -> None:
    config, tensors = cut_after(stack, layer)
    packed = _core.Weights.pack(core_config(config), tensors, "float32")
    engine = _core.Engine(packed, isa)
    expected = GOLDEN[f"{stack}_layer_{layer}"]
    if stack == "encoder":
        assert difference(engine.encode(SOURCE, np.array([0, len(SOURCE)]), 1), expected) < 1e-5
    else:
        projected = expected @ tensors["lm_head.weight"]
        assert difference(engine.logits(SOURCE, TARGET), projected) < 1e-5


@pytest.mark.parametrize("isa", _core.available_isas())
def test_the_cores_logits_are_the_references(isa: str) -> None:
    packed = _core.Weights.pack(core_config(MODEL.config), dict(MODEL.tensors), "float32")
    logits = _core.Engine(packed, isa).logits(SOURCE, TARGET)
    errors = np.abs(logits - GOLDEN["logits_0"]).max(1) / np.abs(GOLDEN["logits_0"]).max(1)
    assert errors.max() < 1e-4
