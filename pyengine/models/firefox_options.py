"""How a Firefox folder wants its model decoded: the options in its ``config*.yml``.

They are options of Marian's decoder and of Bergamot, which Firefox runs. Each is used, refused
where it asks for what pyengine does not do, or known to change no translation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.binary_file import read_file
from pyengine.models.flat_yaml import read_flat_yaml
from pyengine.models.source_file import names_in

MAX_LENGTH_FACTOR = 3.0
"""Where no file says one: Marian's and Bergamot's default."""

MAX_SENTENCE_TOKENS = 128
"""Source tokens of one sentence at most, where no file says: Bergamot's max-length-break, and as
long as what models see in training."""

# Option -> its name here and the smallest value.
_USED = {
    "beam-size": ("num_beams", 1.0),
    "normalize": ("length_penalty", 0.0),
    "max-length-factor": ("max_length_factor", 1e-6),
}
_SENTENCE = ("max-length-break", "max-length")
"""Where Bergamot cuts a sentence, and what Marian leaves untranslated: the smaller one counts."""
_INTEGERS = ("beam-size", *_SENTENCE)
# Options that change translations, and the values that do not.
_OFF = ("false", "off", "no", "0", "")
_SWITCHED_OFF: dict[str, tuple[str, ...]] = {
    **{"word-penalty": ("0", "0.0"), "allow-unk": _OFF, "allow-special": _OFF},
    **{"force-decode": _OFF, "no-spm-decode": _OFF, "no-spm-encode": _OFF},
    **{"output-sampling": _OFF, "output-approx-knn": _OFF, "max-length-crop": _OFF},
    **{"tsv": _OFF, "right-left": _OFF},
}
_WITHOUT_INFLUENCE = {
    *("relative-paths", "models", "vocabs", "shortlist", "input", "output", "quality"),
    "interpolate-env-vars",  # which files: the folder shows its own
    *("mini-batch", "mini-batch-words", "maxi-batch", "maxi-batch-sort", "workspace", "devices"),
    *("num-devices", "cpu-threads", "data-threads", "cache-size", "seed"),
    *("ssplit-mode", "ssplit-prefix-file"),  # how texts are cut: here by pyengine's rules
    *("gemm-precision", "gemm-type", "int8", "fp16", "precision", "optimize", "quantize-range"),
    "clip-gemm",  # how integers are multiplied: here always exactly
    *("skip-cost", "quiet", "quiet-translation", "alignment", "n-best", "word-scores", "stat-freq"),
    *("log", "log-level", "check-bytearray", "bytearray", "version"),  # what is said beside
}


def read_decoding_options(folder: Path) -> dict[str, Any]:
    """The generation options of a Firefox folder, in pyengine's names.

    Args:
        folder: may hold ``config*.yml``.

    Raises:
        ModelFormatError: a value is none, or two files say different things.
        UnsupportedModelError: an option that pyengine does not know or do.
    """
    found: dict[str, Any] = {"max_length_factor": MAX_LENGTH_FACTOR}
    names = [name for name in names_in(folder) if name.startswith("config")]
    paths = [folder / name for name in names if name.endswith(".yml")]
    read = [_options(path) for path in paths]
    for path, options in zip(paths[1:], read[1:], strict=True):
        if options != read[0]:
            raise ModelFormatError(
                f"{str(folder)!r}: {paths[0].name} and {path.name} differ in how the model is "
                "decoded, expected one of them"
            )
    return found | (read[0] if read else {})


def _options(path: Path) -> dict[str, Any]:
    try:
        text = read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path.name}: not UTF-8 ({error})") from error
    try:
        entries = read_flat_yaml(text.removeprefix("\ufeff"), strict=True)
    except ValueError as error:
        raise ModelFormatError(f"{path.name}: {error}") from None
    found: dict[str, Any] = {}
    sentence = {"max-length-break": MAX_SENTENCE_TOKENS}
    for option, value in entries.items():
        if option in _USED:
            name, least = _USED[option]
            found[name] = _number(path, option, value, least)
        elif option in _SENTENCE:
            sentence[option] = int(_number(path, option, value, 1.0))
        elif option in _SWITCHED_OFF:
            if value and value not in _SWITCHED_OFF[option]:
                raise UnsupportedModelError(
                    f"{path.name}: {option} is {value!r:.60}, supported is "
                    f"{_SWITCHED_OFF[option][0]}"
                )
        elif option not in _WITHOUT_INFLUENCE:
            raise UnsupportedModelError(f"{path.name}: {option} is no option that pyengine knows")
    if min(sentence.values()) != MAX_SENTENCE_TOKENS:
        found["max_sentence_tokens"] = min(sentence.values())
    return found


def _number(path: Path, option: str, value: str | list[str], least: float) -> float | int:
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    is_whole = option not in _INTEGERS or number == round(number, 0)
    if not least <= number <= 1e6 or not is_whole:
        kind = "an integer" if option in _INTEGERS else "a number"
        raise ModelFormatError(
            f"{path.name}: {option} is {value!r:.60}, expected {kind} from {least:g} to 1e6"
        )
    return int(number) if option in _INTEGERS else number
