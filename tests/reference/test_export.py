"""Exports of the three kinds of model against onnxruntime, and back into PyTorch."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("optimum.onnx")

import onnx  # noqa: E402

from tools.reference import onnx_check  # noqa: E402
from tools.reference.config import TransformerConfig  # noqa: E402
from tools.reference.export import export  # noqa: E402
from tools.reference.folder import all_initializers, load_folder  # noqa: E402
from tools.reference.language_model import LanguageModel  # noqa: E402
from tools.reference.model import Encoder, Transformer  # noqa: E402
from tools.reference.onnx_graphs import (  # noqa: E402
    cache_names,
    export_encoder,
    export_language_model,
)

SIZES = {
    "vocab_size": 37,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 32,
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def build(kind=Transformer, **changes):
    """A small model all of whose weights are random, biases and norms too."""
    torch.manual_seed(0)
    model = kind(TransformerConfig(**(SIZES | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("normalize_before", [False, True])
def test_translation_model(tmp_path, normalize_before):
    model = build(normalize_before=normalize_before)
    assert export(model, tmp_path) < 1e-5
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "config.json",
        "decoder_model_merged.onnx",
        "encoder_model.onnx",
        "generation_config.json",
    ]
    again = load_folder(tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_recurrent_model(tmp_path):
    model = build(decoder_kind="ssru", encoder_attention_heads=2)
    assert export(model, tmp_path) < 1e-5
    assert (tmp_path / "decoder_model.onnx").exists()
    again = load_folder(tmp_path)
    assert again.config == dataclasses.replace(model.config, dropout=again.config.dropout)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_recurrent_pre_norm_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="pre-norm model with recurrent units"):
        export(build(decoder_kind="ssru", normalize_before=True), tmp_path)


def test_names_are_those_of_optimum(tmp_path):
    export(build(), tmp_path)
    decoder = onnx_check.session(tmp_path / "decoder_model_merged.onnx")
    caches = cache_names("past_key_values", 2, (".decoder", ".encoder"))
    assert caches[:4] == [
        "past_key_values.0.decoder.key",
        "past_key_values.0.decoder.value",
        "past_key_values.0.encoder.key",
        "past_key_values.0.encoder.value",
    ]
    first = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"]
    assert [x.name for x in decoder.get_inputs()] == [*first, *caches, "use_cache_branch"]
    presents = cache_names("present", 2, (".decoder", ".encoder"))
    assert [x.name for x in decoder.get_outputs()] == ["logits", *presents]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "transformer"


def test_weights_are_stored_once(tmp_path):
    """The embedding also projects, and both branches share what they read."""
    model = build()
    export(model, tmp_path)
    graph = onnx.load(tmp_path / "decoder_model_merged.onnx").graph
    stored = sum(int(np.prod(x.dims)) for x in all_initializers(graph) if x.data_type == 1)
    assert stored == sum(tensor.numel() for tensor in model.decoder.state_dict().values())


def test_a_wrong_export_is_refused(tmp_path):
    export(build(), tmp_path)
    other = build()
    with torch.no_grad():
        other.decoder.layers[1].fc2.bias[0] += 0.1
    with pytest.raises(ValueError, match="relative difference"):
        onnx_check.check_translation_model(other, tmp_path)


def test_encoder_only(tmp_path):
    encoder = build().encoder
    assert isinstance(encoder, Encoder)
    export_encoder(encoder, tmp_path / "model.onnx")
    ids = torch.randint(3, 37, (3, 5))
    mask = torch.ones_like(ids)
    mask[2, 3:] = 0
    feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    actual = onnx_check.session(tmp_path / "model.onnx").run(None, feeds)[0]
    with torch.no_grad():
        assert onnx_check.difference(actual, encoder(ids, mask)) < 1e-5


def test_decoder_only(tmp_path):
    model = build(LanguageModel)
    export_language_model(model, tmp_path / "model.onnx")
    session = onnx_check.session(tmp_path / "model.onnx")
    ids = torch.randint(3, 37, (2, 6))
    with torch.no_grad():
        expected = model.logits(model(ids, torch.ones_like(ids))[0])
    empty = np.zeros((2, 4, 0, 4), np.float32)
    caches = dict.fromkeys(cache_names("past_key_values", 2, ("",)), empty)
    logits = []
    for start, end in ((0, 4), (4, 5), (5, 6)):
        feeds = {
            "input_ids": ids[:, start:end].numpy(),
            "attention_mask": np.ones((2, end), np.int64),
        }
        step, *presents = session.run(None, feeds | caches)
        caches = dict(zip(caches, presents, strict=True))
        logits.append(step)
    assert onnx_check.difference(np.concatenate(logits, axis=1), expected) < 1e-5
