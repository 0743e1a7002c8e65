"""The results as pictures: pyengine in colour among its peers, with the spread of the rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from tools.bench.families import is_family
from tools.bench.peers import OURS
from tools.bench.report import TITLES, number
from tools.bench.results import Rate, Results, ordered

OURS_COLOUR, PEER_COLOUR, LINE_COLOUR = "#0072b2", "#b0b0b0", "#404040"
"""Blue and greys: told apart by everybody, and in print."""

DPI = 130


def draw_all(results: Results, folder: Path) -> list[str]:
    """Write the pictures and return their names."""
    names = []
    for suite in results.units:
        if is_family(suite):  # a table tells more
            continue
        for threads in sorted({r.threads for r in results.rates if r.suite == suite}, reverse=True):
            figure = suite_figure(results, suite, threads)
            names.append(_save(figure, folder / f"{suite}-{_threads(threads)}.png"))
    if "growth" in results.extras.get("memory", {}):
        names.append(_save(_growth(results.extras["memory"]["growth"]), folder / "memory.png"))
    if "kernels" in results.extras:
        names.append(_save(_kernels(results.extras["kernels"]), folder / "kernels.png"))
    return names


def _save(figure: Any, path: Path) -> str:
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path.name


def _threads(number: int) -> str:
    return f"{number}-thread{'s' if number > 1 else ''}"


def suite_figure(results: Results, suite: str, threads: int) -> Any:
    """One panel for each case, one bar for each engine, the fastest on top."""
    rates = [r for r in results.rates if (r.suite, r.threads) == (suite, threads)]
    cases = ordered(rate.case for rate in rates)
    columns = len(cases) if len(cases) <= 3 else -(-len(cases) // 2)
    rows = -(-len(cases) // columns)
    most = max(sum(r.case == case for r in rates) for case in cases)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(5.4 * columns, (1.3 + 0.24 * most) * rows + 0.6),
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.12)
    title = f"{TITLES.get(suite, suite)}, {_threads(threads).replace('-', ' ')}"
    figure.suptitle(title, fontsize=13)
    for axis, case in zip(axes.flat, cases, strict=False):
        _bars(axis, [rate for rate in rates if rate.case == case])
        axis.set_title(case, fontsize=11)
        axis.set_xlabel(f"{results.units[suite]} (median; line: smallest to largest round)")
    for axis in axes.flat[len(cases) :]:
        axis.set_axis_off()
    return figure


def _bars(axis: Any, rates: list[Rate]) -> None:
    rates = sorted(rates, key=lambda rate: rate.median)
    labels = [rate.engine for rate in rates]
    colours = [OURS_COLOUR if label.startswith(OURS) else PEER_COLOUR for label in labels]
    axis.barh(labels, [rate.median for rate in rates], color=colours, height=0.72)
    for position, rate in enumerate(rates):
        low, high = min(rate.rounds), max(rate.rounds)
        axis.plot([low, high], [position, position], color=LINE_COLOUR, linewidth=1.5)
        text = f" {number(rate.median)}"
        axis.text(max(high, rate.median), position, text, va="center", fontsize=8.5)
    for tick in axis.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text().startswith(OURS) else "normal")
    axis.set_xlim(0, 1.15 * max(max(rate.rounds) for rate in rates))
    _plain(axis)


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
    axis.xaxis.label.set_size(9)
    axis.yaxis.label.set_size(9)


def _growth(growth: dict[str, Any]) -> Any:
    figure, axis = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    axis.plot(growth["sentences"], growth["resident_mb"], color=OURS_COLOUR, marker="o")
    axis.set_ylim(0, 1.25 * max(growth["resident_mb"]))
    axis.set_title("Memory over many sentences: multi30k-tiny, int8, beam 4", fontsize=11)
    axis.set_xlabel("sentences translated")
    axis.set_ylabel("resident memory, MB")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    _plain(axis)
    return figure


def _kernels(kernels: dict[str, Any]) -> Any:
    rows = kernels["rows"][::-1]
    figure, axis = plt.subplots(figsize=(7.5, 1.3 + 0.28 * len(rows)), layout="constrained")
    shares = [100 * row["value"] / row["peak"] for row in rows]
    axis.barh([row["name"] for row in rows], shares, color=OURS_COLOUR, height=0.72)
    for position, (share, row) in enumerate(zip(shares, rows, strict=True)):
        text = f" {share:.0f} %  ({row['value']:,.0f} {row['unit']})"
        axis.text(share, position, text, va="center", fontsize=8.5)
    axis.set_xlim(0, 135)
    axis.set_xticks(range(0, 101, 20))
    axis.set_title("Kernels: share of the peak measured in the same run", fontsize=11)
    axis.set_xlabel("% of the peak")
    _plain(axis)
    return figure
