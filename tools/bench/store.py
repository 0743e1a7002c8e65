"""The forms of a model that the engines load, each made once from the torch checkpoint and kept.

Making them needs torch, transformers and optimum-onnx (tools of this repository, which no extra of
the package brings), takes about two minutes and 3 GB of memory for OPUS-MT base, and twice that for
the big Transformer.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.random_families import RandomModel, export_random_model
from tools.bench.random_marian import Dimensions, save_random_marian

ONNX_FILES = ("encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx")
CONFIG_FILES = ("config.json", "generation_config.json")


@dataclass(frozen=True)
class Widened:
    """The trained model of a folder in the shape of a larger one, see ``widened.py``."""

    folder: Path
    size: Dimensions


@dataclass(frozen=True)
class Installed:
    """The model of two languages that ``pyengine models`` lists."""

    source: str
    target: str

    @property
    def path(self) -> Path:
        """Its folder; raises ModelNotFoundError if there is none."""
        from pyengine.registry import find_route

        return find_route(self.source, self.target)[0].path


Source = Dimensions | Path | Widened | Installed | RandomModel
"""Sizes of a model of random weights; a folder of the reference model's export; both; a model of
other people, whose folder is the only form; a family's model, which has no form but the export."""


class ModelStore:
    """Folders of one model under ``root``, one for each form.

    Args:
        root: where they are kept.
        source: of the weights.
        note: told what is being made.

    Example::

        ModelStore(Path("/tmp/pyengine-bench/opus-base"), OPUS_BASE).folder("onnx-int8")
    """

    def __init__(
        self, root: Path, source: Source, note: Callable[[str], None] = lambda message: None
    ) -> None:
        self.root = root
        self.source = source
        self._note = note

    def folder(self, form: str) -> Path:
        """The folder of a form: "engine", or a key of ``FORMS``; made first if it is not there.

        "engine" is what pyengine loads: the export as it is.
        """
        if isinstance(self.source, Installed):
            return self.source.path
        if form == "engine":
            return self.source if isinstance(self.source, Path) else self.folder("onnx")
        made = self.root / form
        if not made.is_dir():
            self._note(f"making {made}")
            partial = self.root / f"{form}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                FORMS[form](self, partial)
            partial.rename(made)
        return made


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON file of the folder."""
    config: dict[str, Any] = json.loads((folder / name).read_text())
    return config


def _save_torch(store: ModelStore, out: Path) -> None:
    if isinstance(store.source, Dimensions):
        save_random_marian(store.source, out)
    elif not isinstance(store.source, Installed | RandomModel):
        _save_trained(store.source, out)


def _save_trained(source: Path | Widened, out: Path) -> None:
    """The committed model in MarianMT's words, so that the peers can load it."""
    from transformers import GenerationConfig

    from tools.bench.widened import widen
    from tools.reference.folder import load_folder
    from tools.reference.marian import to_marian

    if isinstance(source, Widened):
        folder, model = source.folder, widen(source.folder, source.size)
    else:
        folder, model = source, to_marian(load_folder(source))
    model.generation_config = GenerationConfig(**read_config(folder, "generation_config.json"))
    model._keys_to_ignore_on_save = None  # its position tables are not Marian's: keep them
    model.save_pretrained(out)


def _export_onnx(store: ModelStore, out: Path) -> None:
    from optimum.exporters.onnx import main_export

    if isinstance(store.source, RandomModel):
        export_random_model(store.source, out)
        return
    main_export(
        str(store.folder("torch")),
        output=out,
        task="text2text-generation-with-past",
        library_name="transformers",
    )


def _quantize_onnx(store: ModelStore, out: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = store.folder("onnx")
    for name in ONNX_FILES:
        quantize_dynamic(source / name, out / name, per_channel=True, weight_type=QuantType.QInt8)
    for name in CONFIG_FILES:
        shutil.copyfile(source / name, out / name)


def _convert_to_ctranslate2(quantization: str) -> Callable[[ModelStore, Path], None]:
    def convert(store: ModelStore, out: Path) -> None:
        from tools.bench.peers.ctranslate2_converter import convert_marian

        convert_marian(store.folder("torch"), out, quantization)

    return convert


FORMS: dict[str, Callable[[ModelStore, Path], None]] = {
    "torch": _save_torch,
    "onnx": _export_onnx,
    "onnx-int8": _quantize_onnx,
    "ctranslate2-float32": _convert_to_ctranslate2("float32"),
    "ctranslate2-int8": _convert_to_ctranslate2("int8"),
}
