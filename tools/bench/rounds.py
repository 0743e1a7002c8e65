"""Engines in turns: every round runs each of them in a process of its own.

An engine with a choice of settings tries all of them in the first round; from then on each case
runs at the setting that was best there. The order is reversed in every second round, so that a
machine that slows down in time slows down everybody. All rounds are for pyengine, and for its
peers at the largest number of threads; the rest gets one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from pyengine.bench.runner import WorkerError, run_worker
from pyengine.bench.worker import Case, CaseFigures, Figures, Job
from tools.bench import worker
from tools.bench.peers import Engine, Setting
from tools.bench.results import Load, Rate, Results, Skipped
from tools.bench.store import ModelStore
from tools.bench.suites import TOKENS, Suite

Note = Callable[[str], None]
MB = 1e6


@dataclasses.dataclass
class Lane:
    """An engine at one number of threads and what is known of it so far.

    Attributes:
        engine: which.
        threads: its threads.
        folder: of its form of the model.
        best: case name -> setting, after the first round.
        figures: case name -> figures of each round.
        loads: figures of each process.
        failure: why it was given up.
    """

    engine: Engine
    threads: int
    folder: Path
    best: dict[str, Setting] = dataclasses.field(default_factory=dict)
    figures: dict[str, list[CaseFigures]] = dataclasses.field(default_factory=dict)
    loads: list[Figures] = dataclasses.field(default_factory=list)
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a suite is measured."""

    suite: Suite
    threads: tuple[int, ...]
    rounds: int
    quick: bool


def measure_suite(plan: Plan, engines: list[Engine], store: ModelStore, note: Note) -> Results:
    """All engines on all cases of a suite, at each number of threads."""
    suite = plan.suite
    results = Results(units={suite.name: suite.unit})
    cases = suite.cases(plan.quick)
    for threads in plan.threads:
        lanes = _open_lanes(suite.name, threads, engines, store, results)
        for number in range(plan.rounds):
            for lane in lanes if number % 2 == 0 else lanes[::-1]:
                if lane.failure is None and number < _rounds(lane, plan):
                    note(f"{suite.name}, {threads} threads, round {number + 1}: {lane.engine.name}")
                    _run_round(lane, cases, plan)
        _collect(plan, lanes, cases, results)
    return results


def _rounds(lane: Lane, plan: Plan) -> int:
    fewer_threads = lane.threads < max(plan.threads)
    if lane.engine.once or (fewer_threads and not (lane.engine.is_ours or lane.engine.one_thread)):
        return 1
    return plan.rounds


def _open_lanes(
    suite: str, threads: int, engines: list[Engine], store: ModelStore, results: Results
) -> list[Lane]:
    """The engines that can be run; the others are noted as skipped."""
    lanes = []
    for engine in engines:
        if engine.one_thread and threads > 1:
            continue
        try:
            if engine.missing:
                raise ImportError(f"not installed: {', '.join(engine.missing)}")
            lanes.append(Lane(engine, threads, store.folder(engine.form)))
        except Exception as error:  # torch, optimum, converters: each raises its own
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            results.skipped.append(Skipped(suite, threads, engine.name, reason))
    return lanes


def _run_round(lane: Lane, cases: list[Case], plan: Plan) -> None:
    """One process for each distinct setting; the first round chooses among them."""
    found: dict[str, list[tuple[Setting, CaseFigures]]] = {}
    try:
        for settings, trials in _trials(lane, cases, plan.quick).items():
            job = Job(
                engine=lane.engine.module,
                folder=str(lane.folder),
                threads=lane.threads,
                cases=[_divided(case, setting) for case, setting in trials],
                settings=json.loads(settings),
                min_seconds=0.05 if plan.quick else plan.suite.min_seconds,
            )
            figures = run_worker(job, Path(worker.__file__))
            lane.loads.append(figures)
            for case, setting in trials:
                measured = figures.cases[_divided(case, setting).name]
                found.setdefault(case.name, []).append((setting, measured))
    except WorkerError as error:
        lane.failure = str(error)
        return
    for name, candidates in found.items():
        setting, best = max(candidates, key=lambda x: x[1].sentences / x[1].seconds)
        lane.best[name] = setting
        lane.figures.setdefault(name, []).append(best)


def _trials(lane: Lane, cases: list[Case], quick: bool) -> dict[str, list[tuple[Case, Setting]]]:
    """Settings (as JSON) -> what is to be measured in one process with them."""
    trials: dict[str, list[tuple[Case, Setting]]] = {}
    choices = lane.engine.choices(lane.threads)
    for case in cases:
        if case.num_beams > 1 and lane.engine.greedy_only:
            continue
        chosen = [lane.best[case.name]] if case.name in lane.best else choices
        possible = [x for x in chosen if case.batch_size > 1 or x.batch_divisor == 1]
        for setting in possible[-1:] if quick else possible:
            key = json.dumps(setting.settings, sort_keys=True)
            trials.setdefault(key, []).append((case, setting))
    return trials


def _divided(case: Case, setting: Setting) -> Case:
    if setting.batch_divisor == 1:
        return case
    size = case.batch_size // setting.batch_divisor
    return dataclasses.replace(case, name=f"{case.name} in batches of {size}", batch_size=size)


# --- figures -------------------------------------------------------------------------------------


def _collect(plan: Plan, lanes: list[Lane], cases: list[Case], results: Results) -> None:
    suite = plan.suite
    reference = _reference(lanes)
    if reference is not None:
        results.reference[suite.name] = reference.engine.name
    for lane in lanes:
        engine = lane.engine.name
        if lane.failure is not None:
            results.skipped.append(Skipped(suite.name, lane.threads, engine, lane.failure))
        if lane.loads:
            seconds = tuple(figures.load_seconds for figures in lane.loads)
            peak = max(figures.load_peak_bytes for figures in lane.loads) / MB
            results.loads.append(Load(suite.name, lane.threads, engine, seconds, peak))
        results.rates += [
            _rate(plan, lane, case, reference) for case in cases if case.name in lane.figures
        ]


def _reference(lanes: list[Lane]) -> Lane | None:
    """pyengine in float32, else the first engine in float32, else none."""
    exact = [lane for lane in lanes if lane.engine.precision == "float32" and lane.figures]
    return min(exact, key=lambda lane: not lane.engine.is_ours, default=None)


def _rate(plan: Plan, lane: Lane, case: Case, reference: Lane | None) -> Rate:
    rounds = lane.figures[case.name]
    counts = (f.tokens if plan.suite.unit == TOKENS else f.sentences for f in rounds)
    calls = sorted(rounds[-1].calls)
    share = None
    if reference is not None and case.name in reference.figures:
        share = equal_share(rounds[-1], reference.figures[case.name][-1], case)
    return Rate(
        suite=plan.suite.name,
        threads=lane.threads,
        engine=lane.engine.name,
        case=case.name,
        rounds=tuple(count / f.seconds for count, f in zip(counts, rounds, strict=True)),
        setting=describe(lane, case),
        call_ms=(1e3 * calls[len(calls) // 2], 1e3 * calls[len(calls) * 95 // 100]),
        peak_mb=rounds[-1].peak_bytes / MB,
        equal_outputs=share,
    )


def describe(lane: Lane, case: Case) -> str:
    """The setting that the engine chose for a case, where it had a choice."""
    if len(lane.engine.choices(lane.threads)) == 1:
        return ""
    setting = lane.best[case.name]
    split = f"{setting.settings['inter_threads']} x {setting.settings['intra_threads']} threads"
    if case.batch_size == 1:
        return split
    return f"{split}, batches of {case.batch_size // setting.batch_divisor}"


def equal_share(ours: CaseFigures, theirs: CaseFigures, case: Case) -> float:
    """Share of sentences with equal ids.

    Where the length is given the last token does not count: it may be an end token or not.
    """
    last = case.max_new_tokens - 1 if case.min_new_tokens == case.max_new_tokens else None
    pairs = list(zip(ours.ids, theirs.ids, strict=True))
    return sum(a[:last] == b[:last] for a, b in pairs) / len(pairs)
