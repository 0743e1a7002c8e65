"""ONNX graphs of models with recurrent units, by the writer that converts Firefox's models.

PyTorch's exporter would unroll the recurrence to the traced length; the writer has a Scan.
"""

from pathlib import Path

import numpy as np

from pyengine.convert.graphs import write_decoder, write_encoder
from pyengine.models.transformer import read_config
from tools.reference.model import Transformer


def export_recurrent(model: Transformer, config_json: dict, folder: Path) -> None:
    """Write encoder_model.onnx and decoder_model.onnx, which computes all positions at once.

    Raises:
        ValueError: the model is pre-norm, which the writer is not.
    """
    if model.config.normalize_before:
        raise ValueError("a pre-norm model with recurrent units has no ONNX form yet")
    config, tensors = read_config(config_json), canonical_tensors(model)
    write_encoder(config, tensors, folder / "encoder_model.onnx")
    write_decoder(config, tensors, folder / "decoder_model.onnx")


def canonical_tensors(model: Transformer) -> dict[str, np.ndarray]:
    """Every weight as pyengine has it: the same names, linear maps as [in, out]."""
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return {
        name: array.T if array.ndim == 2 and ".embed_" not in name else array
        for name, array in arrays.items()
    }
