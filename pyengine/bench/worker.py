"""One engine measured in a process of its own: a job on standard input, figures on standard output.

    python pyengine/bench/worker.py < job.json

Both engines get lists of token ids and give lists of token ids; neither process does more than
that, so its peak memory is the engine's (with Python and NumPy, about 40 MB).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyengine.errors import UnsupportedModelError
from pyengine.system import peak_memory_bytes

MIN_SECONDS = 1.0
"""Passes over the sentences are repeated until they took this long."""

Ids = list[list[int]]


@dataclass
class Job:
    """What to measure.

    Attributes:
        engine: "pyengine" or "onnxruntime".
        folder: of the model.
        files: encoder, decoder and decoder_with_past ONNX files (onnxruntime only).
        threads: threads of the engine.
        sources: ids of each sentence, longest first.
        options: keywords of ``Translator.generate`` (pyengine only).
        search: fields of ``GreedySearch`` (onnxruntime only).
        batch_sizes: sizes to measure.
        max_new_tokens: the limit, to know whether a hypothesis has an end token.
        min_seconds: passes are repeated until they took this long.
    """

    engine: str
    folder: str
    files: dict[str, str | None]
    threads: int
    sources: Ids
    options: dict[str, Any]
    search: dict[str, Any]
    batch_sizes: list[int]
    max_new_tokens: int
    min_seconds: float = MIN_SECONDS


@dataclass
class BatchFigures:
    """One batch size: generated tokens (end token included), seconds, seconds of every call."""

    tokens: int = 0
    sentences: int = 0
    seconds: float = 0.0
    calls: list[float] = field(default_factory=list)
    ids: Ids = field(default_factory=list)


@dataclass
class Figures:
    """What a worker reports: seconds, bytes."""

    load_seconds: float
    peak_bytes: int
    batches: dict[int, BatchFigures]


Run = Callable[[Ids, int], Ids]  # sources, batch size -> generated ids without the end token


def measure(job: Job) -> Figures:
    """Load the engine and time every batch size."""
    start = time.perf_counter()
    run = _ENGINES[job.engine](job)
    load_seconds = time.perf_counter() - start
    batches = {size: _measure_batch(run, job, size) for size in job.batch_sizes}
    return Figures(load_seconds, peak_memory_bytes(), batches)


def _measure_batch(run: Run, job: Job, size: int) -> BatchFigures:
    calls = [job.sources] if size > 1 else [[source] for source in job.sources]
    run(job.sources[: max(size, 2)] if size > 1 else job.sources[-1:], size)  # warm up
    figures = BatchFigures()
    while figures.seconds < job.min_seconds:
        ids = []
        for call in calls:
            start = time.perf_counter()
            ids += run(call, size)
            figures.calls.append(time.perf_counter() - start)
        figures.seconds = sum(figures.calls)
        figures.tokens += sum(min(len(row) + 1, job.max_new_tokens) for row in ids)
        figures.sentences += len(ids)
        figures.ids = ids
    return figures


def _load_pyengine(job: Job) -> Run:
    from pyengine.translator import Translator

    translator = Translator(job.folder, threads=job.threads)

    def run(sources: Ids, size: int) -> Ids:
        translator.batch_size = size
        return [best[0].ids for best in translator.generate(sources, **job.options)]

    return run


def _load_onnxruntime(job: Job) -> Run:
    from pyengine.bench.onnxruntime_loop import GreedySearch, OnnxFiles, OnnxRuntimeModel

    paths = {name: None if path is None else Path(path) for name, path in job.files.items()}
    model = OnnxRuntimeModel(OnnxFiles(**paths), job.threads)  # type: ignore[arg-type]
    if not model.has_cache:
        raise UnsupportedModelError(
            f"{job.files['decoder']}: a decoder without past_key_values is no fair peer; expected "
            "decoder_model_merged.onnx, or decoder_with_past_model.onnx beside it"
        )
    search = GreedySearch(**{name: _hashable(value) for name, value in job.search.items()})

    def run(sources: Ids, size: int) -> Ids:
        ids: Ids = []
        for start in range(0, len(sources), size):
            ids += model.greedy(sources[start : start + size], search).ids
        return [row[:-1] if row[-1] in search.eos_token_ids else row for row in ids]

    return run


def _hashable(value: Any) -> Any:
    """Undo what JSON did to tuples."""
    return tuple(value) if isinstance(value, list) else value


_ENGINES: dict[str, Callable[[Job], Run]] = {
    "pyengine": _load_pyengine,
    "onnxruntime": _load_onnxruntime,
}


def main() -> None:
    """Read a job, write its figures."""
    json.dump(asdict(measure(Job(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
