"""The forms in which exports come, against the plain export and onnxruntime.

A quantised file's oracle is the plain export with the weights that the file stands for: onnxruntime
on the file itself rounds the activations in another way.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_forms import (
    block_weights,
    blocks,
    coded,
    converted,
    dequantised,
    dynamic,
    expected_outputs,
    qdq,
    scaled_integers,
    session_optimised,
    transformers_optimised,
    with_weights,
)
from grouped_attention import with_grouped_attention
from onnx import numpy_helper
from onnxruntime.quantization import QuantType
from simplified_products import simplified

import pyengine
from pyengine.errors import UnsupportedModelError
from pyengine.info import describe, format_info, open_model
from pyengine.models import ModelFolder, read_model
from pyengine.models.quantized import dequantized

from .conftest import FIXTURES

QINT8, QUINT8 = QuantType.QInt8, QuantType.QUInt8
ALL = ("marian-split", "marian-merged", "bart", "t5", "bert-cls", "roberta", "gpt2", "llama")


def outputs_of(folder: Path, compute_type: str, ids: np.ndarray, source: np.ndarray) -> np.ndarray:
    """What the engine computes, as expected_outputs gives it."""
    with open_model(folder, compute_type=compute_type, cache_dir=False) as model:
        if not isinstance(model, pyengine.Encoder):
            has_source = isinstance(model, pyengine.Translator)
            sources = source if has_source else source[:0]
            return model.engine.logits(sources.astype(np.int32), ids.astype(np.int32))
        if model.config.num_labels == 0:
            return model.forward([ids.tolist()])[0]
        offsets = np.array([0, len(ids)], np.int64)
        return model.engine.classify(ids.astype(np.int32), offsets, 1)


def some_ids(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids of a text and of a source that every fixture knows."""
    rng = np.random.default_rng(len(name))
    return rng.integers(4, 90, 17), rng.integers(4, 90, 12)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    counted = expected > -1e4
    scale = np.abs(expected).max(axis=1, where=counted, initial=0)
    return float((np.abs(found - expected).max(axis=1, where=counted, initial=0) / scale).max())


def plain_with(model: ModelFolder, name: str, out: Path) -> list[Path]:
    """The plain files of fixture `name` with the weights that those of `model` stand for."""
    files = []
    for path in model.graph_paths.values():
        relative = path.relative_to(model.path)
        (out / relative).parent.mkdir(parents=True, exist_ok=True)
        with_weights(FIXTURES / name / relative, dequantised(path), out / relative)
        files.append(out / relative)
    return files


def check_quantised(name: str, folder: Path, tmp_path: Path) -> None:
    """Weights to the bit, outputs in float32 and in int8, which is the default."""
    model = read_model(folder)
    assert model.stored_type == "int8"
    files = plain_with(model, name, tmp_path / "plain")
    plain = FIXTURES / name
    for path in plain.iterdir():
        if path.suffix == ".json":
            (tmp_path / "plain" / path.name).write_bytes(path.read_bytes())
    expected_tensors = read_model(tmp_path / "plain").tensors
    found_tensors = dequantized(model.tensors)
    assert set(found_tensors) == set(expected_tensors)
    for tensor, expected in expected_tensors.items():
        np.testing.assert_array_equal(found_tensors[tensor], expected, err_msg=tensor)
    ids, source = some_ids(name)
    expected = expected_outputs(files, ids, source)
    assert difference(outputs_of(folder, "float32", ids, source), expected) <= 1e-4
    int8 = outputs_of(folder, "default", ids, source)
    assert 1e-4 < difference(int8, expected) <= 1e-1
    np.testing.assert_array_equal(int8, outputs_of(folder, "int8", ids, source))


@pytest.mark.parametrize(
    ("name", "weight_type", "per_channel"),
    [  # of every two of the three all pairs
        (name, weight_type, (weight_type == QINT8) == bool(i % 2))
        for i, name in enumerate(ALL)
        for weight_type in (QINT8, QUINT8)
    ],
)
def test_dynamic_quantisation(
    name: str, weight_type: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    folder = converted(name, tmp_path / "model", dynamic(weight_type, per_channel))
    check_quantised(name, folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "weight_type", "activation_type", "per_channel"),
    [
        *((name, QINT8, QINT8, True) for name in ("marian-split", "t5", "bert-cls", "gpt2")),
        *((name, QINT8, QUINT8, False) for name in ("marian-split", "gpt2")),
        *((name, QUINT8, QUINT8, False) for name in ("t5", "bert-cls")),
    ],
)
def test_qdq(
    name: str,
    weight_type: QuantType,
    activation_type: QuantType,
    per_channel: bool,
    tmp_path: Path,
) -> None:
    convert = qdq(weight_type, activation_type, per_channel)
    check_quantised(name, converted(name, tmp_path / "model", convert), tmp_path)


def test_activations_of_16_bits(tmp_path: Path) -> None:
    """Also there the quantiser leaves out a Relu; weights of 16 bits are named."""
    convert = qdq(QINT8, QuantType.QUInt16, True, ("MatMul",))
    check_quantised("t5", converted("t5", tmp_path / "model", convert), tmp_path)
    folder = converted("t5", tmp_path / "tables", qdq(QINT8, QuantType.QUInt16, True))
    with pytest.raises(UnsupportedModelError, match=r"'embed_tokens.weight.*' is of type uint16"):
        read_model(folder)


@pytest.mark.parametrize(
    ("bits", "symmetric", "qdq_format"),
    [(4, True, False), (4, False, False), (8, False, False), (4, False, True)],
)
@pytest.mark.parametrize("name", ["marian-split", "marian-odd", "bert-cls", "gpt2"])
def test_blocks_of_few_bits(
    name: str, bits: int, symmetric: bool, qdq_format: bool, tmp_path: Path
) -> None:
    """Expanded to float32; onnxruntime, which computes with the same numbers, is the oracle."""
    folder = converted(name, tmp_path, blocks(bits, symmetric, qdq_format))
    check_blocks(name, folder)


@pytest.mark.parametrize(("quant_type", "block_size"), [(0, 16), (1, 64)])
@pytest.mark.parametrize("name", ["marian-odd", "bert-cls", "gpt2", "t5"])
def test_blocks_of_floats_of_4_bits(
    name: str, quant_type: int, block_size: int, tmp_path: Path
) -> None:
    folder = converted(name, tmp_path, coded(quant_type, block_size))
    check_blocks(name, folder)
    kinds = [form.operators for form in read_model(folder).forms]
    assert frozenset({"MatMulBnb4"}) in kinds


def check_blocks(name: str, folder: Path) -> None:
    """Weights as onnxruntime expands them, and its outputs."""
    model = read_model(folder)
    assert model.stored_type == "float32"
    found = [model.tensors[tensor] for tensor in model.tensors]
    for path in model.graph_paths.values():
        for weight in block_weights(path):
            assert any(np.array_equal(weight, tensor) for tensor in found)
    ids, source = some_ids(name)
    expected = expected_outputs(list(model.graph_paths.values()), ids, source)
    assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-4


def test_blocks_with_scales_of_16_bits(tmp_path: Path) -> None:
    """As in files named q4f16; the scales widen exactly."""
    tensors = []
    for narrow in (np.float16, np.float32):
        folder = converted("bert-cls", tmp_path / narrow.__name__, blocks(4, False))
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            if tensor.name.endswith("_scales"):
                scales = numpy_helper.to_array(tensor).astype(np.float16).astype(narrow)
                tensor.CopyFrom(numpy_helper.from_array(scales, tensor.name))
        onnx.save(model, folder / "model.onnx")
        tensors.append(read_model(folder).tensors)
    for name in tensors[0]:
        np.testing.assert_array_equal(tensors[0][name], tensors[1][name], err_msg=name)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", ["marian-merged", "bert-cls", "xlm-roberta-cls-dynamo", "llama"])
def test_integers_that_the_graph_scales_itself(name: str, symmetric: bool, tmp_path: Path) -> None:
    folder = converted(name, tmp_path, scaled_integers(symmetric))
    model = read_model(folder)
    assert model.stored_type == "float32"  # as onnxruntime computes
    assert any(tensor.endswith("_scale") for tensor in model.tensors)
    ids, source = some_ids(name)
    expected = expected_outputs(list(model.graph_paths.values()), ids, source)
    assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-4
    assert difference(outputs_of(folder, "int8", ids, source), expected) <= 1e-1


def check_optimised(name: str, folder: Path, *operators: str) -> None:
    """The tensors of the plain export, and the outputs of onnxruntime on the same files."""
    model = read_model(folder)
    found_operators = {operator for form in model.forms for operator in form.operators}
    assert set(operators) <= found_operators
    plain = read_model(FIXTURES / name).tensors
    assert set(model.tensors) == set(plain)
    for tensor, expected in plain.items():
        np.testing.assert_array_equal(model.tensors[tensor], expected, err_msg=tensor)
    # No CPU kernel of onnxruntime runs RelativePositionBias; the tensors are equal anyway.
    runs = FIXTURES / name if "RelativePositionBias" in operators else folder
    files = [runs / path.relative_to(folder) for path in model.graph_paths.values()]
    ids, source = some_ids(name)
    expected = expected_outputs(files, ids, source)
    assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-4


SESSION_OPTIMISED = {
    "marian-split": ("FusedMatMul", "QuickGelu"),
    "marian-merged": ("FusedMatMul",),
    "marian-dynamo": ("SkipLayerNormalization", "BiasGelu"),
    "bart": ("FusedMatMul", "BiasGelu"),
    "t5": ("FusedMatMul", "SimplifiedLayerNormalization"),
    "mt5": ("FastGelu",),
    "bert-cls": ("FusedGemm", "BiasGelu"),
    "gpt2": ("FastGelu",),
    "llama": ("SimplifiedLayerNormalization", "QuickGelu"),
}


@pytest.mark.parametrize("level", ["BASIC", "EXTENDED"])
@pytest.mark.parametrize("name", SESSION_OPTIMISED)
def test_graphs_that_a_session_optimised(name: str, level: str, tmp_path: Path) -> None:
    operators = SESSION_OPTIMISED[name] if level == "EXTENDED" else ()
    check_optimised(name, converted(name, tmp_path, session_optimised(level)), *operators)


TRANSFORMERS_OPTIMISED = {
    "marian-split": ("SkipLayerNormalization",),
    "bart": ("SkipLayerNormalization", "BiasGelu"),
    "m2m": ("SkipLayerNormalization",),
    "t5": ("Attention", "RelativePositionBias", "SkipSimplifiedLayerNormalization"),
    "bert-cls": ("Attention", "EmbedLayerNormalization", "BiasGelu"),
    "distilbert-cls": ("Attention", "EmbedLayerNormalization", "BiasGelu"),
    "roberta": ("Attention", "SkipLayerNormalization"),
    "gpt2": ("FastGelu", "SkipLayerNormalization"),
    "llama": ("SkipSimplifiedLayerNormalization",),
}


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *((name, 2) for name in TRANSFORMERS_OPTIMISED),
        *((name, 0) for name in ("bert-cls", "llama", "marian-split", "t5")),
    ],
)
def test_graphs_of_the_transformers_optimiser(name: str, level: int, tmp_path: Path) -> None:
    operators = TRANSFORMERS_OPTIMISED[name]
    if (name, level) == ("llama", 0):
        operators += ("RotaryEmbedding",)
    convert = transformers_optimised(name, level)
    check_optimised(name, converted(name, tmp_path, convert), *operators)


def test_graphs_that_tools_have_changed_are_refused(tmp_path: Path) -> None:
    """The optimiser takes 8 buckets up to a distance of 20 for buckets up to 80; the quantiser
    takes ONNX's Attention for onnxruntime's."""
    folder = converted("mt5", tmp_path / "mt5", transformers_optimised("mt5", 0))
    with pytest.raises(UnsupportedModelError, match="does not compute what config"):
        read_model(folder)
    name = "llama-tied-dynamo"
    folder = converted(name, tmp_path / name, dynamic(QINT8, False))
    with pytest.raises(UnsupportedModelError, match="Attention 'scaled_dot_product_attention"):
        read_model(folder)


def test_attention_of_several_inputs(tmp_path: Path) -> None:
    convert = transformers_optimised("bert-cls", 0, use_multi_head_attention=True)
    check_optimised("bert-cls", converted("bert-cls", tmp_path, convert), "MultiHeadAttention")


@pytest.mark.parametrize("name", ["bart", "bert-cls"])
def test_an_approximated_gelu_is_computed_as_the_file_says(name: str, tmp_path: Path) -> None:
    convert = transformers_optimised(name, 2, enable_gelu_approximation=True)
    folder = converted(name, tmp_path, convert)
    assert read_model(folder).config.activation == "gelu_tanh"
    check_optimised(name, folder, "FastGelu")


@pytest.mark.parametrize("name", ["marian-split", "gpt2", "bert-cls", "t5"])
def test_quantised_and_optimised(name: str, tmp_path: Path) -> None:
    """A session makes MatMulIntegerToFloat or DynamicQuantizeMatMul of the products."""
    quantise, optimise = dynamic(QUINT8, True), session_optimised("EXTENDED")

    def convert(path: Path, out: Path) -> None:
        quantise(path, out.with_suffix(".quantised"))
        optimise(out.with_suffix(".quantised"), out)
        out.with_suffix(".quantised").unlink()

    folder = converted(name, tmp_path / "optimised", convert)
    model, plain = read_model(folder), read_model(converted(name, tmp_path / "plain", quantise))
    operators = {operator for form in model.forms for operator in form.operators}
    assert operators & {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
    assert "MatMulInteger" not in operators and model.stored_type == "int8"
    assert set(model.tensors) == set(plain.tensors)
    for tensor, expected in plain.tensors.items():
        np.testing.assert_array_equal(model.tensors[tensor], expected, err_msg=tensor)


@pytest.mark.parametrize("per_channel", [False, True])
def test_optimised_and_quantised(per_channel: bool, tmp_path: Path) -> None:
    """Attention and embeddings of integer weights are QAttention and QEmbedLayerNormalization."""
    name = "bert-cls"
    optimise, quantise = transformers_optimised(name, 0), dynamic(QUINT8, per_channel)

    def convert(path: Path, out: Path) -> None:
        optimise(path, out.with_suffix(".optimised"))
        quantise(out.with_suffix(".optimised"), out)
        out.with_suffix(".optimised").unlink()

    folder = converted(name, tmp_path, convert)
    model, plain = read_model(folder), read_model(FIXTURES / name).tensors
    operators = {operator for form in model.forms for operator in form.operators}
    assert "QAttention" in operators
    found = dequantized(model.tensors)
    for tensor, expected in plain.items():
        assert np.abs(found[tensor] - expected).max() <= 5e-3 * np.abs(expected).max(), tensor
    ids, source = some_ids(name)
    expected = outputs_of(FIXTURES / name, "float32", ids, source)
    assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-1


@pytest.mark.parametrize("packed", [False, True])
def test_grouped_query_attention(packed: bool, tmp_path: Path) -> None:
    config = json.loads((FIXTURES / "llama-tied" / "config.json").read_text())
    plain = read_model(FIXTURES / "llama-tied").tensors

    def convert(path: Path, out: Path) -> None:
        with_grouped_attention(path, out, config, plain["decoder.rotary.weight"], packed)

    folder = converted("llama-tied", tmp_path, convert)
    model = read_model(folder)
    for tensor, expected in plain.items():
        exact = (
            tensor != "decoder.rotary.weight"
        )  # which the operator's tables hold to a digit less
        bound = 0 if exact else 3e-7
        np.testing.assert_allclose(model.tensors[tensor], expected, bound, 0, err_msg=tensor)
    ids, source = some_ids("llama-tied")
    expected = expected_outputs(list(model.graph_paths.values()), ids, source)
    assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-4


SIMPLIFIED = [
    *((path.parent.name, "flatten") for path in sorted(FIXTURES.glob("*/config.json"))),
    *(("transformer-prenorm", "join"), ("bart", "join"), ("llama-tied", "join")),
    ("t5", "fold_factor"),
    *((n, "flatten_with_heads") for n in ("marian-split", "xlm-roberta-cls-dynamo", "llama-tied")),
]


WITHOUT_BIASES = {"t5", "mt5", "llama", "mistral", "gpt2"}  # gpt2: exported as Gemm


@pytest.mark.parametrize(("name", "how"), SIMPLIFIED)
def test_products_that_onnxsim_rewrote(name: str, how: str, tmp_path: Path) -> None:
    done = 0

    def convert(path: Path, out: Path) -> None:
        nonlocal done
        done += simplified(path, out, how)

    folder = converted(name, tmp_path, convert)
    found, plain = read_model(folder).tensors, read_model(FIXTURES / name).tensors
    assert set(found) == set(plain)
    bound = 2e-7 if how == "fold_factor" else 0  # the factor was rounded into the weight
    for tensor, expected in plain.items():
        np.testing.assert_allclose(found[tensor], expected, bound, 0, err_msg=tensor)
    assert done or name in WITHOUT_BIASES
    if name in ("bart", "bert-cls", "t5"):
        ids, source = some_ids(name)
        files = list(read_model(folder).graph_paths.values())
        expected = expected_outputs(files, ids, source)
        assert difference(outputs_of(folder, "default", ids, source), expected) <= 1e-4


def test_info_names_the_form(tmp_path: Path) -> None:
    quantised = converted("bert-cls", tmp_path / "quantised", dynamic(QUINT8, False))
    with open_model(quantised, cache_dir=False) as model:
        text = format_info(describe(model))
    assert "uint8" in text and "dynamic quantisation" in text and "runs as       int8" in text
    optimised = converted("bert-cls", tmp_path / "fused", transformers_optimised("bert-cls", 0))
    with open_model(optimised, cache_dir=False) as model:
        text = format_info(describe(model))
    assert "Attention x 2" in text and "EmbedLayerNormalization x 1" in text
    four_bits = converted("bert-cls", tmp_path / "blocks", blocks(4, False))
    with open_model(four_bits, cache_dir=False) as model:
        text = format_info(describe(model))
    assert "int4 in blocks of 16" in text and "blocks of few bits" in text
