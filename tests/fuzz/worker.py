"""The process that puts inputs to work; its parent (runner.py) sees how it ends.

An input that takes more than its share of processor time ends the process by SIGPROF.
"""

from __future__ import annotations

import argparse
import json
import mmap
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Progress(NamedTuple):
    """What a worker tells of itself at each input, in memory that outlives it."""

    seed: int
    inputs: int
    accepted: int

    FORMAT = struct.Struct("<3q")


class Finding(NamedTuple):
    """An input that went wrong, and how."""

    seed: int
    what: str
    count: int = 1


def main() -> None:
    """Work through the seeds that the command names; print the findings as JSON, one a line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("area")
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--end", type=int, required=True, help="the seed after the last")
    parser.add_argument("--until", type=float, required=True, help="by time.monotonic()")
    parser.add_argument("--progress", type=Path, required=True)
    parser.add_argument("--processor-seconds", type=float, required=True)
    parser.add_argument("--memory", type=int, required=True, help="bytes that an input may take")
    parser.add_argument("--modules", type=Path)
    args = parser.parse_args()
    if args.modules is not None:
        from .sanitized import use_modules_in

        use_modules_in(args.modules)
    warnings.simplefilter("ignore")
    with args.progress.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        for finding in work(args, shared):
            print(json.dumps(finding), flush=True)


def work(args: argparse.Namespace, shared: mmap.mmap) -> Iterator[Finding]:
    """The first finding of each kind, and at the end how many more there were."""
    from .areas import area_called, input_of

    area = area_called(args.area)
    seen: Counter[str] = Counter()
    peak, inputs, accepted = _peak(), 0, 0
    for seed in range(args.first, args.end):
        if time.monotonic() > args.until:
            break
        shared[:] = Progress.FORMAT.pack(seed, inputs, accepted)
        files = input_of(area, seed)
        what = ""
        signal.setitimer(signal.ITIMER_PROF, args.processor_seconds)
        try:
            accepted += area.accepts(files)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            what = _kind(error)
        signal.setitimer(signal.ITIMER_PROF, 0)
        inputs += 1
        if _peak() - peak > args.memory:
            what = what or f"takes more than {args.memory} bytes of memory"
        peak = _peak()
        if what:
            seen[what] += 1
            if seen[what] == 1:
                yield Finding(seed, what)
    shared[:] = Progress.FORMAT.pack(args.end, inputs, accepted)
    for what, count in seen.items():
        if count > 1:
            print(f"{count - 1} more: {what}", file=sys.stderr)


def _peak() -> int:
    """The most bytes that this program had in memory; ru_maxrss would count its parent's too."""
    with open("/proc/self/status", "rb") as status:
        return 1024 * int(status.read().partition(b"VmHWM:")[2].split()[0])


def _kind(error: BaseException) -> str:
    """What an exception is and where it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "pyengine/" in frame.filename] or frames
    place = f"{own[-1].filename.rpartition('pyengine/')[2]}:{own[-1].lineno}"
    return f"{type(error).__name__} at {place}: {str(error)[:100]!r}"


if __name__ == "__main__":
    main()
