"""``bench``: it measures both engines, and its figures come from what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from pyengine import OptionError
from pyengine.bench import worker
from pyengine.bench.report import BenchReport, Row, Spread, equal_share, make_rows
from pyengine.bench.runner import BenchSettings, WorkerError, run_benchmark, run_worker
from pyengine.bench.worker import Case, CaseFigures, Figures, Job

from .conftest import Cli


def test_command_line(cli_process: Cli, ids_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = cli_process(
        "bench", ids_model, "--rounds", 1, "--threads", 1, "--batch-size", 1, 8,
        "--target-length", 6, "--json", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for text in ("batch 1, tokens/s", "p95", "batch 8, tokens/s", "loading", "peak memory"):
        assert text in done.stdout
    facts = json.loads(out.read_text())
    assert facts["equal_outputs"] == {"1": 1.0, "8": 1.0}
    assert facts["workload"]["sentences"] == 64
    assert facts["machine"]["threads"] == 1
    assert set(facts["versions"]) == {"pyengine", "onnxruntime", "python", "numpy"}
    assert facts["command"].startswith("python -m pyengine bench")
    rows = {row["name"]: row for row in facts["rows"]}
    memory = rows["peak memory, MB"]
    assert 20 < memory["pyengine"]["median"] < 300
    for row in rows.values():
        for engine in ("pyengine", "onnxruntime"):
            assert row[engine]["min"] <= row[engine]["median"] <= row[engine]["max"]
            assert row[engine]["median"] > 0


def test_settings_are_checked(ids_model: Path) -> None:
    with pytest.raises(OptionError, match="rounds: found 0"):
        run_benchmark(BenchSettings(ids_model, rounds=0))
    with pytest.raises(OptionError, match="batch_size: found 0"):
        run_benchmark(BenchSettings(ids_model, batch_sizes=(0,)))
    with pytest.raises(OptionError, match="batch_size: found 100000"):
        run_benchmark(BenchSettings(ids_model, batch_sizes=(1, 100000)))
    with pytest.raises(OptionError, match="text: found no sentence"):
        run_benchmark(BenchSettings(ids_model, texts=["", " "]))
    with pytest.raises(OptionError, match=r"(min|max)_new_tokens"):
        run_benchmark(BenchSettings(ids_model, target_length=1000))


def test_figures_that_cannot_be_written(cli: Cli, ids_model: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "figures.json"):
        done = cli("bench", ids_model, "--json", path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--json: found " in done.stderr


def test_a_failing_worker_says_what_failed(tmp_path: Path) -> None:
    job = Job("pyengine", str(tmp_path / "nowhere"), 1, [Case("batch 1", [[1]], 1, 1, 0, 5)])
    with pytest.raises(WorkerError, match=r"pyengine: .*nowhere"):
        run_worker(job, Path(worker.__file__))


def figures(seconds: float, tokens: int, peak: int) -> Figures:
    calls = [seconds / 10] * 9 + [seconds / 10 * 2]
    case = CaseFigures(tokens, 10, seconds, calls, [[1, 2], [3]], peak)
    return Figures(0.5, peak // 2, {"batch 1": case})


def test_rows_and_advantage() -> None:
    rounds = {
        "pyengine": [figures(1.0, 100, 10**8), figures(2.0, 100, 10**8), figures(4.0, 100, 10**8)],
        "onnxruntime": [figures(10.0, 100, 2 * 10**8)] * 3,
    }
    rate, p50, p95, loading, memory = make_rows(rounds, (1,))
    assert rate.spreads["pyengine"] == Spread((100.0, 50.0, 25.0))
    assert rate.spreads["pyengine"].format() == "50.0 (25.0 - 100)"
    assert rate.advantage == pytest.approx(5)
    assert p50.spreads["pyengine"].values == pytest.approx((100, 200, 400))
    assert p95.spreads["pyengine"].values == pytest.approx((200, 400, 800))
    assert p95.advantage == pytest.approx(5)
    assert loading.advantage == pytest.approx(1)
    assert memory.advantage == pytest.approx(2)
    assert equal_share(rounds, 1) == 1.0
    other = figures(1.0, 100, 1)
    other.cases["batch 1"].ids = [[1, 2], [4]]
    assert equal_share({"pyengine": [other], "onnxruntime": [figures(1, 1, 1)]}, 1) == 0.5


def test_table() -> None:
    spreads = {"pyengine": Spread((2.0,)), "onnxruntime": Spread((1.0,))}
    report = BenchReport(
        model="m",
        workload={
            "sentences": 2, "shortest_source": 8, "longest_source": 45, "search": "greedy",
            "rounds": 1,
        },
        machine={"cpu": "C", "threads": 2, "isa": "avx2"},
        versions={"pyengine": "1", "onnxruntime": "2"},
        command="c",
        rows=[Row("batch 1, tokens/s", spreads, True)],
        equal_outputs={1: 1.0},
    )  # fmt: skip
    text = report.format()
    assert "2 threads, pyengine on avx2" in text
    assert "batch 1, tokens/s        2.00           1.00          2.00" in text
    assert "equal outputs: 100.0% at batch 1" in text
