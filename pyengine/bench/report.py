"""The figures of a benchmark: medians with their spread, as a table and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyengine.bench.worker import Figures

MB = 1e6
ENGINES = ("pyengine", "onnxruntime")


@dataclass(frozen=True)
class Spread:
    """One quantity over all rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Median, extremes and every round."""
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "rounds": list(self.values),
        }

    def format(self) -> str:
        """Median and, in brackets, smallest and largest."""
        if len(self.values) == 1:
            return _number(self.median)
        low, high = _number(min(self.values)), _number(max(self.values))
        return f"{_number(self.median)} ({low} - {high})"


@dataclass(frozen=True)
class Row:
    """One quantity of both engines.

    Attributes:
        name: with its unit.
        spreads: engine -> figures.
        more_is_better: whether a larger number wins.
    """

    name: str
    spreads: dict[str, Spread]
    more_is_better: bool

    @property
    def advantage(self) -> float:
        """How many times better pyengine is; below 1 it is worse."""
        ours, theirs = (self.spreads[engine].median for engine in ENGINES)
        return ours / theirs if self.more_is_better else theirs / ours


@dataclass
class BenchReport:
    """The outcome of a benchmark.

    Attributes:
        model: the folder.
        workload: sentences, source tokens, search.
        machine: processor, threads, instruction set.
        versions: of pyengine, onnxruntime, Python, NumPy.
        command: that ran it.
        rows: the figures.
        equal_outputs: share of sentences to which both engines give the same ids, per batch size.
    """

    model: str
    workload: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    command: str
    rows: list[Row] = field(default_factory=list)
    equal_outputs: dict[int, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        facts["rows"] = [
            {
                "name": row.name,
                "more_is_better": row.more_is_better,
                "advantage": row.advantage,
                **{engine: spread.to_dict() for engine, spread in row.spreads.items()},
            }
            for row in self.rows
        ]
        return facts

    def format(self) -> str:
        """A table for a terminal."""
        titles = [f"{engine} {self.versions[engine]}" for engine in ENGINES]
        table = [["", *titles, "times better"]]
        for row in self.rows:
            cells = [row.spreads[engine].format() for engine in ENGINES]
            table.append([row.name, *cells, f"{row.advantage:.2f}"])
        return "\n".join([*self._heading(), "", *_aligned(table), "", self._footing()])

    def _heading(self) -> list[str]:
        work, machine = self.workload, self.machine
        threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
        lengths = f"{work['shortest_source']} to {work['longest_source']} source tokens"
        return [
            f"model     {self.model}",
            f"machine   {machine['cpu']}, {threads}, pyengine on {machine['isa']}",
            f"work      {work['sentences']} sentences of {lengths}, {work['search']}",
        ]

    def _footing(self) -> str:
        equal = ", ".join(f"{share:.1%} at batch {b}" for b, share in self.equal_outputs.items())
        return f"medians of {self.workload['rounds']} rounds (extremes); equal outputs: {equal}"


def make_rows(rounds: dict[str, list[Figures]], batch_sizes: tuple[int, ...]) -> list[Row]:
    """The table's rows from every round of every engine."""
    rows = []
    for size in batch_sizes:
        rows.append(
            _row(rounds, f"batch {size}, tokens/s", lambda f, b=size: _rate(f, b), True)  # type: ignore[misc]
        )
        if size == 1:
            for percent in (50, 95):
                name = f"batch 1, p{percent} of a sentence, ms"
                rows.append(_row(rounds, name, lambda f, p=percent: _percentile_ms(f, p), False))  # type: ignore[misc]
    rows.append(_row(rounds, "loading, s", lambda f: f.load_seconds, False))
    rows.append(_row(rounds, "peak memory, MB", lambda f: f.peak_bytes / MB, False))
    return rows


def case_name(size: int) -> str:
    """Of the case that translates ``size`` sentences together."""
    return f"batch {size}"


def equal_share(rounds: dict[str, list[Figures]], size: int) -> float:
    """Share of sentences with equal ids in the last round, 0 to 1."""
    ours, theirs = (rounds[engine][-1].cases[case_name(size)].ids for engine in ENGINES)
    return sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)


def _row(
    rounds: dict[str, list[Figures]], name: str, get: Callable[[Figures], float], more: bool
) -> Row:
    spreads = {engine: Spread(tuple(get(f) for f in rounds[engine])) for engine in ENGINES}
    return Row(name, spreads, more)


def _rate(figures: Figures, size: int) -> float:
    case = figures.cases[case_name(size)]
    return case.tokens / case.seconds


def _percentile_ms(figures: Figures, percent: int) -> float:
    calls = sorted(figures.cases[case_name(1)].calls)
    return 1e3 * calls[min(len(calls) - 1, len(calls) * percent // 100)]


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _aligned(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
