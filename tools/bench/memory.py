"""Memory and loading of pyengine: cold, warm, and over many sentences.

    python tools/bench/memory.py < job.json     # the measured process

Cold is the first load of a model, from its ONNX files; later loads find what the first one kept.
Private memory is what no other process shares: a mapped file does not count.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyengine.bench.worker import Ids
from pyengine.system import peak_memory_bytes

MB = 1e6


@dataclass(frozen=True)
class MemoryJob:
    """What the process does: load, then translate all sources ``passes`` times.

    Attributes:
        folder: of the model.
        compute_type: of the translator.
        threads: of the translator.
        sources: ids of sentences.
        passes: 0 measures the load alone.
        num_beams: of the search.
    """

    folder: str
    compute_type: str
    threads: int
    sources: Ids
    passes: int = 0
    num_beams: int = 4


def measure_load(job: MemoryJob, warm_loads: int) -> dict[str, Any]:
    """One load with an empty cache and some after it, each in a process of its own."""
    with tempfile.TemporaryDirectory() as cache:
        cold, *warm = (_run(job, cache) for _ in range(1 + warm_loads))
    return {
        "cold_seconds": cold["load_seconds"],
        "cold_peak_mb": cold["peak_mb"],
        "warm_seconds": [figures["load_seconds"] for figures in warm],
        "warm_private_mb": statistics.median(figures["private_mb"] for figures in warm),
        "private_mb_before_load": statistics.median(
            figures["private_mb_before"] for figures in warm
        ),
    }


def measure_growth(job: MemoryJob) -> dict[str, Any]:
    """Resident memory after every pass."""
    with tempfile.TemporaryDirectory() as cache:
        figures = _run(job, cache)
    return {
        "sentences": [len(job.sources) * (i + 1) for i in range(job.passes)],
        "resident_mb": figures["resident_mb"],
    }


def _run(job: MemoryJob, cache: str) -> dict[str, Any]:
    from pyengine.bench.runner import run_script  # not in the measured process

    return run_script(Path(__file__), asdict(job), "pyengine", {"XDG_CACHE_HOME": cache})


# --- the measured process ------------------------------------------------------------------------


def main() -> None:
    """Read a job, write its figures."""
    from pyengine.translator import Translator

    job = MemoryJob(**json.load(sys.stdin))
    private_before = private_bytes()
    start = time.perf_counter()
    translator = Translator(job.folder, compute_type=job.compute_type, threads=job.threads)
    seconds = time.perf_counter() - start
    figures: dict[str, Any] = {
        "load_seconds": seconds,
        "private_mb_before": private_before / MB,
        "private_mb": private_bytes() / MB,
        "peak_mb": peak_memory_bytes() / MB,
        "resident_mb": [],
    }
    for _ in range(job.passes):
        translator.generate(job.sources, num_beams=job.num_beams)
        gc.collect()
        figures["resident_mb"].append(status_bytes("VmRSS") / MB)
    json.dump(figures, sys.stdout)


def private_bytes() -> int:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def status_bytes(name: str) -> int:
    """A size of this process from /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


if __name__ == "__main__":
    main()
