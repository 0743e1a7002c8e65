"""Marian's model files, binary and npz, and the configuration inside them."""

from __future__ import annotations

import functools
import gzip
import io
import random
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import tiny_marian

from pyengine.models import read_model
from pyengine.weights import pack_weights

from .area import Area, Files, Workplace
from .mutations import INTEGERS, TEXTS, changed_bytes, odd_integer, odd_value

_VOCABULARY = 30
_DTYPES = ("<f4", ">f4", "<f8", "<i4", "|i1", "|b1", "<c8", "|O", "<U4", "<M8[s]", "<f2", "f4,i4")
Maker = Callable[[random.Random], Files]


@functools.cache
def _tensors() -> dict[str, np.ndarray]:
    return tiny_marian.random_tensors(0, _VOCABULARY)


@functools.cache
def _sound(is_int8: bool) -> bytes:
    tensors = _tensors()
    return tiny_marian.binary(tensors, tiny_marian.quantize(tensors) if is_int8 else None)


class MarianFiles(Area):
    """Each input is a model file beside a sound vocabulary."""

    def __init__(self) -> None:
        self._place = Workplace({})
        tiny_marian.write_vocabulary(self._place.path / "vocab.xxyy.spm", _VOCABULARY)
        self._makers: tuple[Maker, ...] = (self._binary, self._bytes, self._yaml, self._npz)

    def make(self, rng: random.Random) -> Files:
        return rng.choice(self._makers)(rng)

    def run(self, files: Files) -> bool:
        with self._place.holding(files) as folder:
            model = read_model(folder)
            pack_weights(model, model.stored_type)
        return True

    def _bytes(self, rng: random.Random) -> Files:
        name = rng.choice(("model.bin", "model.intgemm.alphas.bin", "model.bin.gz"))
        content = _sound("intgemm" in name)
        head = content[:9000]
        content = changed_bytes(rng, head) + content[9000:]
        return {name: gzip.compress(content, 0, mtime=0) if name.endswith(".gz") else content}

    def _binary(self, rng: random.Random) -> Files:
        """A file of which up to three numbers in the tables, or bytes of names, are others."""
        is_int8 = rng.random() < 0.5
        content = bytearray(_sound(is_int8))
        (count,) = struct.unpack_from("<Q", content, 8)
        names = 16 + 32 * count
        lengths = [struct.unpack_from("<4Q", content, 16 + 32 * i) for i in range(count)]
        shapes = names + sum(length for length, *_ in lengths)
        end = shapes + 4 * sum(rank for _, _, rank, _ in lengths) + 8
        for _ in range(rng.choice((1, 1, 2, 3))):
            kind = rng.randrange(4)
            if kind == 0:
                struct.pack_into("<Q", content, 8 * rng.randrange(names // 8), self._size(rng))
            elif kind == 1:
                content[rng.randrange(names, shapes)] = rng.randrange(256)
            elif kind == 2:
                place = shapes + 4 * rng.randrange((end - shapes) // 4)
                struct.pack_into("<I", content, place, self._size(rng) % 2**32)
            else:
                place = rng.randrange(end, len(content) - 4)
                number = rng.choice((0.0, -1.0, 1e38, 1e-40, np.nan, np.inf))
                struct.pack_into("<f", content, place & ~3, number)
        return {"model.intgemm.alphas.bin" if is_int8 else "model.bin": bytes(content)}

    def _yaml(self, rng: random.Random) -> Files:
        """A sound file with another configuration."""
        lines = tiny_marian.YAML.splitlines()
        for _ in range(rng.choice((1, 1, 2, 4))):
            i = rng.randrange(len(lines))
            key = lines[i].partition(":")[0]
            value = rng.choice((str(odd_integer(rng)), repr(odd_value(rng)), rng.choice(TEXTS)))
            lines[i] = rng.choice((f"{key}: {value}", "", value, lines[i] + value, f"  - {value}"))
        yaml = "\n".join(lines).encode("utf-8", "replace").decode("utf-8")
        return {"model.bin": tiny_marian.binary(_tensors(), yaml=yaml)}

    def _npz(self, rng: random.Random) -> Files:
        """An archive of arrays with other headers, or with the wrong bytes."""
        tensors = dict(_tensors())
        for name in rng.sample(sorted(tensors), rng.choice((0, 1, 1, 2))):
            tensors[name] = (
                tensors[name]
                .reshape(-1)[: rng.randrange(4)]
                .astype(rng.choice(("<f4", "<f8", "|i1", "<i8", "|b1", "<f2", "<c8")))
            )
        stream = io.BytesIO()
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
        [method] = rng.choices(methods, (6, 2, 0.1))
        changed = rng.choice(sorted(tensors)) if rng.random() < 0.7 else ""
        text = np.frombuffer(tiny_marian.YAML.encode() + b"\0", np.int8)
        with zipfile.ZipFile(stream, "w", method, compresslevel=1) as archive:
            for name, values in {**tensors, "special:model.yml": text}.items():
                entry = zipfile.ZipInfo(f"{name}.npy")
                archive.writestr(entry, self._npy(rng, values, name == changed), method)
        content = stream.getvalue()
        return {"model.npz": changed_bytes(rng, content) if rng.random() < 0.4 else content}

    @staticmethod
    def _npy(rng: random.Random, values: np.ndarray, is_changed: bool) -> bytes:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, values, version=(1, 0))
        if not is_changed:
            return stream.getvalue()
        if rng.random() < 0.5:
            return changed_bytes(rng, stream.getvalue())
        shape = tuple(rng.choice((*values.shape, *INTEGERS)) for _ in range(rng.randrange(5)))
        fields = [
            f"'descr': {rng.choice(_DTYPES)!r}",
            "'fortran_order': False",
            f"'shape': {shape}",
        ]
        fields[rng.randrange(3)] = rng.choice(
            (*fields, "", f"'descr': {odd_value(rng)!r}", "(" * 99)
        )
        header = ("{" + ", ".join(fields) + "}\n").encode("utf-8", "replace")[:60000]
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes()

    @staticmethod
    def _size(rng: random.Random) -> int:
        return odd_integer(rng) % 2**64
