"""Engines in turns: order, choice of settings, failures; the sentences they get."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyengine.bench.runner import WorkerError
from pyengine.bench.worker import Case, CaseFigures, Figures, Job
from tools.bench import rounds
from tools.bench.peers import ENGINES, OURS, TEXT_ENGINES, Engine, Setting
from tools.bench.peers.ctranslate2_tokens import token_names
from tools.bench.results import Results
from tools.bench.rounds import Plan, equal_share, measure_suite
from tools.bench.store import FORMS, ModelStore
from tools.bench.suites import (
    RANDOM_LENGTHS,
    SUITES,
    TOKENS,
    VARIED_LENGTHS,
    Suite,
    random_sources,
    spread_out,
    varied_sources,
)

ONE = Case("one", [[5, 2], [6, 2]], 1, 1, 0, 9)
MANY = Case("many", [[5, 2], [6, 2]], 32, 4, 3, 3)
OURS_EXACT = Engine("pyengine float32", OURS, "float32", "engine")
GREEDY_PEER = Engine("peer int8", "peer", "int8", "engine", greedy_only=True, once=True)
SPLIT_PEER = Engine("split int8", "split", "int8", "engine", splits_threads=True)


class Workers:
    """Stands in for the measuring processes."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.broken = ""

    def __call__(self, job: Job, script: Path) -> Figures:
        self.jobs.append(job)
        if job.engine == self.broken:
            raise WorkerError(f"{job.engine}: out of luck")
        seconds = 1.0 / job.settings.get("inter_threads", 1)
        cases = {
            case.name: CaseFigures(
                tokens=6,
                sentences=2,
                seconds=seconds * case.batch_size,
                calls=[0.1, 0.3],
                ids=[[1, 2, 3], [1, 2, len(job.engine)]],
                peak_bytes=10**6,
            )
            for case in job.cases
        }
        return Figures(0.25, 10**6, cases)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers()
    monkeypatch.setattr(rounds, "run_worker", workers)
    return workers


def run(
    tmp_path: Path,
    engines: list[Engine],
    number: int = 2,
    quick: bool = False,
    threads: tuple[int, ...] = (2,),
) -> Results:
    suite = Suite("s", tmp_path, TOKENS, lambda quick: [ONE, MANY], 0.0)
    store = ModelStore(tmp_path, tmp_path)
    return measure_suite(Plan(suite, threads, number, quick), engines, store, lambda message: None)


def test_engines_take_turns(workers: Workers, tmp_path: Path) -> None:
    results = run(tmp_path, [OURS_EXACT, SPLIT_PEER], 3)
    order = [job.engine for job in workers.jobs]
    assert order == [OURS, "split", "split", "split", OURS, OURS, "split"]
    assert results.reference == {"s": "pyengine float32"}
    ours = results.rate("s", 2, "pyengine float32", "one")
    assert ours is not None
    assert (ours.rounds, ours.peak_mb, ours.call_ms) == ((6.0, 6.0, 6.0), 1.0, (300.0, 300.0))
    assert results.loads[0].seconds == (0.25,) * 3


def test_the_first_round_chooses_the_setting(workers: Workers, tmp_path: Path) -> None:
    results = run(tmp_path, [SPLIT_PEER])
    tried = [
        (job.settings["inter_threads"], [c.batch_size for c in job.cases]) for job in workers.jobs
    ]
    assert tried == [(1, [1, 32]), (2, [1, 32, 16]), (2, [1, 16])]
    many = results.rate("s", 2, "split int8", "many")
    assert many is not None
    assert many.setting == "2 x 1 threads, batches of 16"
    assert len(many.rounds) == 2


def test_quick_tries_one_setting(workers: Workers, tmp_path: Path) -> None:
    run(tmp_path, [SPLIT_PEER], 1, quick=True)
    assert [[c.batch_size for c in job.cases] for job in workers.jobs] == [[1, 16]]


def test_a_greedy_engine_gets_no_beams_and_a_slow_one_a_single_round(
    workers: Workers, tmp_path: Path
) -> None:
    results = run(tmp_path, [OURS_EXACT, GREEDY_PEER])
    assert [r.case for r in results.rates if r.engine == "peer int8"] == ["one"]
    assert [job.engine for job in workers.jobs].count("peer") == 1


def test_peers_get_one_round_at_fewer_threads(workers: Workers, tmp_path: Path) -> None:
    results = run(tmp_path, [OURS_EXACT, SPLIT_PEER], 3, threads=(2, 1))
    counts = {(r.engine, r.threads): len(r.rounds) for r in results.rates if r.case == "one"}
    assert counts == {
        ("pyengine float32", 2): 3,
        ("split int8", 2): 3,
        ("pyengine float32", 1): 3,
        ("split int8", 1): 1,
    }


def test_a_failing_engine_is_reported_and_left(workers: Workers, tmp_path: Path) -> None:
    workers.broken = "peer"
    results = run(tmp_path, [GREEDY_PEER, OURS_EXACT])
    assert [(s.engine, s.reason) for s in results.skipped] == [("peer int8", "peer: out of luck")]
    assert {r.engine for r in results.rates} == {"pyengine float32"}


def test_a_missing_package_is_reported(workers: Workers, tmp_path: Path) -> None:
    absent = Engine("absent float32", "absent", "float32", "engine", ("no_such_package_here",))
    results = run(tmp_path, [absent])
    assert results.skipped[0].reason == "ImportError: not installed: no_such_package_here"
    assert workers.jobs == []


def test_equal_outputs_leave_the_last_of_given_lengths_out() -> None:
    ours, theirs = CaseFigures(ids=[[1, 2], [1, 3]]), CaseFigures(ids=[[1, 2, 9], [1, 4, 9]])
    assert equal_share(ours, theirs, MANY) == 0.5
    assert equal_share(ours, theirs, ONE) == 0.0


def test_the_table_of_engines() -> None:
    assert len({engine.name for engine in ENGINES}) == len(ENGINES)
    for engine in ENGINES:
        assert engine.name.endswith(f" {engine.precision}")
        assert engine.form in {*FORMS, "engine"}
        assert (Path(rounds.__file__).parent / "peers" / f"{engine.module}.py").is_file()
    split = next(engine for engine in ENGINES if engine.name == "CTranslate2 int8")
    assert split.choices(1) == [
        Setting({"compute_type": "int8", "inter_threads": 1, "intra_threads": 1})
    ]


def test_suites_name_engines_that_exist() -> None:
    assert {name for suite in SUITES.values() for name in suite.engines} <= {
        engine.name for engine in ENGINES
    }


@pytest.mark.parametrize("name", SUITES)
def test_cases(name: str) -> None:
    for quick in (False, True):
        cases = SUITES[name].cases(quick)
        assert len({case.name for case in cases}) == len(cases)
        assert all(case.sources and case.calls for case in cases)


def test_random_sources() -> None:
    sources = random_sources(100)
    assert sources == random_sources(100)
    lengths = [len(source) for source in sources]
    assert lengths == sorted(lengths, reverse=True)
    assert RANDOM_LENGTHS[0] <= lengths[-1] and lengths[0] <= RANDOM_LENGTHS[1]
    assert all(source[-1] == 0 and 0 not in source[:-1] for source in sources)
    assert [len(x) for x in spread_out([[0] * n for n in range(10)], 3)] == [1, 5, 8]


def test_varied_sources() -> None:
    corpus = [[7] * n + [2] for n in (4, 9, 20, 100)]
    sources = varied_sources(corpus, 50)
    assert len(sources) == 50
    assert all(source[-1] == 2 and 2 not in source[:-1] for source in sources)
    assert all(VARIED_LENGTHS[0] <= len(source) <= VARIED_LENGTHS[1] for source in sources)
    assert len({len(source) for source in sources}) > 10


def test_token_names() -> None:
    config = {"vocab_size": 5, "eos_token_id": 0, "pad_token_id": 4, "decoder_start_token_id": 4}
    assert token_names(config) == ["</s>", "<unk>", "2", "3", "<pad>"]
    other = {**config, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1}
    assert token_names(other) == ["<pad>", "1", "</s>", "<unk>", "4"]


def test_an_engine_of_one_thread_is_run_on_one_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    monkeypatch.setattr(rounds, "run_worker", workers)
    one_thread = Engine("peer int8", "peer", "int8", "engine", greedy_only=True, one_thread=True)
    suite = Suite("toy", Path("model"), TOKENS, lambda quick: [ONE], 0.1)
    plan = Plan(suite, (2, 1), rounds=3, quick=False)
    results = measure_suite(plan, [OURS_EXACT, one_thread], ModelStore(Path(), Path("m")), print)
    ours = [(job.threads, job.engine) for job in workers.jobs]
    assert ours.count((2, "peer")) == 0 and ours.count((1, "peer")) == 3
    assert not results.skipped


def test_texts_travel_as_bytes() -> None:
    one, many = SUITES["firefox-tiny"].cases(True)
    assert (one.batch_size, many.batch_size) == (1, 32)
    assert all(bytes(source).decode() for case in (one, many) for source in case.sources)
    assert all(engine.precision in ("int8", "float32") for engine in TEXT_ENGINES)
