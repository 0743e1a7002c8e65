"""The kernels of the best instruction set against the machine's peaks, measured in the same run.

The peaks come from ``peaks.cc``, which is compiled when it is needed. They are measured before and
after the kernels, and the better figure counts; of each kernel it is the median.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyengine import _core
from pyengine.system import available_cores

ROOT = Path(__file__).resolve().parents[2]
SHAPES = [(512, 512), (512, 2048), (2048, 512), (512, 58101)]
ROWS = [1, 4, 8, 12, 32, 128]
THE_PRODUCT = (32, 512, 2048)  # of the bars
MEMORY_BYTES = 64 << 20  # of weights, which no cache here holds
MOST_CACHED = 16 << 20
UNITS = {"float32": "GFLOP/s", "int8": "Gop/s"}

Call = Callable[[int], object]
"""Runs a kernel so many times."""


@dataclass(frozen=True)
class Row:
    """One kernel beside its peak; ``bar`` names the bar that it is measured for, if any."""

    name: str
    bar: str
    value: float
    peak: float
    unit: str


@dataclass(frozen=True)
class Measured:
    """A kernel's rate and the name of its peak in ``Peaks``, or "fma" or "int8"."""

    name: str
    value: float
    peak: str
    unit: str
    bar: str = ""
    threads: int = 1


class Peaks:
    """What the machine does at best, by name and threads, in Gop/s and GB/s."""

    def __init__(self, program: Path, tries: int) -> None:
        self._command = [str(program), str(available_cores()), str(tries)]
        self._best: dict[tuple[str, int], float] = {}

    def measure(self) -> None:
        lines = subprocess.run(self._command, capture_output=True, text=True, check=True).stdout
        for line in map(json.loads, lines.splitlines()):
            key = line["name"], line["threads"]
            self._best[key] = max(line["value"], self._best.get(key, 0.0))

    def of(self, name: str, threads: int = 1) -> float:
        return self._best[name, threads]

    def scaling(self, name: str) -> float:
        return self.of(name, available_cores()) / self.of(name)


def measure_kernels(quick: bool) -> dict[str, Any]:
    """Rows of kernels with their peaks, and what the second thread gives the bare instructions.

    Raises:
        FileNotFoundError: there is no C++ compiler for the peaks.
    """
    with tempfile.TemporaryDirectory() as folder:
        peaks = Peaks(_compile(Path(folder) / "peaks"), 3 if quick else 20)
        peaks.measure()
        isa = _core.resolve_isa("")
        measured = _measure_all(isa, 3 if quick else 10)
        peaks.measure()
    width = 512 if isa.startswith("avx512") else 256
    names = {"fma": f"fma{width}", "int8": f"{'vnni' if 'vnni' in isa else 'madd'}{width}"}
    rows = [
        Row(m.name, m.bar, m.value, peaks.of(names.get(m.peak, m.peak), m.threads), m.unit)
        for m in measured
    ]
    scaling = {"fma": peaks.scaling(names["fma"]), "vnni": peaks.scaling(names["int8"])}
    return {"isa": isa, "scaling": scaling, "rows": [asdict(row) for row in rows]}


def _compile(program: Path) -> Path:
    found = (shutil.which(c) for c in (os.environ.get("CXX", "g++"), "c++", "clang++"))
    compiler = next((c for c in found if c), None)
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (CXX, g++, c++, clang++) to build peaks.cc with")
    sources = [ROOT / "tools" / "bench" / "peaks.cc", ROOT / "csrc" / "cpu" / "features.cc"]
    flags = ["-std=c++20", "-O2", "-pthread", f"-I{ROOT / 'csrc'}"]
    subprocess.run([compiler, *flags, *map(str, sources), "-o", str(program)], check=True)
    return program


def _measure_all(isa: str, tries: int) -> list[Measured]:
    rows = []
    for kind in UNITS:
        rows += [_measure_memory(isa, kind, threads, tries) for threads in (1, available_cores())]
        for depth, columns in SHAPES:
            rows += _measure_products(isa, kind, depth, columns, tries)
    rows += [_measure_attention(isa, bfloat16, tries) for bfloat16 in (False, True)]
    return [*rows, _measure_quantize(isa, tries)]


def _measure_products(isa: str, kind: str, depth: int, columns: int, tries: int) -> list[Measured]:
    """Products of the numbers of rows; of one row, what it reads."""
    weight = _pack(kind, depth, columns)
    measured = []
    for rows in ROWS:
        seconds = _seconds(_product(isa, kind, rows, depth, weight), tries)
        name = f"{kind} gemm, {rows} x {depth} x {columns}"
        rate = 2e-9 * rows * depth * columns / seconds
        if rows > 1:
            bar = kind if (rows, depth, columns) == THE_PRODUCT else ""
            peak = "int8" if kind == "int8" else "fma"
            measured.append(Measured(name, rate, peak, UNITS[kind], bar))
            continue
        read = depth * columns * (1 if kind == "int8" else 4)
        if not MOST_CACHED < read < MEMORY_BYTES:  # between them the last cache holds a part
            measured.append(Measured(name, read * 1e-9 / seconds, _reading(read), "GB/s"))
    return measured


def _measure_memory(isa: str, kind: str, threads: int, tries: int) -> Measured:
    """One row over weights from memory; each thread has its share of them."""
    depth = 512
    columns = MEMORY_BYTES // threads // depth // (1 if kind == "int8" else 4)
    calls = [_product(isa, kind, 1, depth, _pack(kind, depth, columns)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def together(repeat: int) -> None:
            for future in [pool.submit(call, repeat) for call in calls]:
                future.result()

        seconds = _seconds(together, tries)
    name = f"{kind} gemm, 1 row over 64 MB of weights" + (
        f", {threads} threads" if threads > 1 else ""
    )
    rate = MEMORY_BYTES * 1e-9 / seconds
    return Measured(name, rate, "read_64MB", "GB/s", "bandwidth", threads)


def _measure_attention(isa: str, bfloat16: bool, tries: int) -> Measured:
    keys, heads, size = 32, 8, 512
    query, key, value = _normal(1, size), _normal(keys, size), _normal(keys, size)

    def call(repeat: int) -> object:
        return _core.kernels.attention(
            isa, query, key, value, 0.125, [keys], [0] * keys, heads, bfloat16, repeat
        )

    name = f"{'bfloat16' if bfloat16 else 'float32'} attention, {heads} heads, {keys} x 64"
    rate = 4e-9 * keys * size / _seconds(call, tries)
    return Measured(name, rate, "fma", "GFLOP/s")


def _measure_quantize(isa: str, tries: int) -> Measured:
    x = _normal(32, 512)
    seconds = _seconds(lambda repeat: _core.kernels.quantize(isa, x, repeat), tries)
    return Measured("quantize, 32 x 512", x.nbytes * 1e-9 / seconds, "read_512KB", "GB/s")


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _pack(kind: str, depth: int, columns: int) -> Any:
    pack = _core.kernels.pack_s8 if kind == "int8" else _core.kernels.pack
    return pack(_normal(depth, columns))


def _product(isa: str, kind: str, rows: int, depth: int, weight: Any) -> Call:
    x = _normal(rows, depth)
    if kind == "int8":
        bias = np.zeros(len(weight[1]), np.float32)
        quantized = _core.kernels.quantize(isa, x)
        return lambda repeat: _core.kernels.gemm_s8(
            isa, depth, quantized, weight, bias, repeat=repeat
        )
    bias = np.zeros(weight.shape[0] * _core.kernels.PANEL_WIDTH, np.float32)
    return lambda repeat: _core.kernels.gemm_f32(isa, x, weight, bias, repeat=repeat)


def _reading(size: int) -> str:
    """The measured reading whose memory holds weights of ``size`` bytes."""
    return next(
        (f"read_{n}" for n, most in (("512KB", 1 << 20), ("8MB", MOST_CACHED)) if size <= most),
        "read_64MB",
    )


def _seconds(call: Call, tries: int) -> float:
    """Median time of a run; what a call does around its runs is taken out."""
    begin = time.perf_counter()
    call(3)
    repeat = 2 + int(0.01 / max((time.perf_counter() - begin) / 3, 1e-7))
    return statistics.median(_difference(call, repeat) for _ in range(tries))


def _difference(call: Call, repeat: int) -> float:
    begin = time.perf_counter()
    call(1)
    middle = time.perf_counter()
    call(1 + repeat)
    return (time.perf_counter() - middle - (middle - begin)) / repeat
