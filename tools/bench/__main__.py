"""Measure pyengine against onnxruntime on the models that we watch.

    python -m tools.bench                       # both suites, some minutes
    python -m tools.bench --quick --suite multi30k-tiny --out /tmp/figures

Suites:
    multi30k-tiny  the committed English-German model on sentences of Multi30k's test set (the data
                   if it is at hand, else the built-in sentences), real outputs
    opus-base      random weights in the shape of OPUS-MT base, 64 sources of 8 to 45 random ids,
                   32 target tokens forced
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

from tools.bench.opus_base import ensure_opus_base

from pyengine.bench.report import BenchReport
from pyengine.bench.runner import BenchSettings, run_benchmark
from pyengine.cli import progress_note

ROOT = Path(os.path.relpath(Path(__file__).parents[2]))  # figures name no machine's folders
TINY_MODEL = ROOT / "tests" / "fixtures" / "multi30k-en-de"
TEST_SET = ROOT.resolve().parent / "shared" / "data" / "multi30k" / "test_2016_flickr.en.gz"
SENTENCES = 128
TARGET_LENGTH = 32


def multi30k_tiny(arguments: argparse.Namespace) -> BenchSettings:
    """The committed model and real text."""
    texts = None
    if TEST_SET.is_file():
        with gzip.open(TEST_SET, "rt", encoding="utf-8") as file:
            texts = file.read().splitlines()[: 32 if arguments.quick else SENTENCES]
    return BenchSettings(folder=TINY_MODEL, texts=texts)


def opus_base(arguments: argparse.Namespace) -> BenchSettings:
    """A model of everyday size, made on the spot."""
    folder = ensure_opus_base(arguments.cache)
    return BenchSettings(folder=folder, target_length=16 if arguments.quick else TARGET_LENGTH)


SUITES: dict[str, Callable[[argparse.Namespace], BenchSettings]] = {
    "multi30k-tiny": multi30k_tiny,
    "opus-base": opus_base,
}


def run_suite(name: str, arguments: argparse.Namespace) -> BenchReport:
    """Measure one suite and write its JSON."""
    settings = SUITES[name](arguments)
    fields = {
        "threads": arguments.threads,
        "rounds": arguments.rounds or (1 if arguments.quick else 3),
        "min_seconds": 0.2 if arguments.quick else 2.0,
    }
    report = run_benchmark(BenchSettings(**{**vars(settings), **fields}), progress_note)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        figures = json.dumps(report.to_dict(), indent=2)
        (arguments.out / f"{name}.json").write_text(figures + "\n")
    return report


def main() -> None:
    """Run the suites the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--quick", action="store_true", help="one short round: does it run?")
    parser.add_argument("--threads", type=int, help="of each engine (all cores)")
    parser.add_argument("--rounds", type=int, help="of both engines (3)")
    parser.add_argument(
        "--cache", type=Path, default=Path("/tmp/pyengine-bench"), help="for made models"
    )
    parser.add_argument("--out", type=Path, help="folder for the figures as JSON")
    arguments = parser.parse_args()
    for name in arguments.suite:
        print(f"== {name}")
        print(run_suite(name, arguments).format(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
