"""Random calls of the Python API, as JSON that says how the values are made."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tiny_marian

from pyengine import Encoder, Generator, Translator
from pyengine.generation_options import OPTION_NAMES

from .area import FIXTURES
from .mutations import FLOATS, TEXTS, odd_integer, odd_value

MODELS = ("Translator", "Translator", "Shortlisted", "Generator", "Encoder")
"""Names of models, those that are called more often several times."""

Call = dict[str, Any]
"""A call in JSON: the method, its arguments and keywords, how much of a stream is read, and whether
it is cancelled."""

_MOST = 6  # pieces, sentences or results that are asked for

# Values of options that are sound, or nearly so.
_VALUES: dict[str, tuple[Any, ...]] = {
    "num_beams": (1, 2, 3, 5, 0),
    "num_return_sequences": (1, 2, 5),
    "do_sample": (True, False),
    "early_stopping": (True, False, "never"),
    "length_penalty": (0.0, 1.0, -2.0, 1e30, -1e30),
    "eos_token_id": (None, 0, [0, 1, 29], [], [0] * 1000),
    "forced_bos_token_id": (None, 5),
    "forced_eos_token_id": (None, 0, [0, 3]),
    "suppress_tokens": (None, [], [3], list(range(31)), list(range(1, 31))),
    "begin_suppress_tokens": (None, [0], list(range(31))),
    "bad_words_ids": ([[3]], [[3, 4], [5]], [list(range(30))], [[i] for i in range(31)]),
    "no_repeat_ngram_size": (0, 1, 2, 2**31 - 1),
    "encoder_no_repeat_ngram_size": (0, 1, 2, 2**31 - 1),
    "repetition_penalty": (1.0, 1.5, 1e-6, 1e6),
    "encoder_repetition_penalty": (1.0, 0.5, 1e6),
    "renormalize_logits": (True, False),
    "temperature": (1.0, 1e-6, 1e6),
    "top_k": (0, 1, 5, 256, 257, 2**31 - 1),
    "top_p": (0.0, 0.5, 1.0),
    "min_p": (0.0, 0.1, 1.0),
    "typical_p": (0.0, 0.3, 1.0),
    "seed": (None, 0, 2**64 - 1),
    "max_length": (1, 2, 9, 40),
    "min_length": (0, 3, 2**31 - 1),
    "min_new_tokens": (0, 3, 2**31 - 1, 2**31 - 2),
    "max_length_factor": (0.0, 1e-3, 1.0, 1e6),
    "decoder_start_token_id": (30, 0),
}
_SETTINGS: dict[str, tuple[Any, ...]] = {
    "source": (None, "en", "xx", "deu_Latn", ""),
    "target": (None, "de", "yy", "zh-Hant"),
    "prefix": ("", "a ", "\ud800", "\0"),
    "split": (True, False),
    "truncate": (True, False),
    "language": (None, "en", "ja", "klingon"),
    "keep_spans": (None, True, False),
    "timeout": (None, 60, 1e-9, 0),
    "pooling": (None, "mean", "cls", "max", "lasttoken", "weightedmean"),
    "normalize": (None, True, False),
    "prompt": (None, "a ", ""),
}
_METHODS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    # class: its methods, with the kinds of their arguments
    "Translator": (
        ("generate", ("ids",)),
        ("generate", ("ids",)),
        ("score", ("ids", "ids")),
        ("translate", ("texts",)),
        ("translate_iter", ("texts",)),
        ("translate_stream", ("text",)),
        ("encode", ("text",)),
        ("encode_batch", ("texts",)),
        ("decode", ("row",)),
        ("generation_options", ()),
    ),
    "Generator": (
        ("generate", ("ids",)),
        ("generate", ("ids",)),
        ("score", ("ids",)),
        ("stream", ("row",)),
        ("generation_options", ()),
    ),
    "Encoder": (
        ("encode", ("texts",)),
        ("forward", ("ids",)),
        ("classify", ("texts",)),
        ("classify", ("pairs",)),
        ("encode", ("pairs",)),
        ("tokenize", ("texts",)),
    ),
}
_WITHOUT_OPTIONS = {"score", "encode_batch", "decode", "tokenize"}
_OF_TEXT = ("source", "target", "prefix")
_OF_TRANSLATIONS = (*_OF_TEXT, "split", "truncate", "language", "keep_spans", "timeout")
_TAKEN: dict[str, tuple[str, ...]] = {
    "Translator.translate": _OF_TRANSLATIONS,
    "Translator.translate_iter": _OF_TRANSLATIONS,
    "Translator.translate_stream": _OF_TRANSLATIONS,
    "Translator.encode": _OF_TEXT,
    "Translator.encode_batch": ("truncate",),
    "Translator.generate": ("target", "timeout"),
    "Translator.score": ("timeout",),
    "Generator.generate": ("timeout",),
    "Generator.score": ("timeout",),
    "Generator.stream": ("timeout",),
    "Encoder.encode": ("pooling", "normalize", "truncate", "prompt", "timeout"),
    "Encoder.forward": ("timeout",),
    "Encoder.classify": ("truncate", "timeout"),
    "Encoder.tokenize": ("truncate",),
}
"""The settings that a method takes besides options."""


Model = Translator | Generator | Encoder


class Models:
    """The folders of small models."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name)
        tiny_marian.write_folder(self._path / "firefox", 0, 30)
        lists = tiny_marian.random_lists(0, 30, 4)
        (self._path / "firefox" / "lex.bin").write_bytes(tiny_marian.shortlist(3, lists))
        shutil.copytree(FIXTURES / "gpt2", self._path / "gpt2")

    def on(self, threads: int) -> dict[str, Model]:
        """The models by the names of :data:`MODELS`, each on so many threads."""
        arguments: dict[str, Any] = {"threads": threads, "cache_dir": False}
        return {
            "Translator": Translator(self._path / "firefox", shortlist=False, **arguments),
            "Shortlisted": Translator(self._path / "firefox", **arguments),
            "Generator": Generator(self._path / "gpt2", **arguments),
            "Encoder": Encoder(FIXTURES / "bert-cls", **arguments),
        }


def random_call(rng: random.Random, model: str) -> Call:
    """A call of the model with this name; one that is sound ends soon."""
    name = "Translator" if model == "Shortlisted" else model
    method, kinds = rng.choice(_METHODS[name])
    keywords: dict[str, Any] = {}
    for setting in _TAKEN.get(f"{name}.{method}", ()):
        if rng.random() < 0.15:
            keywords[setting] = _odd(rng, _SETTINGS[setting])
    if name != "Encoder" and method not in {*_WITHOUT_OPTIONS, "encode"}:
        # This one stays sound, so that a call ends soon.
        keywords["max_new_tokens"] = rng.randrange(1, 9)
        for option in rng.sample(OPTION_NAMES, rng.choice((0, 1, 2, 3, 6))):
            if option != "max_new_tokens":
                keywords[option] = _odd(rng, _VALUES.get(option, ()))
        if rng.random() < 0.02:
            keywords[rng.choice(("num_beam", "", "num_beam_groups", "\ud800"))] = odd_value(rng)
    arguments = [_argument(rng, kind) for kind in kinds]
    read = rng.choice((0, 1, 2, 100))
    is_cancelled = can_be_ended(model, method) and rng.random() < 0.02
    return {
        "method": method,
        "arguments": arguments,
        "keywords": keywords,
        "read": read,
        "cancelled": is_cancelled,
    }


def _odd(rng: random.Random, values: tuple[Any, ...]) -> Any:
    return rng.choice(values) if values and rng.random() < 0.85 else odd_value(rng)


def _argument(rng: random.Random, kind: str) -> dict[str, Any]:
    if rng.random() < 0.05:
        return {"as": "json", "value": odd_value(rng)}
    if kind == "text":
        return {"as": "json", "value": _text(rng)}
    if kind == "texts":
        texts = [_text(rng) for _ in range(rng.randrange(_MOST))]
        return {"as": rng.choice(("json", "json", "tuple", "iterator")), "value": texts}
    if kind == "pairs":
        pairs = [(_text(rng), _text(rng)) for _ in range(rng.randrange(_MOST))]
        return {"as": rng.choice(("json", "pairs", "pairs")), "value": pairs}
    if kind == "row":
        return {"as": rng.choice(("json", "int32", "int64")), "value": _row(rng)}
    rows = [_row(rng) for _ in range(rng.randrange(_MOST))]
    return {"as": rng.choice(("json", "json", "rows", "int64 rows", "tuple")), "value": rows}


def _text(rng: random.Random) -> str:
    words = [
        rng.choice((*TEXTS[:-1], "a dog.", "Ab c", "{name}", "。「a", "<b>")) for _ in range(4)
    ]
    return rng.choice((" ", "", "\n")).join(words[: rng.randrange(5)])


def _row(rng: random.Random) -> list[Any]:
    row: list[Any] = [rng.randrange(30) for _ in range(rng.choice((0, 1, 2, 5, 9, 39)))]
    if row and rng.random() < 0.1:
        row[rng.randrange(len(row))] = rng.choice((odd_integer(rng), rng.choice(FLOATS), "a", None))
    return row


def can_be_ended(model: str, method: str) -> bool:
    """Whether a method takes a time and a token that end it."""
    name = "Translator" if model == "Shortlisted" else model
    return "timeout" in _TAKEN.get(f"{name}.{method}", ())


def arguments_of(call: Call) -> list[Any]:
    """The values that a call's arguments stand for."""
    return [_value(argument) for argument in call["arguments"]]


def _value(argument: dict[str, Any]) -> Any:
    """The value that an argument stands for."""
    value, kind = argument["value"], argument["as"]
    if kind == "tuple":
        return tuple(value)
    if kind == "pairs":
        return [tuple(pair) for pair in value]
    if kind == "iterator":
        return iter(value)
    dtype = np.int32 if kind in ("int32", "rows") else np.int64
    try:
        if kind in ("int32", "int64"):
            return np.array(value, dtype)
        if kind in ("rows", "int64 rows"):
            return [np.array(row, dtype) for row in value]
    except (TypeError, ValueError, OverflowError):  # no array has such values
        return value
    return value
