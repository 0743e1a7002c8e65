"""What a run leaves behind, as dataclasses and as JSON: every round of every figure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rate:
    """One engine on one case.

    Attributes:
        suite: its model and sentences.
        threads: of the engine.
        engine: its name, which ends in the precision.
        case: of the suite.
        rounds: tokens or sentences a second, as ``Results.units`` says, of every round.
        setting: the one that was best, where the engine has a choice.
        call_ms: median and 95th percentile of a call's milliseconds, of the last round.
        peak_mb: largest resident size of the process up to the end of the case, in the last round.
        equal_outputs: share of sentences with the ids that the reference gives.
    """

    suite: str
    threads: int
    engine: str
    case: str
    rounds: tuple[float, ...]
    setting: str = ""
    call_ms: tuple[float, float] = (0.0, 0.0)
    peak_mb: float = 0.0
    equal_outputs: float | None = None

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    @property
    def precision(self) -> str:
        """The last word of the engine's name."""
        return self.engine.split()[-1]


@dataclass(frozen=True)
class Load:
    """Loading one engine: seconds of every round, the process's peak after it."""

    suite: str
    threads: int
    engine: str
    seconds: tuple[float, ...]
    peak_mb: float


@dataclass(frozen=True)
class Skipped:
    """What was not measured, and why."""

    suite: str
    threads: int
    engine: str
    reason: str


@dataclass
class Results:
    """Everything measured, by one run or by several.

    Attributes:
        machine: processor, cores, system.
        versions: of all packages.
        runs: suite -> date and command that measured it, and the machine.
        units: suite -> of its rates.
        reference: suite -> engine whose outputs the others' are compared with.
        rates, loads, skipped: the engines.
        extras: what is not a race of engines: "kernels", "scheduling", "memory".
    """

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    reference: dict[str, str] = field(default_factory=dict)
    rates: list[Rate] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)

    def rate(self, suite: str, threads: int, engine: str, case: str) -> Rate | None:
        """One figure, if it was measured."""
        for rate in self.rates:
            if (rate.suite, rate.threads, rate.engine, rate.case) == (suite, threads, engine, case):
                return rate
        return None

    def select(self, suite: str, threads: int, case: str) -> list[Rate]:
        """All engines on one case."""
        return [r for r in self.rates if (r.suite, r.threads, r.case) == (suite, threads, case)]

    def most_threads(self, suite: str) -> int:
        """The largest number of threads that the suite was measured with; 0 if it was not."""
        return max((rate.threads for rate in self.rates if rate.suite == suite), default=0)

    def merge(self, newer: Results) -> None:
        """Take over a later run's figures; what it measured again replaces what was here."""
        for name in ("machine", "versions"):
            setattr(self, name, getattr(newer, name))
        for name in ("runs", "units", "reference", "extras"):
            getattr(self, name).update(getattr(newer, name))
        for name in ("rates", "loads", "skipped"):
            kept = [x for x in getattr(self, name) if x.suite not in newer.units]
            setattr(self, name, kept + getattr(newer, name))

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """What ``write`` wrote."""
        raw = json.loads(path.read_text())
        kinds = {"rates": Rate, "loads": Load, "skipped": Skipped}
        for name, kind in kinds.items():
            raw[name] = [kind(**_with_tuples(fields)) for fields in raw[name]]
        return cls(**raw)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(x) if isinstance(x, list) else x for key, x in fields.items()}


def ordered(names: Iterable[str]) -> list[str]:
    """Distinct names in order of appearance."""
    return list(dict.fromkeys(names))
