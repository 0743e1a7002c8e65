"""A Firefox Translations folder written in our own layout: ONNX files, JSON files, vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

from pyengine.convert.graphs import write_decoder, write_encoder
from pyengine.errors import ModelNotFoundError, OptionError
from pyengine.models.binary_file import read_file
from pyengine.models.firefox import read_firefox
from pyengine.models.firefox_files import FirefoxFiles, find_firefox_files
from pyengine.models.quantized import holds_int8
from pyengine.text.spiece import SpieceTokenizer


def convert(folder: Path, out: Path) -> None:
    """Write the model in ``folder`` to ``out``, which pyengine and onnxruntime read alike.

    int8 weights stay int8, each with its scale and a DequantizeLinear.

    Raises:
        ModelNotFoundError: ``folder`` holds no Firefox model.
        ModelFormatError, UnsupportedModelError: one of its files is damaged or unknown.
        OptionError: ``out`` holds a model already.

    Example::

        convert(Path("enpt"), Path("enpt-onnx"))
    """
    files = find_firefox_files(folder)
    if files is None:
        raise ModelNotFoundError(
            f"{str(folder)!r} holds no Firefox model: expected model*.bin or model*.npz, and "
            "vocab*.spm"
        )
    if (out / "config.json").exists():
        raise OptionError(f"{str(out)!r}: found a model in it, expected a new folder")
    model = read_firefox(files)
    SpieceTokenizer(
        files.source_vocab, files.target_vocab, model.raw_config
    )  # or it is not its own
    out.mkdir(parents=True, exist_ok=True)
    _write_json(out / "generation_config.json", model.generation_config)
    _write_text_files(files, out)
    write_encoder(model.config, model.tensors, out / "encoder_model.onnx")
    write_decoder(model.config, model.tensors, out / "decoder_model.onnx")
    # Last: with it, the folder is a model.
    stored_type = "int8" if holds_int8(model.tensors) else "float32"
    _write_json(out / "config.json", {**model.raw_config, "stored_type": stored_type})


def _write_text_files(files: FirefoxFiles, out: Path) -> None:
    (out / "source.spm").write_bytes(read_file(files.source_vocab))
    (out / "target.spm").write_bytes(read_file(files.target_vocab))
    if files.shortlist is not None:
        (out / files.shortlist.name.removesuffix(".gz")).write_bytes(read_file(files.shortlist))
    if files.languages is not None:
        source, target = files.languages
        languages = {"source_lang": source, "target_lang": target}
        _write_json(out / "tokenizer_config.json", languages)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
