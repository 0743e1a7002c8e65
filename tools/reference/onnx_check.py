"""An exported folder against the PyTorch model it came from."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from tools.reference.folder import decoder_path
from tools.reference.model import Transformer
from tools.reference.onnx_graphs import cache_names

TOLERANCE = 1e-5
"""Largest accepted max|a - b| / max|b|."""


def session(path: Path) -> onnxruntime.InferenceSession:
    """The file in onnxruntime, on the CPU."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def difference(actual, expected) -> float:
    """max|actual - expected| / max|expected|."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


class OnnxDecoder:
    """decoder_model_merged.onnx with its cache, one call a step.

    Args:
        path: the file.
        model: tells the sizes.
        encoder_hidden_states: [batch, src_len, d_model].
        encoder_attention_mask: [batch, src_len].
    """

    def __init__(self, path: Path, model: Transformer, encoder_hidden_states, mask):
        self.session = session(path)
        config = model.config
        names = cache_names("past_key_values", config.decoder_layers, (".decoder", ".encoder"))
        heads = config.decoder_attention_heads
        empty = np.zeros((len(mask), heads, 0, config.d_model // heads), np.float32)
        self.feeds = {
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": mask,
            "use_cache_branch": np.array([False]),
        } | dict.fromkeys(names, empty)

    def step(self, input_ids: Tensor) -> np.ndarray:
        """Logits of these tokens, [batch, tgt_len, vocab_size]; the cache grows by them."""
        values = self.session.run(None, self.feeds | {"input_ids": input_ids.numpy()})
        outputs = dict(zip([x.name for x in self.session.get_outputs()], values, strict=True))
        cached = bool(self.feeds["use_cache_branch"][0])
        for name in outputs:
            if name.startswith("present") and not (cached and ".encoder." in name):
                self.feeds[name.replace("present", "past_key_values")] = outputs[name]
        self.feeds["use_cache_branch"] = np.array([True])
        return outputs["logits"]


def onnx_logits(
    path: Path, model: Transformer, encoder_hidden_states, mask, target: Tensor
) -> list[np.ndarray]:
    """Logits of the file, all positions at once and, if it has a cache, in three steps too."""
    if model.config.decoder_kind == "ssru":  # written without a cache
        feeds = {
            "input_ids": target.numpy(),
            "encoder_attention_mask": mask,
            "encoder_hidden_states": encoder_hidden_states,
        }
        return session(path).run(["logits"], feeds)
    uncached = OnnxDecoder(path, model, encoder_hidden_states, mask).step(target)
    decoder = OnnxDecoder(path, model, encoder_hidden_states, mask)
    cached = [decoder.step(step) for step in (target[:, :1], target[:, 1:2], target[:, 2:])]
    return [uncached, np.concatenate(cached, axis=1)]


@torch.no_grad()
def check_translation_model(model: Transformer, folder: Path) -> float:
    """Compare the encoder, and the decoder with and without its cache, on random ids with padding.

    Returns:
        The largest relative difference seen.

    Raises:
        ValueError: it is above TOLERANCE.
    """
    model.eval()
    generator = torch.Generator().manual_seed(0)
    source, target = (
        torch.randint(3, model.config.vocab_size, (3, length), generator=generator)
        for length in (11, 9)
    )
    mask = torch.ones_like(source)
    mask[1, 6:] = 0
    hidden_states = model.encoder(source, mask)
    feeds = {"input_ids": source.numpy(), "attention_mask": mask.numpy()}
    onnx_hidden_states = session(folder / "encoder_model.onnx").run(None, feeds)[0]
    logits = model.decoder.logits(model.decoder(target, mask, hidden_states)[0])
    found = onnx_logits(decoder_path(folder), model, onnx_hidden_states, mask.numpy(), target)
    worst = max(
        difference(onnx_hidden_states, hidden_states),
        *(difference(actual, logits) for actual in found),
    )
    if worst > TOLERANCE:
        raise ValueError(f"{folder}: relative difference {worst:.1e} exceeds {TOLERANCE}")
    return worst
