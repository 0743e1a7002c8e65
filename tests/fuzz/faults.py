"""An area whose inputs go wrong in every way, by which the fuzzers themselves are tested."""

from __future__ import annotations

import os
import random
import signal

import numpy as np

from pyengine.errors import InputError

from .area import Area, Files

KINDS = ("used", "refused", "exception", "death", "endless", "memory")


class Faults(Area):
    """Each input says how it ends."""

    def make(self, rng: random.Random) -> Files:
        return {rng.choice(KINDS): b""}

    def run(self, files: Files) -> bool:
        [kind] = files
        if kind == "refused":
            raise InputError("expected another")
        if kind == "exception":
            raise KeyError("bare")
        if kind == "death":
            os.kill(os.getpid(), signal.SIGSEGV)
        while kind == "endless":
            pass
        if kind == "memory":
            np.ones(40_000_000, np.uint8)
        return True
