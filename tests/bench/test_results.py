"""Figures of the benchmark: kept as JSON, merged, held against the bars, shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.bench import families
from tools.bench.bars import BARS, Measured, best_over_fastest, over_fastest, scaling
from tools.bench.report import bars_table, markdown
from tools.bench.results import Load, Rate, Results, Skipped
from tools.bench.suites import (
    CORPUS,
    FEW_TEXTS,
    IN_FLIGHT,
    LIST,
    MANY_BEAM,
    MANY_GREEDY,
    MANY_TEXTS,
    ONE_GREEDY,
    ONE_TEXT,
    STATIC,
    TOKENS,
)


def rate(engine: str, *rounds: float, suite: str = "opus-base", threads: int = 2, **more) -> Rate:
    return Rate(suite, threads, engine, **{"case": MANY_GREEDY, "rounds": rounds, **more})


FAMILY_CASES = {
    "families/marian": (ONE_GREEDY, MANY_GREEDY),
    "families/bert": (ONE_TEXT, FEW_TEXTS, MANY_TEXTS),
}


@pytest.fixture
def results() -> Results:
    return Results(
        machine={"cpu": "C"},
        versions={"pyengine": "1"},
        runs={"opus-base": {"date": "2026-01-02", "command": "python -m tools.bench"}},
        units={"opus-base": TOKENS},
        reference={"opus-base": "pyengine float32"},
        rates=[
            rate("pyengine float32", 100.0, 90.0, 110.0, equal_outputs=1.0),
            rate("pyengine int8", 300.0, threads=2),
            rate("pyengine int8", 160.0, threads=1),
            rate("onnxruntime int8", 120.0, 80.0, 100.0, equal_outputs=0.5),
            rate("CTranslate2 int8", 150.0, setting="2 x 1 threads, batches of 16"),
            rate("CTranslate2 float32", 50.0),
            rate("pyengine int8", 30.0, case=MANY_BEAM, peak_mb=250.0),
        ],
        loads=[Load("opus-base", 2, "pyengine int8", (0.5, 0.1, 0.2), 100.0)],
        skipped=[Skipped("opus-base", 2, "OpenVINO float32", "not installed: openvino")],
    )


def test_json_gives_back_what_was_written(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results


def test_a_suite_measured_again_replaces_its_figures_only(results: Results) -> None:
    other = rate("pyengine int8", 7.0, suite="multi30k-tiny")
    results.rates.append(other)
    results.units["multi30k-tiny"] = "sentences/s"
    newer = Results(units={"opus-base": TOKENS}, rates=[rate("pyengine int8", 5.0)])
    newer.extras["memory"] = {"load": {}}
    results.merge(newer)
    assert results.rates == [other, newer.rates[0]]
    assert results.loads == results.skipped == []
    assert results.extras == {"memory": {"load": {}}}


def test_the_fastest_peer_is_the_one_with_the_best_median(results: Results) -> None:
    measured = over_fastest("opus-base", MANY_GREEDY, "int8")(results)
    assert measured == Measured(2.0, "300 against 150 tokens/s of CTranslate2 int8")
    only = over_fastest("opus-base", MANY_GREEDY, "int8", ("onnxruntime",))(results)
    assert only is not None and only.value == 3.0
    same = over_fastest("opus-base", MANY_GREEDY, "float32", (" float32",))(results)
    assert same is not None and same.value == 2.0
    assert over_fastest("opus-base", CORPUS, "int8")(results) is None
    best = best_over_fastest("opus-base", MANY_GREEDY)(results)
    assert best is not None and best.value == 2.0


def test_scaling_is_held_against_the_bare_instructions(results: Results) -> None:
    measure = scaling("int8", "vnni")
    assert measure(results) is None  # no kernels measured
    results.extras["kernels"] = {"scaling": {"vnni": 1.875}, "rows": []}
    measured = measure(results)
    assert measured is not None and measured.value == pytest.approx(1.0)


def test_bars_are_met_or_missed(results: Results) -> None:
    lines = {line.split(" | ")[0]: line for line in bars_table(results).splitlines()}
    assert len(lines) == len(BARS) + 2
    assert "2.00 x | >= 2.50 x | **missed**" in lines[f"| {BARS[0].text}"]
    assert "2.00 x | >= 1.70 x | met" in lines[f"| {BARS[1].text}"]
    memory = next(line for name, line in lines.items() if "peak resident memory" in name)
    assert "250 MB | <= 260 MB | met" in memory
    corpus = next(line for name, line in lines.items() if "corpus of 1,000" in name)
    assert "not measured" in corpus


def test_every_bar_can_be_measured(results: Results) -> None:
    results.units |= {"multi30k-tiny": "sentences/s", "varied-lengths": "sentences/s"}
    for engine in ("pyengine float32", "pyengine int8", "CTranslate2 int8", "CTranslate2 float32"):
        for case in ("batch 1, greedy", "batch 1, beam 4", MANY_GREEDY, MANY_BEAM):
            results.rates += [rate(engine, 1.0, case=case), rate(engine, 1.0, threads=1, case=case)]
        results.rates += [
            rate(engine, 1.0, suite="multi30k-tiny", case=CORPUS),
            rate(engine, 1.0, suite="varied-lengths", case=STATIC),
            rate(engine, 1.0, suite="varied-lengths", case=IN_FLIGHT),
        ]
    results.units["firefox-tiny"] = "sentences/s"
    for engine in ("pyengine int8", "fxtranslate int8"):
        for threads in (1, 2):
            for case in (ONE_GREEDY, LIST):
                results.rates.append(
                    rate(engine, 1.0, suite="firefox-tiny", threads=threads, case=case)
                )
        results.loads.append(Load("firefox-tiny", 1, engine, (0.05,), 80.0))
    for engine, speed in (("pyengine float32", 2.0), ("onnxruntime float32", 1.0)):
        for suite, cases in FAMILY_CASES.items():
            results.units[suite] = TOKENS
            results.rates += [rate(engine, speed, suite=suite, case=case) for case in cases]
    row = {"name": "n", "value": 9.0, "peak": 10.0, "unit": "GB/s"}
    results.extras = {
        "kernels": {
            "scaling": {"fma": 2.0, "vnni": 2.0},
            "rows": [{**row, "bar": bar} for bar in ("float32", "int8", "bandwidth")],
        },
        "memory": {
            "load": {
                "cold_seconds": 1.0, "cold_peak_mb": 9.0, "warm_seconds": [0.1],
                "warm_private_mb": 30.0, "private_mb_before_load": 20.0,
            },
            "growth": {"sentences": [500, 1000], "resident_mb": [70.0, 71.0]},
        },
    }  # fmt: skip
    assert all(bar.measure(results) is not None for bar in BARS)
    assert "90 %" in markdown(results)


def test_the_page_names_what_was_measured_and_what_was_not(results: Results) -> None:
    page = markdown(results, ["opus-base-2-threads.png"])
    assert "| **pyengine float32** | 100 (90.0-110) | - | 100 % |" in page
    assert "| onnxruntime int8 | 100 (80.0-120) | - | 50 % |" in page
    assert "CTranslate2 int8, batch 32, greedy: 2 x 1 threads, batches of 16" in page
    assert "- OpenVINO float32, 2 threads: not installed: openvino" in page
    assert "![opus-base-2-threads](opus-base-2-threads.png)" in page
    assert "### 1 thread\n" in page
    assert "| opus-base | 2026-01-02 | `python -m tools.bench` |" in page


def test_pictures(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from tools.bench.plots import draw_all

    results.extras["memory"] = {"growth": {"sentences": [1, 2], "resident_mb": [3.0, 4.0]}}
    names = draw_all(results, tmp_path)
    assert names == ["opus-base-2-threads.png", "opus-base-1-thread.png", "memory.png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)


def test_families_are_one_table_against_onnxruntime_at_its_best(results: Results) -> None:
    ours, theirs = "pyengine float32", "onnxruntime float32"
    results.units |= {"families/marian": TOKENS, "families/bert": "sentences/s"}
    results.rates += [
        rate(ours, 30.0, suite="families/marian", case=ONE_GREEDY),
        rate(theirs, 10.0, suite="families/marian", case=ONE_GREEDY, equal_outputs=0.5),
        rate(ours, 200.0, suite="families/bert", case=ONE_TEXT),
        rate(theirs, 90.0, suite="families/bert", case=ONE_TEXT),
        rate(ours, 210.0, suite="families/bert", case=MANY_TEXTS),
        rate(theirs, 140.0, suite="families/bert", case=FEW_TEXTS),
        rate(theirs, 120.0, suite="families/bert", case=MANY_TEXTS),
    ]
    _, marian, bert = families.rows(results)
    assert marian[0] == "marian" and marian[2:5] == ["30.0", "10.0", "3.00 x"]
    assert marian[-4:] == ["-", "-", "-", "50.0 %"]
    assert bert[5:8] == ["210", "140", "1.50 x"]  # not the 120 of its own case
    assert families.slowest(results) == (1.5, "bert, batch 32")
    page = markdown(results)
    assert "## families" in page and "## families/" not in page
