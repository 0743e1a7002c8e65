"""Runs the fuzzer of an area in processes of its own, and sees whether one dies or stands still."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .areas import area_called, input_of
from .worker import Finding, Progress

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "fuzz"
"""Where inputs that went wrong are kept: a folder for each area and seed."""

STANDSTILL = 300.0
"""Seconds without a new input after which a process counts as hanging."""

_SHOWN = 2000
"""Characters of what a process that died had said, from where a sanitizer or Python speaks."""

_SPEAKS = re.compile(r"[^\n]*(runtime error|ERROR: \w+Sanitizer|Fatal Python error|Traceback)")


@dataclass
class Report:
    """What came of a run.

    Attributes:
        inputs, accepted: how many were put to work, and used rather than refused.
        findings: what went wrong, the first of each kind.
    """

    inputs: int = 0
    accepted: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """The seeds ``first`` to ``end`` - 1 of an area, as far as the time goes.

    Attributes:
        seconds: after which no more inputs are put to work.
        sanitized: whether the modules of tools/sanitized_module.py run.
        processor_seconds: that an input may take; under sanitizers, which are slower, thrice that.
        memory: bytes that it may take; it has a few hundred kilobytes itself.
    """

    area: str
    first: int
    end: int
    seconds: float
    sanitized: bool = False
    processor_seconds: float = 10.0
    memory: int = 1 << 30

    def report(self) -> Report:
        """Run it; inputs that went wrong are kept under :data:`KEPT`."""
        report = Report()
        until, first = time.monotonic() + self.seconds, self.first
        while first < self.end and time.monotonic() < until:
            first = self._process(first, until, report) + 1
        self._keep(report.findings)
        return report

    def _process(self, first: int, until: float, report: Report) -> int:
        """Runs one process to its end; returns the last seed that it took up."""
        with tempfile.TemporaryDirectory() as folder:
            progress, out, err = (Path(folder, name) for name in ("progress", "out", "err"))
            progress.write_bytes(Progress.FORMAT.pack(first, 0, 0))
            with out.open("wb") as stdout, err.open("wb") as stderr:
                command = self._command(first, until, progress)
                environment = self._environment()
                process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr
                )
                hangs = _wait(process, progress)
            last = Progress(*Progress.FORMAT.unpack(progress.read_bytes()))
            said = err.read_text(errors="replace")
            for line in out.read_text().splitlines():
                report.findings.append(Finding(*json.loads(line)))
        report.inputs += last.inputs
        report.accepted += last.accepted
        if process.returncode:
            report.inputs += 1
            report.findings.append(Finding(last.seed, _end(process.returncode, hangs, said)))
            return last.seed
        return self.end if last.seed == self.end else last.seed

    def _command(self, first: int, until: float, progress: Path) -> list[str]:
        seconds = self.processor_seconds * (3 if self.sanitized else 1)
        command = [sys.executable, "-m", "tests.fuzz.worker", self.area]
        command += ["--first", str(first), "--end", str(self.end), "--until", str(until)]
        command += ["--progress", str(progress), "--processor-seconds", str(seconds)]
        command += ["--memory", str(self.memory)]
        if self.sanitized:
            from tools.sanitized_module import FOLDER

            command += ["--modules", str(FOLDER)]
        return command

    def _environment(self) -> dict[str, str]:
        from .sanitized import environment

        base = environment() if self.sanitized else dict(os.environ)
        return {**base, "PYTHONPATH": str(ROOT / "tests"), "PYTHONFAULTHANDLER": "1"}

    def _keep(self, findings: list[Finding]) -> None:
        if not findings:
            return
        area = area_called(self.area)
        for finding in findings:
            for name, content in input_of(area, finding.seed).items():
                path = KEPT / self.area / str(finding.seed) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def _wait(process: subprocess.Popen[bytes], progress: Path) -> bool:
    """Waits for the end of a process; one that stands still is killed: True."""
    before, since = progress.read_bytes(), time.monotonic()
    while True:
        try:
            process.wait(timeout=2)
            return False
        except subprocess.TimeoutExpired:
            now = progress.read_bytes()
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > STANDSTILL:
                process.kill()
                process.wait()
                return True


def _end(status: int, hangs: bool, said: str) -> str:
    """How a process ended, in words."""
    if hangs:
        return "stands still"
    if status == -signal.SIGPROF:
        return "takes too much processor time"
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    start = found.start() if (found := _SPEAKS.search(said)) else -_SHOWN
    return f"ends the process ({name}):\n{said[start:][:_SHOWN]}"
