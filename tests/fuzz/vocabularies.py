"""Models whose source and target have vocabularies of their own sizes; options have ids of both."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import tiny_marian

from pyengine import Translator

from .area import Area, Files

_SIZES = ((700, 20), (20, 700), (40, 30), (513, 511))
"""Pieces of the source and the target: also on both sides of a whole row's ``top_k``, and of the
runs in which a row is computed."""

_SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1},
    {"num_beams": 3, "num_return_sequences": 3},
    {"num_beams": 64, "num_return_sequences": 2},
    {"num_beams": 1, "do_sample": True, "top_k": 0},
    {"num_beams": 1, "do_sample": True, "top_k": 257, "num_return_sequences": 3},
    {"num_beams": 1, "do_sample": True, "top_k": 4, "top_p": 0.9},
)
_PENALTIES: dict[str, tuple[Any, ...]] = {
    "encoder_no_repeat_ngram_size": (1, 2, 3),
    "no_repeat_ngram_size": (1, 2),
    "encoder_repetition_penalty": (0.5, 1.5, 1e6),
    "repetition_penalty": (0.5, 1.5),
    "renormalize_logits": (True,),
    "min_new_tokens": (3,),
}
_LISTS = ("suppress_tokens", "begin_suppress_tokens", "eos_token_id", "forced_eos_token_id")
_MOST_IDS = 9  # of a sentence


class Vocabularies(Area):
    """Each input is a call of ``generate`` of a model with or without a shortlist, as JSON."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._models: dict[str, Translator] = {}
        for source, target in _SIZES:
            folder = Path(self._folder.name, f"{source}-{target}")
            tiny_marian.write_folder(folder, 0, target, source_vocab_size=source)
            lists = tiny_marian.random_lists(0, source, 4, target)
            (folder / "lex.bin").write_bytes(tiny_marian.shortlist(3, lists))
            for is_shortlisted in (True, False):
                self._models[f"{folder.name}-{is_shortlisted}"] = Translator(
                    folder, threads=2, shortlist=is_shortlisted, cache_dir=False
                )

    def make(self, rng: random.Random) -> Files:
        source, target = rng.choice(_SIZES)
        model = f"{source}-{target}-{rng.random() < 0.3}"
        sources = [_row(rng, source, rng.randrange(1, _MOST_IDS)) for _ in range(3)]
        options: dict[str, Any] = {"seed": rng.randrange(100), **rng.choice(_SEARCHES)}
        options["max_new_tokens"] = rng.randrange(1, 9)
        for name in rng.sample(sorted(_PENALTIES), rng.choice((0, 1, 2, 3))):
            options[name] = rng.choice(_PENALTIES[name])
        for name in rng.sample(_LISTS, rng.choice((0, 0, 1, 2))):
            options[name] = _row(rng, _bound(rng, source, target), rng.choice((1, 2, target)))
        if rng.random() < 0.3:
            bound = _bound(rng, source, target)
            options["bad_words_ids"] = [_row(rng, bound, rng.randrange(1, 4)) for _ in range(4)]
        if rng.random() < 0.1:
            options["forced_bos_token_id"] = rng.randrange(_bound(rng, source, target))
        call = {"model": model, "sources": sources, "options": options}
        return {"generate.json": json.dumps(call).encode()}

    def run(self, files: Files) -> bool:
        call = json.loads(files["generate.json"])
        translator, options = self._models[call["model"]], call["options"]
        results = translator.generate(call["sources"], **options)
        for source, found in zip(call["sources"], results, strict=True):
            (alone,) = translator.generate([source], **options)
            assert repr(alone) == repr(found), "depends on the batch"  # a score may be no number
            for hypothesis in found if isinstance(found, list) else [found]:
                _check(hypothesis.ids, source, translator.config.vocab_size, options)
        return True


def _check(ids: list[int], source: list[int], vocab_size: int, options: dict[str, Any]) -> None:
    """Raises AssertionError for ids that no search may give."""
    assert all(0 <= token < vocab_size for token in ids), "ids outside the vocabulary"
    free = {"forced_bos_token_id", "forced_eos_token_id", "suppress_tokens", "bad_words_ids"}
    size = options.get("encoder_no_repeat_ngram_size")
    if size and not free & options.keys():  # which may leave nothing else
        told = {tuple(source[i : i + size]) for i in range(len(source) - size + 1)}
        made = {tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)}
        assert not told & made, "repeats the source"


def _bound(rng: random.Random, source: int, target: int) -> int:
    """Mostly the target's size: ids beyond are refused."""
    return rng.choice((target, target, target, source))


def _row(rng: random.Random, size: int, count: int) -> list[int]:
    return [rng.randrange(size) for _ in range(count)]
