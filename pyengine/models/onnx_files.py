"""Which ONNX files a model folder holds, and which of them are read.

Exporters and quantisers write one model in several variants beside each other, told apart by what
their names add: encoder_model.onnx, encoder_model_fp16.onnx, encoder_model_quantized.onnx.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pyengine.errors import ModelNotFoundError, OptionError, excerpt
from pyengine.models.source_file import is_there, names_in

ENCODER = "encoder_model"
DECODERS = ("decoder_model", "decoder_model_merged")
"""The first that exists is read. Both hold every weight."""
DECODER_WITH_PAST = "decoder_with_past_model"
"""Never read: it lacks the weights of keys and values of the encoder's states."""
MODEL = "model"
"""Of a model with one stack."""

VARIANTS = ("", "optimized", "fp16", "quantized", "int8", "uint8", "q4f16", "q4", "bnb4")
"""The order in which a variant is taken where none is asked for: the more exact first."""

_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class OnnxFiles:
    """The ONNX files of a model with two stacks.

    Attributes:
        encoder: of the encoder.
        decoder: the decoder that is read.
        merged: the merged decoder of the same variant where there is one.
        decoder_with_past: the decoder that takes a cache where there is one; never read.
    """

    encoder: Path
    decoder: Path
    merged: Path | None
    decoder_with_past: Path | None


def checked_variant(variant: object) -> str | None:
    """The setting `variant`.

    Raises:
        OptionError: neither None nor what a file's name may add.
    """
    if variant is None or (isinstance(variant, str) and _VARIANT.fullmatch(variant)):
        return variant
    raise OptionError(
        f"variant: found {excerpt(variant)}, expected None or what the names of ONNX files add, "
        f"such as {', '.join(map(repr, VARIANTS[1:4]))}"
    )


def check_folder(folder: Path) -> None:
    """Raise ModelNotFoundError unless `folder` is a folder with an ONNX model of any kind."""
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise ModelNotFoundError(f"model folder {str(folder)!r} {found}")
    if _place(folder, MODEL, ENCODER, *DECODERS, DECODER_WITH_PAST) is None:
        raise ModelNotFoundError(
            f"{str(folder)!r} holds no model: expected {MODEL}.onnx, or {ENCODER}.onnx and "
            f"{_names(DECODERS)}, in the folder or in its subfolder onnx; or model*.bin "
            "or model*.npz of a Firefox model"
        )


def find_model_file(folder: Path, variant: str | None = None) -> Path:
    """The ONNX file of a model with one stack, in `folder` itself or else in its subfolder onnx/.

    Args:
        folder: the model folder.
        variant: what the file's name adds; None: the first of VARIANTS.

    Raises:
        ModelNotFoundError: `folder` is no folder, or there is no such file.
    """
    check_folder(folder)
    place = _place(folder, MODEL) or folder
    return _find(place, (MODEL,), variant)


def find_onnx_files(folder: Path, variant: str | None = None) -> OnnxFiles:
    """The ONNX files of a model with two stacks, in `folder` or else in its subfolder onnx/.

    Args:
        folder: the model folder.
        variant: what their names add; None: the first of VARIANTS that both stacks have, or of each
            stack if they have none in common.

    Raises:
        ModelNotFoundError: `folder` is no folder, or lacks an encoder or a decoder.
    """
    check_folder(folder)
    place = _place(folder, ENCODER, *DECODERS) or _place(folder, DECODER_WITH_PAST) or folder
    if variant is None:
        both = {*_variants(place, (ENCODER,))} & {*_variants(place, DECODERS)}
        variant = next((known for known in VARIANTS if known in both), None)
    encoder, decoder = _find(place, (ENCODER,), variant), _find(place, DECODERS, variant)
    stem = next(stem for stem in reversed(DECODERS) if decoder.stem.startswith(stem))
    suffix = decoder.stem.removeprefix(stem)
    beside = (place / f"{stem}{suffix}.onnx" for stem in (DECODERS[1], DECODER_WITH_PAST))
    merged, with_past = (path if is_there(path) else None for path in beside)
    return OnnxFiles(encoder, decoder, merged, with_past)


def _place(folder: Path, *stems: str) -> Path | None:
    """The folder or its subfolder onnx, whichever holds one of the files first."""
    places = (place for place in (folder, folder / "onnx") if _variants(place, stems))
    return next(places, None)


def _find(place: Path, stems: tuple[str, ...], variant: str | None) -> Path:
    """The first of the files in this variant, or in the first of VARIANTS."""
    for wanted in VARIANTS if variant is None else (variant,):
        for stem in stems:
            path = place / _name(stem, wanted)
            if is_there(path):
                return path
    message = f"{str(place)!r} lacks {_names(stems, variant or '')}"
    if found := _variants(place, stems):
        shown = ", ".join(repr(name) if name else "the plain one" for name in found)
        message += f"; the variants in it: {shown}"
    elif stems == DECODERS and _variants(place, (DECODER_WITH_PAST,)):
        message += (
            f"; {DECODER_WITH_PAST}.onnx alone is no model: it lacks the weights of keys and "
            "values of the encoder's states"
        )
    raise ModelNotFoundError(message)


def _variants(place: Path, stems: tuple[str, ...]) -> list[str]:
    """What the names of these files add, "" for nothing, in the order of preference."""
    found = set()
    names = names_in(place) if place.is_dir() else []
    paths = [place / name for name in names if name.endswith(".onnx")]
    for stem in stems:
        if is_there(place / f"{stem}.onnx"):
            found.add("")
        others = [longer for longer in DECODERS if longer != stem and longer.startswith(stem)]
        for path in paths:
            is_longer = path.stem.startswith(tuple(others))
            if path.name.startswith(f"{stem}_") and not is_longer and is_there(path):
                found.add(path.stem.removeprefix(f"{stem}_"))
    known = [variant for variant in VARIANTS if variant in found]
    return [*known, *sorted(found.difference(VARIANTS))]


def _name(stem: str, variant: str) -> str:
    return f"{stem}_{variant}.onnx" if variant else f"{stem}.onnx"


def _names(stems: tuple[str, ...], variant: str = "") -> str:
    return " or ".join(_name(stem, variant) for stem in stems)
