"""What onnxruntime needs to know of a folder that pyengine has loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyengine.bench.onnxruntime_loop import OnnxFiles
from pyengine.errors import ModelNotFoundError

if TYPE_CHECKING:
    from pyengine.translator import Translator


def onnx_files(folder: Path, variant: str | None = None) -> OnnxFiles:
    """The files that onnxruntime runs fastest: the pair of decoders, else the merged one.

    Args:
        folder: the model folder.
        variant: which of its files, as the setting of Translator.

    Raises:
        ModelNotFoundError: the folder lacks an encoder or a decoder.
    """
    from pyengine.models.onnx_files import find_onnx_files

    if not (folder / "config.json").exists():
        raise ModelNotFoundError(
            f"{str(folder)!r} lacks config.json and ONNX files, which onnxruntime needs; "
            "pyengine convert writes them for a Firefox model"
        )
    found = find_onnx_files(folder, variant)
    if found.merged and (found.decoder_with_past is None or found.decoder == found.merged):
        return OnnxFiles(found.encoder, found.merged)
    return OnnxFiles(found.encoder, found.decoder, found.decoder_with_past)


def pad_token_id(translator: Translator) -> int:
    """The id that fills short sentences of a batch; masked, so any id does where none is named."""
    value = translator.generation_config.get("pad_token_id")
    return value if isinstance(value, int) and value >= 0 else 0
