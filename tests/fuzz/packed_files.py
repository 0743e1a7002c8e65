"""Packed weights, also forged ones whose checksums are right."""

from __future__ import annotations

import dataclasses
import json
import random
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tiny_marian

from pyengine import _core
from pyengine.cache import core_config, packed_path, trusted_owners
from pyengine.models import ModelConfig, read_folder
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options, to_core
from pyengine.packed_file import open_packed, read_key, section_checksums
from pyengine.weights import load_weights, map_cached

from .area import Area, Files, Workplace, files_of
from .mutations import FLOATS, changed_bytes, changed_json, odd_integer

_PREFIX = struct.Struct("<8sQI")
_COMPUTE_TYPE = "int8"
_FILE, _CONFIG = "packed", "config.json"


class PackedFiles(Area):
    """Each input is a packed file, alone or with another configuration that it is mapped by."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tiny_marian.write_folder(Path(folder), 0, 30)
            self._place = Workplace(files_of(Path(folder)))
        self._model = read_folder(self._place.path)
        self._cache = Path(tempfile.mkdtemp(dir=self._place.path))
        load_weights(self._model, _COMPUTE_TYPE, self._cache)
        self._path = packed_path(self._cache, self._model, _COMPUTE_TYPE)
        self._sound = self._path.read_bytes()
        (length,) = struct.unpack_from("<Q", self._sound, 8)
        self._header = self._sound[_PREFIX.size : _PREFIX.size + length]
        self._data = self._sound[-(-(_PREFIX.size + length) // 64) * 64 :]

    def make(self, rng: random.Random) -> Files:
        kind = rng.randrange(4)
        if kind == 0:
            start = rng.choice((0, 0, rng.randrange(len(self._sound))))
            part = changed_bytes(rng, self._sound[start : start + 4096])
            return {_FILE: self._sound[:start] + part + self._sound[start + 4096 :]}
        if kind == 1:
            return {_FILE: _file(changed_json(rng, self._header), self._data)}
        if kind == 2:
            return {_FILE: self._forged(rng)}
        return {_FILE: self._sound, _CONFIG: self._config(rng)}

    def run(self, files: Files) -> bool:
        if _CONFIG in files:
            return self._map(ModelConfig(**json.loads(files[_CONFIG])))
        self._path.write_bytes(files[_FILE])
        self._path.chmod(0o600)
        read_key(self._path)
        weights = map_cached(self._model, _COMPUTE_TYPE, self._cache)
        if weights is None or weights.mapped is None or not weights.mapped.data_is_sound():
            return False
        self._generate(weights.packed)
        return True

    def _map(self, config: ModelConfig) -> bool:
        self._path.write_bytes(self._sound)
        self._path.chmod(0o600)
        file = open_packed(self._path, trusted_owners(self._model))
        assert file is not None
        try:
            core = core_config(config)
            weights = _core.Weights.map(core, file.data, file.header.offsets, _COMPUTE_TYPE)
        except (ValueError, TypeError):  # as pyengine.weights takes it
            return False
        if config.vocab_size >= 30 and config.source_vocab_size >= 30:
            self._generate(weights)
        return True

    def _generate(self, weights: _core.Weights) -> None:
        engine = _core.Engine(weights, "", 1, None)
        limits = ModelLimits(self._model.config.vocab_size, self._model.config.max_positions)
        given = {"max_new_tokens": 2, "num_beams": 2}
        options = resolve_options(self._model.generation_config, given, limits)
        ids, offsets = np.array([3, 29, 0], np.int32), np.array([0, 3], np.int64)
        engine.generate(ids, offsets, to_core(options), 2)

    def _forged(self, rng: random.Random) -> bytes:
        """Other data or offsets, of other lengths, with checksums that are right."""
        header: dict[str, Any] = json.loads(self._header)
        data = bytearray(self._data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            kind = rng.randrange(4)
            if kind == 0:
                start = rng.randrange(len(data) // 64) * 64
                data[start : start + 64] = rng.randbytes(64)
            elif kind == 1:
                i = rng.randrange(len(header["offsets"]))
                header["offsets"][i] = rng.choice(
                    (odd_integer(rng), 64 * rng.randrange(len(data) // 64), len(data))
                )
            elif kind == 2:
                length = rng.choice(
                    (0, 64, len(data) - 64, len(data) + 64, rng.randrange(len(data)))
                )
                data = data[:length].ljust(length, b"\0")
                if len(data) < 64:
                    break
            else:
                i = rng.randrange(len(header["offsets"]))
                place = int(header["offsets"][i]) % max(len(data) - 3, 1) & ~3
                struct.pack_into("<f", data, place, rng.choice((np.nan, np.inf, -0.0, 1e38, 1e-42)))
        header["data_bytes"] = len(data)
        header["checksums"] = section_checksums(data) if len(data) else ""
        return _file(json.dumps(header).encode(), bytes(data))

    def _config(self, rng: random.Random) -> bytes:
        """A configuration that differs from the model's in up to three fields."""
        fields = dataclasses.asdict(self._model.config)
        for name in rng.sample(sorted(fields), rng.choice((1, 1, 2, 3))):
            value = fields[name]
            if isinstance(value, bool):
                fields[name] = not value
            elif isinstance(value, int):
                fields[name] = rng.choice((odd_integer(rng), value * 2, value + 1, value // 2))
            elif isinstance(value, float):
                fields[name] = rng.choice(FLOATS)
            else:
                names = ("relu", "gelu", "self_attention", "rms_norm", "rotary", "none", "relative")
                fields[name] = rng.choice((*names, "table", "tanh", "", "\ud800"))
        return json.dumps(fields).encode()


def _file(header: bytes, data: bytes) -> bytes:
    head = _PREFIX.pack(b"PYENGINE", len(header), zlib.crc32(header)) + header
    return head.ljust(-(-len(head) // 64) * 64, b"\0") + data
