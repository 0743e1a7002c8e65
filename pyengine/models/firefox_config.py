"""The configuration inside a Marian model: what of it pyengine runs, and what it becomes."""

from __future__ import annotations

import re
from typing import Any

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.config import MAX_SIZE
from pyengine.models.flat_yaml import read_flat_yaml
from pyengine.models.marian_binary import MarianFile

MAX_POSITIONS = 512
"""Rows of the table of positions. Marian computes any; OPUS-MT's models stop here."""

_SIZE = re.compile(r"[0-9]{1,9}")

LAYER_NORM_EPS = 1e-6  # marian-dev, src/layers/generic.h

# Option -> the value that pyengine runs. An option that is missing has Marian's default, which is
# the value here but for those that every model of the architecture spells out.
_EXPECTED: dict[str, tuple[str | list[str], ...]] = {
    "type": ("transformer",),
    "transformer-decoder-autoreg": ("rnn",),
    "dec-cell": ("ssru",),
    "dec-cell-base-depth": ("2",),
    "dec-cell-high-depth": ("1",),
    "transformer-ffn-activation": ("relu",),
    "transformer-postprocess": ("dan", "an"),
}
_EXPECTED_OR_MISSING: dict[str, tuple[str | list[str], ...]] = {
    "transformer-preprocess": ("",),
    "transformer-postprocess-emb": ("d", ""),
    "transformer-postprocess-top": ("",),
    "transformer-ffn-depth": ("2",),
    "transformer-no-projection": ("false",),
    "transformer-train-position-embeddings": ("false",),
    "transformer-tied-layers": ([],),
    "layer-normalization": ("false",),
    "output-omit-bias": ("false",),
    "lemma-dim-emb": ("0",),
    "ulr": ("false",),
}


def raw_config_of(file: MarianFile) -> dict[str, Any]:
    """What config.json would say of the model, without its vocabulary sizes.

    Raises:
        ModelFormatError: an option is missing or no number.
        UnsupportedModelError: an architecture that pyengine does not run.
    """
    options = read_flat_yaml(file.yaml)
    if not options:
        raise ModelFormatError(f"{file.name}: found no configuration (special:model.yml) in it")
    for name, allowed in {**_EXPECTED, **_EXPECTED_OR_MISSING}.items():
        found = options.get(name)
        if found not in allowed and (found is not None or name in _EXPECTED):
            raise UnsupportedModelError(
                f"{file.name}: {name} is {found!r:.60}, supported is {allowed[0]!r}"
            )

    def size(name: str) -> int:
        value = options.get(name)
        number = int(value) if isinstance(value, str) and _SIZE.fullmatch(value) else 0
        if not 1 <= number <= MAX_SIZE:
            raise ModelFormatError(f"{file.name}: {name} is {value!r:.40}, expected a size")
        return number

    width, heads = size("dim-emb"), size("transformer-heads")
    if width % heads:
        raise ModelFormatError(
            f"{file.name}: dim-emb is {width}, expected a multiple of transformer-heads {heads}"
        )
    return {
        "model_type": "transformer",
        "decoder_kind": "ssru",
        "d_model": width,
        "encoder_layers": size("enc-depth"),
        "decoder_layers": size("dec-depth"),
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": size("transformer-dim-ffn"),
        "decoder_ffn_dim": size("transformer-dim-ffn"),
        "activation_function": "relu",
        "scale_embedding": True,
        "normalize_before": False,
        "layer_norm_eps": LAYER_NORM_EPS,
        "max_position_embeddings": MAX_POSITIONS,
    }
