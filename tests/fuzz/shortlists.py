"""Lexical shortlists, binary and text, plain and gzipped, of a Firefox folder."""

from __future__ import annotations

import dataclasses
import gzip
import random
import struct
import tempfile
from pathlib import Path

import numpy as np
import tiny_marian

from pyengine import _core
from pyengine.models import read_folder
from pyengine.models.shortlist import MAGIC
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options, to_core
from pyengine.shortlist import load_shortlist
from pyengine.weights import pack_weights

from .area import Area, Files, Workplace, files_of
from .mutations import TEXTS, changed_bytes, odd_integer

_VOCABULARY = 30
_NAMES = ("lex.bin", "lex.bin.gz", "lex.5.3.s2t", "lex.s2t", "lex.0.0.txt", "lex.9999999.1.s2t.gz")
_SCORES = ("0.5", "1", "0", "-1", "nan", "inf", "1e999", "1e-999", "", "x", "0x1p3", "1_0", "٣")


class Shortlists(Area):
    """Each input is one file; one that is read takes part in a search."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tiny_marian.write_folder(Path(folder), 0, _VOCABULARY)
            self._place = Workplace(files_of(Path(folder)))
        self._model = read_folder(self._place.path)
        self._weights = pack_weights(self._model, "int8")[0].packed
        self._pieces = [f"{letter}" for letter in "\u2581abcdefghijklm.,"]

    def make(self, rng: random.Random) -> Files:
        name = rng.choice(_NAMES)
        content = self._binary(rng) if name.startswith("lex.bin") else self._text(rng)
        if rng.random() < 0.3:
            content = changed_bytes(rng, content)
        if name.endswith(".gz"):
            content = gzip.compress(content, 1, mtime=0)
            if rng.random() < 0.2:
                content = changed_bytes(rng, content)
        return {name: content}

    def run(self, files: Files) -> bool:
        with self._place.holding(files) as folder:
            [name] = files
            model = dataclasses.replace(self._model, shortlist=folder / name)
            shortlist = load_shortlist(folder / name, model)
        engine = _core.Engine(self._weights, "", 1, shortlist)
        limits = ModelLimits(model.config.vocab_size, model.config.max_positions)
        beams = 1 + len(files[name]) % 3
        options = resolve_options(
            model.generation_config, {"max_new_tokens": 3, "num_beams": beams}, limits
        )
        ids, offsets = np.array([3, 29, 0, 7, 0], np.int32), np.array([0, 3, 5], np.int64)
        engine.generate(ids, offsets, to_core(options), 2)
        return True

    def _binary(self, rng: random.Random) -> bytes:
        """A sound file but for up to three numbers of its header, offsets or entries."""
        sizes = [rng.choice((0, 0, 1, 2, 5)) for _ in range(_VOCABULARY)]
        offsets = [0, *map(int, np.cumsum(sizes))]
        entries = [rng.randrange(_VOCABULARY) for _ in range(offsets[-1])]
        header = [MAGIC, 0, rng.choice((0, 1, 3, _VOCABULARY)), 5, len(offsets), len(entries)]
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            numbers = rng.choice((header, offsets, entries, entries))
            if numbers:
                numbers[rng.randrange(len(numbers))] = odd_integer(rng)
        head = struct.pack("<6Q", *(number % 2**64 for number in header))
        body = struct.pack(f"<{len(offsets)}Q", *(number % 2**64 for number in offsets))
        return head + body + struct.pack(f"<{len(entries)}I", *(i % 2**32 for i in entries))

    def _text(self, rng: random.Random) -> bytes:
        lines = []
        for _ in range(rng.randrange(12)):
            pieces = [rng.choice(self._pieces), rng.choice(self._pieces)]
            if rng.random() < 0.2:
                pieces[rng.randrange(2)] = rng.choice((*TEXTS, "NULL"))
            score = "0.25" if rng.random() < 0.8 else rng.choice(_SCORES)
            lines.append(rng.choice((" ", "\t", " ")).join([*pieces, score]))
        return rng.choice(("\n", "\r\n", "\n")).join(lines).encode("utf-8", "surrogatepass")
