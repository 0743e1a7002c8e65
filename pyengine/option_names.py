"""Names of options: those that pyengine does not support, those that change nothing, and typos."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pyengine.errors import UnknownOptionError
from pyengine.generation_options import (
    NOT_SUPPORTED,
    OPTION_NAMES,
    SAMPLING_NOT_SUPPORTED,
    WITHOUT_EFFECT,
)
from pyengine.option_values import Given

_KNOWN = frozenset((*OPTION_NAMES, *NOT_SUPPORTED, *SAMPLING_NOT_SUPPORTED, *WITHOUT_EFFECT))
NAMES_IN_FILES = _KNOWN - {"seed", "max_length_factor"}
"""Those of transformers' GenerationConfig that change what is generated, supported or not."""

_OTHER_NAMES = {  # of CTranslate2, fairseq, sentence-transformers, Argos, DeepL and others
    "num_hypotheses": "num_return_sequences",
    "nbest": "num_return_sequences",
    "n_best": "num_return_sequences",
    "max_decoding_length": "max_new_tokens",
    "min_decoding_length": "min_new_tokens",
    "sampling_topk": "top_k",
    "sampling_topp": "top_p",
    "sampling_temperature": "temperature",
    "truncation": "truncate",
    **dict.fromkeys(("src_lang", "source_lang", "from_code", "from_lang", "src", "sl"), "source"),
    **dict.fromkeys(
        ("tgt_lang", "target_lang", "to_code", "to_lang", "tgt", "dest", "tl"), "target"
    ),
    "target_prefix": "target",
    "alternatives": "num_return_sequences",
    "max_tokens": "max_new_tokens",
    "split_sentences": "split",
    **dict.fromkeys(("normalize_embeddings", "normalise"), "normalize"),
    **dict.fromkeys(("show_progress_bar", "progress_bar", "verbose"), "progress"),
    "pooling_mode": "pooling",
    **dict.fromkeys(("q", "sentence", "sentences", "inputs", "source_text"), "text"),
    **dict.fromkeys(
        ("tag_handling", "ignore_tags", "html", "format", "replace_unknowns"), "keep_spans"
    ),
}
_NOT_DONE = (
    *("formality", "glossary", "context", "stop", "end_token", "precision", "output_value"),
    *("truncate_dim", "return_full_text", "logits_processor", "stopping_criteria"),
)
_NOTES = {  # of names without a counterpart
    **dict.fromkeys(
        ("max_batch_size", "batch_type"), "batch_size is a setting of the model's class"
    ),
    "num_workers": "threads is a setting of the model's class",
    **dict.fromkeys(
        ("streamer", "callback"), "translate_stream and stream hand out text as it is made"
    ),
    **dict.fromkeys(
        ("return_scores", "return_log_probs", "output_scores"), "generate returns scores"
    ),
    **dict.fromkeys(
        ("return_tensors", "convert_to_numpy", "convert_to_tensor"),
        "ids are lists, vectors are NumPy arrays",
    ),
    **dict.fromkeys(
        ("skip_special_tokens", "clean_up_tokenization_spaces"),
        "decoding leaves special tokens out",
    ),
    "add_special_tokens": "special tokens are added as the model expects them",
    **dict.fromkeys(("padding", "attention_mask"), "texts of any lengths need no padding"),
    "preserve_formatting": "white space and line breaks always stay as they are",
    **dict.fromkeys(("lang", "language_code"), "languages are given as source and target"),
    **dict.fromkeys(("return_all_scores", "function_to_apply"), "classify returns all classes"),
    **dict.fromkeys(
        ("max_seq_length", "max_input_length"),
        "the folder and the model's positions say the length",
    ),
    **dict.fromkeys(_NOT_DONE, "pyengine does not do this"),
    "generation_config": "its values are given as options of the call",
}
TEXT_ARGUMENTS = (
    *("source", "target", "prefix", "split", "truncate", "language", "keep_spans", "progress"),
    *("timeout", "cancel"),
)
"""Keywords that translate takes beside the options."""

SETTING_NAMES = (
    *("compute_type", "threads", "batch_size", "isa", "cache_dir", "shortlist", "variant"),
)
_OTHER_SETTINGS = {  # of CTranslate2, transformers and sentence-transformers
    **dict.fromkeys(("intra_threads", "inter_threads", "num_threads", "cpu_threads"), "threads"),
    **dict.fromkeys(("dtype", "torch_dtype", "quantization", "load_in_8bit"), "compute_type"),
    **dict.fromkeys(("cache_folder", "cache_path"), "cache_dir"),
    **dict.fromkeys(("revision", "file_name", "model_file_name"), "variant"),
}
_DEVICES = ("device", "device_index", "device_map", "provider", "providers")


def check_names(call: Mapping[str, Any]) -> None:
    """Raises UnknownOptionError, which names the nearest, for a keyword that is no option."""
    for name in call:
        if name not in _KNOWN:
            raise UnknownOptionError(f"{name}: no such option; {_nearest(name)}")


def _nearest(name: str) -> str:
    if name in TEXT_ARGUMENTS:
        return "it is an argument of translate(...)"
    every = f"{', '.join(OPTION_NAMES)}; translate(...) takes {', '.join(TEXT_ARGUMENTS)} too"
    return hint(name, (*OPTION_NAMES, *TEXT_ARGUMENTS), f"the options are {every}")


def hint(name: str, known: Sequence[str], every: str | None = None) -> str:
    """What somebody may have meant by an argument that a function does not have.

    Args:
        name: of the argument.
        known: names of those that it has.
        every: what to say where none of them is near; ``None``: lists them.
    """
    if name in SETTING_NAMES:
        return "it is a setting of the model's class, as in Translator(...)"
    if name in _DEVICES:
        return "pyengine computes on the CPU"
    if name in _NOTES:
        return _NOTES[name]
    if _OTHER_NAMES.get(name) in known or name not in _OTHER_NAMES:
        close = _close(name, _OTHER_NAMES, known)
        if close:
            return f"did you mean {close}?"
    return every or f"its arguments are {', '.join(known)}"


def _close(name: str, other_names: Mapping[str, str], known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return other_names.get(name) or (close[0] if close else None)


def check_settings(kind: str, unknown: Mapping[str, Any]) -> None:
    """Raises UnknownOptionError for a keyword of a model's class that is no setting.

    Args:
        kind: name of the class.
        unknown: the keywords that it does not have.
    """
    for name in unknown:
        hint = f"the settings are {', '.join(SETTING_NAMES)}"
        if name in _DEVICES:
            hint = "pyengine computes on the CPU"
        elif close := _close(name, _OTHER_SETTINGS, SETTING_NAMES):
            hint = f"did you mean {close}?"
        elif name in _KNOWN or name in TEXT_ARGUMENTS:
            hint = "it is an option of each call"
        raise UnknownOptionError(f"{name}: no such setting of {kind}(...); {hint}")


def check_supported(given: Given, do_sample: bool) -> None:
    """Raises OptionError for a value that asks for what pyengine does not do."""
    table = {**NOT_SUPPORTED, **(SAMPLING_NOT_SUPPORTED if do_sample else {})}
    for name, inactive in table.items():
        value = given.values.get(name)
        if value is not None and value not in inactive:
            hint = f"only {inactive[0]!r}" if inactive else "only None"
            raise given.error(name, f"{hint}: pyengine does not support this option yet")
