"""Run both engines in turns, each round in a process of its own, and collect the figures."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import random
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pyengine
from pyengine.bench import worker
from pyengine.bench.onnxruntime_loop import GREEDY, import_onnxruntime
from pyengine.bench.peer import onnx_files, pad_token_id
from pyengine.bench.report import ENGINES, BenchReport, case_name, equal_share, make_rows
from pyengine.bench.sentences import DEFAULT_SENTENCES, random_sources
from pyengine.bench.worker import MIN_SECONDS, Case, CaseFigures, Figures, Job
from pyengine.call_types import ComputeType
from pyengine.errors import Error, OptionError, TokenizerMissingError
from pyengine.loading import checked_batch_size
from pyengine.system import available_cores, cpu_name
from pyengine.translator import Translator

RANDOM_SENTENCES = 64
RANDOM_LENGTHS = (8, 45)
"""Source tokens of random sentences, shortest and longest."""

SEED = 7


class WorkerError(Error, RuntimeError):
    """A measuring process failed; the message holds its last line."""


@dataclass(frozen=True)
class BenchSettings:
    """What to measure.

    Attributes:
        folder: of the model.
        texts: sentences; ``None``: built-in English ones, or random ids without a tokenizer.
        batch_sizes: sizes to measure, each at least 1.
        threads: of each engine; ``None``: the cores this process may use.
        rounds: of both engines, each in new processes.
        target_length: tokens every translation is forced to; ``None``: as the model likes.
        min_seconds: of a measurement; passes are repeated until then.
        random_ids: use random ids even if the folder holds a tokenizer.
        compute_type: of pyengine; onnxruntime computes in what the files hold.
    """

    folder: Path
    texts: Sequence[str] | None = None
    batch_sizes: tuple[int, ...] = (1, 32)
    threads: int | None = None
    rounds: int = 3
    target_length: int | None = None
    min_seconds: float = MIN_SECONDS
    random_ids: bool = False
    compute_type: ComputeType = "default"


def run_benchmark(
    settings: BenchSettings, progress: Callable[[str], None] = lambda message: None
) -> BenchReport:
    """Measure pyengine and onnxruntime on one model folder, greedy search.

    Args:
        settings: what to measure.
        progress: called with a short note before every step, with "" at the end.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        OptionError: a setting is out of range.
        WorkerError: an engine failed.

    Example::

        print(run_benchmark(BenchSettings(Path("path/to/model"), rounds=1)).format())
    """
    _check(settings)
    ort = import_onnxruntime()
    with _open(settings) as translator:
        jobs = _make_jobs(settings, translator)
        isa = translator.isa
    rounds = _run_rounds(settings, jobs, progress)
    progress("")
    return BenchReport(
        model=str(settings.folder),
        workload=_workload(settings, jobs[ENGINES[0]]),
        machine={
            "cpu": cpu_name(),
            "cores": available_cores(),
            "threads": jobs[ENGINES[0]].threads,
            "isa": isa,
            "compute_type": settings.compute_type,
            "system": platform.platform(),
        },
        versions={
            "pyengine": pyengine.__version__,
            "onnxruntime": ort.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        command=command_line(),
        rows=make_rows(rounds, settings.batch_sizes),
        equal_outputs={size: equal_share(rounds, size) for size in settings.batch_sizes},
    )


def _open(settings: BenchSettings) -> Translator:
    return Translator(settings.folder, compute_type=settings.compute_type, threads=settings.threads)


def _check(settings: BenchSettings) -> None:
    if settings.rounds < 1:
        raise OptionError(f"rounds: found {settings.rounds}, expected at least 1")
    for size in settings.batch_sizes:
        checked_batch_size(size)
    if settings.texts is not None and not any(text.strip() for text in settings.texts):
        raise OptionError("text: found no sentence, expected one a line")


def command_line() -> str:
    """What the user typed, as near as Python knows."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # of ``python -m``
    program = [Path(sys.argv[0]).name]
    if spec is not None:
        program = ["python", "-m", spec.name.removesuffix(".__main__")]
    return shlex.join([*program, *sys.argv[1:]])


def _run_rounds(
    settings: BenchSettings, jobs: dict[str, Job], progress: Callable[[str], None]
) -> dict[str, list[Figures]]:
    rounds: dict[str, list[Figures]] = {engine: [] for engine in ENGINES}
    for number in range(settings.rounds):
        order = ENGINES if number % 2 == 0 else ENGINES[::-1]
        for engine in order:
            progress(f"round {number + 1} of {settings.rounds}: {engine}")
            rounds[engine].append(run_worker(jobs[engine], Path(worker.__file__)))
    return rounds


def run_worker(job: Job, script: Path) -> Figures:
    """Measure in a process of its own; ``script`` calls ``worker.serve``.

    Raises:
        WorkerError: it failed.
    """
    raw = run_script(script, dataclasses.asdict(job), job.engine)
    cases = {name: CaseFigures(**figures) for name, figures in raw.pop("cases").items()}
    return Figures(**raw, cases=cases)


def run_script(
    script: Path, job: dict[str, Any], name: str, variables: dict[str, str] | None = None
) -> dict[str, Any]:
    """What a Python script prints, a JSON object, that gets ``job`` on standard input.

    ``variables`` are added to the environment.

    Raises:
        WorkerError: it failed; the message starts with ``name``.
    """
    path = os.pathsep.join(
        [str(Path(pyengine.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    )
    done = subprocess.run(
        [sys.executable, str(script)],  # -m would look in the current folder first
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), **(variables or {})},
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise WorkerError(f"{name}: {lines[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _make_jobs(settings: BenchSettings, translator: Translator) -> dict[str, Job]:
    files = dataclasses.asdict(onnx_files(settings.folder))
    own: dict[str, dict[str, Any]] = {
        "pyengine": {"compute_type": settings.compute_type},
        "onnxruntime": {
            "files": {name: None if path is None else str(path) for name, path in files.items()},
            "generation_config": dict(translator.generation_config),
            "vocab_size": translator.config.vocab_size,
            "max_positions": translator.config.max_positions,
            "pad_token_id": pad_token_id(translator),
        },
    }
    cases = _cases(settings, translator)
    return {
        engine: Job(
            engine=engine,
            folder=str(settings.folder),
            threads=translator.threads,
            cases=cases,
            settings=own[engine],
            min_seconds=settings.min_seconds,
        )
        for engine in ENGINES
    }


def _cases(settings: BenchSettings, translator: Translator) -> list[Case]:
    keywords: dict[str, Any] = dict(GREEDY)
    if settings.target_length is not None:
        keywords["min_new_tokens"] = keywords["max_new_tokens"] = settings.target_length
    options = translator.generation_options(**keywords)
    sources = sorted(_sources(settings, translator), key=len, reverse=True)
    return [
        Case(
            name=case_name(size),
            sources=sources,
            batch_size=size,
            num_beams=1,
            min_new_tokens=options.min_new_tokens,
            max_new_tokens=options.max_new_tokens,
        )
        for size in settings.batch_sizes
    ]


def _sources(settings: BenchSettings, translator: Translator) -> list[list[int]]:
    if settings.texts is not None:
        return translator.encode_batch([text for text in settings.texts if text.strip()])
    if not settings.random_ids:
        try:
            return translator.encode_batch(DEFAULT_SENTENCES)
        except TokenizerMissingError:
            pass
    rng = random.Random(SEED)
    lengths = (rng.randint(*RANDOM_LENGTHS) for _ in range(RANDOM_SENTENCES))
    return random_sources(translator, lengths, rng)


def _workload(settings: BenchSettings, job: Job) -> dict[str, Any]:
    lengths = [len(source) for source in job.cases[0].sources]
    forced = settings.target_length
    return {
        "sentences": len(lengths),
        "source_tokens": sum(lengths),
        "shortest_source": min(lengths),
        "longest_source": max(lengths),
        "search": "greedy" if forced is None else f"greedy, {forced} target tokens forced",
        "rounds": settings.rounds,
        "min_seconds": settings.min_seconds,
    }
