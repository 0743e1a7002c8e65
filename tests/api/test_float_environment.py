"""Results do not depend on how the calling thread rounds, and leave that as it is."""

from __future__ import annotations

import platform

import pytest

from .conftest import FIXTURES, run_python

SCRIPT = """
import ctypes, ctypes.util, hashlib, sys
import numpy as np
import pyengine
from pyengine import _core

libm = ctypes.CDLL(ctypes.util.find_library("m"))
get, set_mode = libm.fegetround, libm.fesetround
modes = {"nearest": 0, "down": 0x400, "up": 0x800, "zero": 0xC00}
if sys.argv[1] == "aarch64":
    modes = {"nearest": 0, "up": 0x400000, "down": 0x800000, "zero": 0xC00000}
rows = np.linspace(-3, 3, 160, dtype=np.float32).reshape(4, 40)
weight = np.linspace(-1, 2, 40 * 33, dtype=np.float32).reshape(40, 33)

def results(folder):
    found = []
    t = pyengine.Translator(sys.argv[2], threads=2, cache_dir=False, compute_type=kind)
    found.append(t.generate([[5, 6, 7, 2], [9, 8, 2]], num_beams=3, num_return_sequences=3))
    sampled = {"do_sample": True, "num_beams": 1, "seed": 1, "top_k": 0, "top_p": 0.9}
    found.append(t.generate([[5, 6, 7, 2]], **sampled))
    found.append([row.tolist() for row in t.score([[5, 6, 7, 2]], [[8, 9, 10]])])
    e = pyengine.Encoder(sys.argv[3], threads=2, cache_dir=False, compute_type=kind)
    found.append([row.tolist() for row in e.forward([[5, 6, 7, 2], [9, 8, 2]])])
    for isa in _core.available_isas():
        k = _core.kernels
        found.append(k.gemm_f32(isa, rows, k.pack(weight), np.zeros(33, np.float32)).tolist())
        found.append(k.exp_shifted(isa, rows[0], 1.0).tolist())
        found.append([a.tolist() for a in k.quantize(isa, rows)])
    return found

for kind in ("float32", "int8"):
    expected = results(kind)
    for name, mode in modes.items():
        assert set_mode(mode) == 0
        found = results(kind)
        assert get() == mode, name
        try:
            t = pyengine.Translator(sys.argv[2], cache_dir=False)
            t.engine.generate(np.array([1 << 20], np.int32), np.array([0, 1]), None, 1)
        except (TypeError, ValueError):
            assert get() == mode, name
        set_mode(0)
        assert found == expected, (kind, name)
print("equal")
"""


@pytest.mark.parametrize("model", ["marian-split", "t5"])
def test_rounding_changes_nothing(model: str) -> None:
    if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
        pytest.skip("the numbers of the rounding modes are not known")
    machine = "aarch64" if platform.machine() in ("aarch64", "arm64") else "x86"
    encoder = FIXTURES / "distilbert-cls"
    done = run_python(["-c", SCRIPT, machine, str(FIXTURES / model), str(encoder)])
    assert done.stdout == "equal\n", done.stderr
