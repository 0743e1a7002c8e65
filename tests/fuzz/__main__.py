"""Fuzzes an area, as long as one likes.

    python -m tests.fuzz shortlists --seconds 3600 --seed 7
    python -m tests.fuzz all --seconds 30 --sanitize        # as CI does
    python -m tests.fuzz calls --seed 1234 --count 1        # one input again

Input number i of seed S is that of seed S + i, on every machine. A fine end of an input is success
or a pyengine.Error. All others are printed with their seeds, and kept under build/fuzz: any other
exception, the end of the process, more than 10 seconds of processor time, more than a gigabyte.
With --sanitize the extension modules are those of tools/sanitized_module.py. Status 1: something
was found.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # what tests share

from .areas import AREAS
from .runner import KEPT, Report, Run

WITHOUT_CORE = ("onnx",)
"""Areas whose inputs do not reach C++: sanitizers would only slow them down."""


def main() -> int:
    """Run the areas of the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("area", choices=("all", *AREAS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each area")
    parser.add_argument("--count", type=int, default=2**62, help="inputs of each area at most")
    parser.add_argument("--seed", type=int, default=0, help="that of the first input")
    parser.add_argument("--jobs", type=int, default=2, help="areas at once")
    parser.add_argument("--sanitize", action="store_true", help="build with sanitizers, and use it")
    args = parser.parse_args()
    if args.sanitize:
        from tools.sanitized_module import build

        build()
    names = list(AREAS) if args.area == "all" else [args.area]
    runs = [
        Run(
            name,
            args.seed,
            args.seed + args.count,
            args.seconds,
            args.sanitize and name not in WITHOUT_CORE,
        )
        for name in names
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        reports = list(pool.map(_reported, runs))
    return int(any(report.findings for report in reports))


def _reported(run: Run) -> Report:
    report = run.report()
    for finding in report.findings:
        kept = KEPT / run.area / str(finding.seed)
        print(f"{run.area}: seed {finding.seed}: {finding.what}\n  {kept}", flush=True)
    print(
        f"{run.area}: {report.inputs} inputs, {report.accepted} used, "
        f"{len(report.findings)} kinds of findings",
        flush=True,
    )
    return report


if __name__ == "__main__":
    sys.exit(main())
