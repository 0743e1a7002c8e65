"""One engine measured in a process of its own: a job on standard input, figures on standard output.

    python pyengine/bench/worker.py < job.json

Every engine gets lists of token ids and gives lists of token ids; the process does no more than
that, so its peak memory is the engine's (with Python and NumPy, about 40 MB).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyengine.errors import UnsupportedModelError
from pyengine.generation_options import NO_PENALTIES
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options
from pyengine.system import peak_memory_bytes

if TYPE_CHECKING:
    from pyengine.bench.onnxruntime_loop import OnnxRuntimeModel

MIN_SECONDS = 1.0
"""Passes over the sentences are repeated until they took this long."""

WARM_UP_TOKENS = 8

Ids = list[list[int]]


@dataclass(frozen=True)
class Case:
    """Sentences and the search that translates them.

    Attributes:
        name: of the case in the figures.
        sources: ids of each sentence as the encoder sees them.
        batch_size: sentences translated together; 1: each in a call of its own.
        num_beams: hypotheses followed at once; 1 is greedy search.
        min_new_tokens: before an end token is allowed.
        max_new_tokens: at most, the end token included.
        call_size: sentences handed over in one call; 0: one where they are translated one by one,
            else all.
    """

    name: str
    sources: Ids
    batch_size: int
    num_beams: int
    min_new_tokens: int
    max_new_tokens: int
    call_size: int = 0

    @property
    def calls(self) -> list[Ids]:
        """The sentences of each call."""
        size = self.call_size or (1 if self.batch_size == 1 else len(self.sources))
        return [self.sources[i : i + size] for i in range(0, len(self.sources), size)]

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of ``generate``, pyengine's or transformers', whatever the folder's are."""
        return {
            "num_beams": self.num_beams,
            "num_return_sequences": 1,
            "do_sample": False,
            **NO_PENALTIES,
            "min_new_tokens": self.min_new_tokens,
            "max_new_tokens": self.max_new_tokens,
        }


@dataclass(frozen=True)
class Job:
    """What to measure.

    Attributes:
        engine: its name.
        folder: of the model.
        threads: of the engine.
        cases: in this order, so that the peak memory of each is that of the largest so far.
        settings: of the engine alone.
        min_seconds: passes over a case are repeated until they took this long.
    """

    engine: str
    folder: str
    threads: int
    cases: list[Case]
    settings: dict[str, Any] = field(default_factory=dict)
    min_seconds: float = MIN_SECONDS


@dataclass
class CaseFigures:
    """One case: generated tokens (end token included), seconds, seconds of every call, bytes."""

    tokens: int = 0
    sentences: int = 0
    seconds: float = 0.0
    calls: list[float] = field(default_factory=list)
    ids: Ids = field(default_factory=list)
    peak_bytes: int = 0


@dataclass
class Figures:
    """What a worker reports: seconds, bytes, the cases by name."""

    load_seconds: float
    load_peak_bytes: int
    cases: dict[str, CaseFigures]

    @property
    def peak_bytes(self) -> int:
        """Largest resident size of the process."""
        return max((case.peak_bytes for case in self.cases.values()), default=self.load_peak_bytes)


Run = Callable[[Ids, Case], Ids]  # sources, how -> generated ids without the end token
Load = Callable[[Job], Run]


def measure(job: Job, load: Load) -> Figures:
    """Load the engine and time every case."""
    start = time.perf_counter()
    run = load(job)
    load_seconds = time.perf_counter() - start
    load_peak_bytes = peak_memory_bytes()
    cases = {case.name: _measure_case(run, case, job.min_seconds) for case in job.cases}
    return Figures(load_seconds, load_peak_bytes, cases)


def _measure_case(run: Run, case: Case, min_seconds: float) -> CaseFigures:
    calls = case.calls
    run(calls[-1][: case.batch_size], _warm_up(case))
    figures = CaseFigures()
    while figures.seconds < min_seconds:
        ids = []
        for call in calls:
            start = time.perf_counter()
            ids += run(call, case)
            figures.calls.append(time.perf_counter() - start)
        figures.seconds = sum(figures.calls)
        figures.tokens += sum(min(len(row) + 1, case.max_new_tokens) for row in ids)
        figures.sentences += len(ids)
        figures.ids = ids
    figures.peak_bytes = peak_memory_bytes()
    return figures


def _warm_up(case: Case) -> Case:
    """The same in a few steps: threads, code and most of the memory are then in place."""
    longest = min(case.max_new_tokens, WARM_UP_TOKENS)
    return replace(
        case,
        name=f"{case.name}, warm up",
        min_new_tokens=min(case.min_new_tokens, longest),
        max_new_tokens=longest,
    )


def serve(load: Load) -> None:
    """Read a job, write its figures."""
    raw = json.load(sys.stdin)
    job = Job(**{**raw, "cases": [Case(**case) for case in raw["cases"]]})
    json.dump(asdict(measure(job, load)), sys.stdout)


def load_pyengine(job: Job) -> Run:
    """pyengine; ``job.settings`` are keywords of ``Translator``."""
    from pyengine.translator import Translator

    translator = Translator(job.folder, threads=job.threads, **job.settings)

    def run(sources: Ids, case: Case) -> Ids:
        translator.batch_size = case.batch_size
        return [best[0].ids for best in translator.generate(sources, **case.options)]

    return run


def load_onnxruntime(job: Job) -> Run:
    """onnxruntime in a hand-written loop; ``job.settings``: see ``greedy_runner``, and "files"."""
    from pyengine.bench.onnxruntime_loop import OnnxFiles, OnnxRuntimeModel

    paths = {name: path and Path(path) for name, path in job.settings["files"].items()}
    return greedy_runner(OnnxRuntimeModel(OnnxFiles(**paths), job.threads), job.settings)


def greedy_runner(model: OnnxRuntimeModel, settings: dict[str, Any]) -> Run:
    """Greedy search of a list of sentences, ``case.batch_size`` at a time.

    ``settings`` holds "generation_config" (as the folder's file), "vocab_size", "max_positions" and
    "pad_token_id".

    Raises:
        UnsupportedModelError: the decoder keeps no keys and values from step to step.
    """
    from pyengine.bench.onnxruntime_loop import GreedySearch

    if not model.has_cache:
        raise UnsupportedModelError(
            "a decoder without past_key_values is no fair peer; expected "
            "decoder_model_merged.onnx, or decoder_with_past_model.onnx beside decoder_model.onnx"
        )
    limits = ModelLimits(settings["vocab_size"], settings["max_positions"])
    searches: dict[str, GreedySearch] = {}

    def run(sources: Ids, case: Case) -> Ids:
        if case.name not in searches:
            options = resolve_options(settings["generation_config"], case.options, limits)
            searches[case.name] = GreedySearch.of(options, settings["pad_token_id"])
        search = searches[case.name]
        ids: Ids = []
        for start in range(0, len(sources), case.batch_size):
            ids += model.greedy(sources[start : start + case.batch_size], search).ids
        return [row[:-1] if row[-1] in search.eos_token_ids else row for row in ids]

    return run


ENGINES: dict[str, Load] = {"pyengine": load_pyengine, "onnxruntime": load_onnxruntime}

if __name__ == "__main__":
    serve(lambda job: ENGINES[job.engine](job))
