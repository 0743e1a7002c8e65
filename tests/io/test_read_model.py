"""read_model on exported folders: the tensors make the same model as the files do."""

import subprocess
import sys
from pathlib import Path

import model_twin
import numpy as np
import onnx
import onnxruntime
import pytest

from pyengine.models import ModelFolder, read_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDERS = sorted(path.parent.name for path in FIXTURES.glob("*/config.json"))
PAIRS = [name for name in FOLDERS if any((FIXTURES / name).rglob("encoder_model.onnx"))]
GOLDEN = [FIXTURES / "golden" / f"{name.replace('-', '_')}.npz" for name in PAIRS]
GOLDEN = [path for path in GOLDEN if path.exists()]


@pytest.fixture(params=PAIRS, scope="module")
def model(request: pytest.FixtureRequest) -> ModelFolder:
    return read_model(FIXTURES / request.param)


def run_decoder(
    model: ModelFolder, hidden: np.ndarray, mask: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """onnxruntime's logits [1, len, vocab_size], with an empty cache where the graph wants one."""
    session = onnxruntime.InferenceSession(model.decoder_path)
    config = model.config
    feeds = {
        "encoder_attention_mask": mask,
        "input_ids": target,
        "encoder_hidden_states": hidden,
        "use_cache_branch": np.array([False]),
    }
    empty = np.zeros((1, config.decoder_num_heads, 0, config.decoder_head_dim), np.float32)
    inputs = [value.name for value in session.get_inputs()]
    return session.run(["logits"], {name: feeds.get(name, empty) for name in inputs})[0]


@pytest.mark.parametrize(("source_length", "target_length"), [(1, 1), (7, 5), (20, 16)])
def test_tensors_compute_what_onnxruntime_computes(
    model: ModelFolder, source_length: int, target_length: int
) -> None:
    config = model.config
    rng = np.random.default_rng(source_length)
    # Past the special tokens: M2M-100 gives padding no position.
    source = rng.integers(4, config.source_vocab_size, (1, source_length))
    target = rng.integers(4, config.vocab_size, (1, target_length))
    mask = np.ones_like(source)
    encoder = onnxruntime.InferenceSession(model.encoder_path)
    hidden = encoder.run(None, {"input_ids": source, "attention_mask": mask})[0]
    logits = run_decoder(model, hidden, mask, target)[0]

    twin_hidden = model_twin.encode(config, model.tensors, source[0])
    assert np.abs(twin_hidden - hidden[0]).max() <= 1e-4 * np.abs(hidden).max()
    twin_logits = model_twin.logits(config, model.tensors, source[0], target[0])
    assert twin_logits.shape == (target_length, config.vocab_size)
    error = np.abs(twin_logits - logits).max(-1) / np.abs(logits).max(-1)
    assert error.max() <= 1e-4


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_twin_agrees_with_pytorch(path: Path) -> None:
    model = read_model(FIXTURES / path.stem.replace("_", "-"))
    golden = np.load(path)
    for k in range(sum(name.startswith("source_") for name in golden)):
        source, target = golden[f"source_{k}"], golden[f"decoder_input_{k}"]
        expected = golden[f"logits_{k}"]
        error = np.abs(model_twin.logits(model.config, model.tensors, source, target) - expected)
        visible = expected > -1e4
        assert (error.max(-1, where=visible, initial=0) <= 1e-4 * np.abs(expected).max(-1)).all()


@pytest.mark.parametrize("name", FOLDERS)
def test_every_number_of_the_files_is_read(name: str) -> None:
    """The multiset of float tensors in the files is that of the tensors, copies aside."""
    model = read_model(FIXTURES / name)
    stored = set()
    for path in model.graph_paths.values():
        graph = onnx.load(path).graph
        # M2M-100's tables of positions and Llama's frequencies are no parameters: they are in
        # Constant nodes.
        tables = [node.attribute[0].t for node in graph.node if node.op_type == "Constant"]
        for tensor in [*graph.initializer, *(table for table in tables if len(table.dims) > 1)]:
            if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) > 1:
                values = onnx.numpy_helper.to_array(tensor, str(path.parent))
                stored.add(np.sort(values, axis=None).tobytes())
    tensors = (tensor for tensor in model.tensors.values() if tensor.size > 1)
    read = {np.sort(values, axis=None).tobytes() for values in tensors}
    assert read == stored


def test_tied_tables_share_memory() -> None:
    tensors = read_model(FIXTURES / "marian-split").tensors
    table = tensors["encoder.embed_tokens.weight"]
    assert np.shares_memory(tensors["decoder.embed_tokens.weight"], table)
    assert np.shares_memory(tensors["lm_head.weight"], table)
    assert np.array_equal(tensors["lm_head.weight"], table.T)


def test_separate_tables_stay_apart() -> None:
    model = read_model(FIXTURES / "marian-external")
    tensors, config = model.tensors, model.config
    assert config.source_vocab_size == 150
    assert config.vocab_size == 1100
    assert tensors["encoder.embed_tokens.weight"].shape == (150, 24)
    assert tensors["decoder.embed_tokens.weight"].shape == (1100, 24)
    assert not np.array_equal(tensors["lm_head.weight"], tensors["decoder.embed_tokens.weight"].T)


def test_the_files_that_are_used() -> None:
    split = read_model(str(FIXTURES / "marian-split"))
    assert split.encoder_path.name == "encoder_model.onnx"
    assert split.decoder_path.name == "decoder_model.onnx"
    assert split.decoder_with_past_path is not None
    merged = read_model(FIXTURES / "marian-merged")
    assert merged.decoder_path == FIXTURES / "marian-merged" / "onnx" / "decoder_model_merged.onnx"
    assert merged.decoder_with_past_path is None


def test_configuration_of_an_opus_folder() -> None:
    model = read_model(FIXTURES / "marian-split")
    config = model.config
    assert (config.activation, config.normalize_before) == ("silu", False)
    assert config.embed_scale == 32**0.5
    assert read_model(FIXTURES / "marian-merged").config.embed_scale == 1.0
    assert model.raw_config["activation_function"] == "swish"
    assert model.generation_config["num_beams"] == 4
    assert model.generation_config["bad_words_ids"] == [[210]]
    assert model.generation_config["decoder_start_token_id"] == 210


def test_pre_norm_reference_model() -> None:
    model = read_model(FIXTURES / "transformer-prenorm")
    assert model.model_type == "transformer"
    assert (model.config.normalize_before, model.config.activation) == (True, "relu")
    assert model.tensors["decoder.layer_norm.bias"].shape == (24,)
    assert "lm_head.bias" not in model.tensors
    table = model.tensors["encoder.embed_tokens.weight"]
    assert np.shares_memory(model.tensors["lm_head.weight"], table)


def test_arrays_are_read_only(model: ModelFolder) -> None:
    for name, tensor in model.tensors.items():
        assert tensor.dtype == np.float32, name
        assert not tensor.flags.writeable, name


def test_importing_the_reader_does_not_import_onnx() -> None:
    """It takes ~100 ms; a process that loads no model, or a cached one, does not pay it."""
    code = "import sys, pyengine.models; assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FIXTURES.parents[1])
