"""read_model: a folder becomes a configuration and named tensors."""

import dataclasses
from pathlib import Path

from pyengine import exits
from pyengine.models.reader import ModelFolder, read_folder


def read_model(folder: str | Path, variant: str | None = None) -> ModelFolder:
    """Reads a folder that an ONNX exporter wrote (docs: `optimum-cli export onnx`).

    Args:
        folder: holds config.json, optionally generation_config.json, and encoder_model.onnx with
            decoder_model.onnx or decoder_model_merged.onnx, or model.onnx of a model with one
            stack; these also in a subfolder onnx/. Or a Firefox Translations model, without
            config.json.
        variant: what the names of the ONNX files add, such as "fp16" in encoder_model_fp16.onnx;
            None: the first that is there of `onnx_files.VARIANTS`, the plain names before all.

    Raises:
        ModelNotFoundError: the folder or one of these files does not exist.
        ModelFormatError: a file is damaged, or the files contradict each other.
        UnsupportedModelError: an architecture, operator or number type that pyengine does not run.
    """
    with exits.guarded_imports:
        from pyengine.models.stacks import read_tensors  # which a packed file does not need

    model = read_folder(folder, variant)
    return dataclasses.replace(model, tensors=read_tensors(model))
