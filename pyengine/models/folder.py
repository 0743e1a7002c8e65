"""Which files a model folder holds, and its two JSON files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError, ModelNotFoundError

ENCODER_FILE = "encoder_model.onnx"
MODEL_FILE = "model.onnx"  # of a model with one stack
# The first that exists is read. All hold every weight, which decoder_with_past_model.onnx does not.
DECODER_FILES = ("decoder_model.onnx", "decoder_model_merged.onnx")
PAIR_FILES = (ENCODER_FILE, *DECODER_FILES)
DECODER_WITH_PAST_FILE = "decoder_with_past_model.onnx"

# Special ids that a generation_config.json may leave out while config.json has them.
TOKEN_FIELDS = ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id")

# What transformers' GenerationConfig.from_model_config takes from a config.json, as far as
# pyengine knows the option.
GENERATION_FIELDS = (
    *TOKEN_FIELDS,
    *("num_beams", "num_return_sequences", "length_penalty", "early_stopping"),
    *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "renormalize_logits"),
    *("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens"),
    *("begin_suppress_tokens", "no_repeat_ngram_size", "repetition_penalty"),
    *("do_sample", "top_k", "top_p", "temperature"),
)


@dataclass(frozen=True)
class OnnxFiles:
    """The ONNX files of a folder.

    Attributes:
        encoder: encoder_model.onnx.
        decoder: the decoder that is read, one of DECODER_FILES.
        decoder_with_past: decoder_with_past_model.onnx where there is one; never read here.
    """

    encoder: Path
    decoder: Path
    decoder_with_past: Path | None


def check_folder(folder: Path) -> None:
    """Raise ModelNotFoundError unless `folder` is a folder with an ONNX model of any kind."""
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise ModelNotFoundError(f"model folder {str(folder)!r} {found}")
    if not any(_holds(place, MODEL_FILE, *PAIR_FILES) for place in _places(folder)):
        raise ModelNotFoundError(
            f"{str(folder)!r} holds no model: expected {MODEL_FILE}, or {ENCODER_FILE} and "
            f"{' or '.join(DECODER_FILES)}, in the folder or in its subfolder onnx; or model*.bin "
            "or model*.npz of a Firefox model"
        )


def find_model_file(folder: Path) -> Path:
    """The ONNX file of a model with one stack, in `folder` itself or else in its subfolder onnx/.

    Raises:
        ModelNotFoundError: `folder` is no folder, or there is no such file.
    """
    check_folder(folder)
    for place in _places(folder):
        if _holds(place, MODEL_FILE):
            return place / MODEL_FILE
    raise ModelNotFoundError(f"{str(folder)!r} lacks {MODEL_FILE}")


def find_onnx_files(folder: Path) -> OnnxFiles:
    """The ONNX files of `folder`, in the folder itself or else in its subfolder onnx/.

    Raises:
        ModelNotFoundError: `folder` is no folder, or lacks an encoder or a decoder.
    """
    check_folder(folder)
    return _find_in(next((p for p in _places(folder) if _holds(p, *PAIR_FILES)), folder))


def _places(folder: Path) -> tuple[Path, Path]:
    return folder, folder / "onnx"


def _holds(place: Path, *names: str) -> bool:
    return any((place / name).is_file() for name in names)


def _find_in(place: Path) -> OnnxFiles:
    encoder = place / ENCODER_FILE
    if not encoder.is_file():
        raise ModelNotFoundError(f"{str(place)!r} lacks {ENCODER_FILE}")
    decoder = next((place / name for name in DECODER_FILES if (place / name).is_file()), None)
    if decoder is None:
        raise ModelNotFoundError(f"{str(place)!r} lacks {' or '.join(DECODER_FILES)}")
    with_past = place / DECODER_WITH_PAST_FILE
    return OnnxFiles(encoder, decoder, with_past if with_past.is_file() else None)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: the file is not UTF-8 JSON, or not an object.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"{str(path.parent)!r} lacks {path.name}")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path.name}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ModelFormatError(
            f"{path.name}: found a JSON {type(value).__name__}, expected an object"
        )
    return value


def read_generation_config(folder: Path, raw_config: dict[str, Any]) -> dict[str, Any]:
    """Defaults of the generation options, in transformers' names and with its meaning.

    A generation_config.json rules alone, as in transformers; only the special ids that it lacks
    come from config.json. Without that file every option comes from config.json. Fields that are
    null count as absent.
    """
    path = folder / "generation_config.json"
    own = read_json_object(path) if path.is_file() else {}
    own = {name: value for name, value in own.items() if value is not None}
    inherited = TOKEN_FIELDS if path.is_file() else GENERATION_FIELDS
    for name in inherited:
        if name not in own and raw_config.get(name) is not None:
            own[name] = raw_config[name]
    return own
