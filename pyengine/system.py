"""What the machine offers this process: cores, memory, the processor's name."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

from pyengine import exits

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_Reader = Callable[[Path], "float | None"]


def available_cores() -> int:
    """Cores this process may use: its CPU affinity, lowered by the limit of its control group.

    A container with a quota of 1.5 cores counts as one: threads that wait for a stalled one lose
    more than half a core adds.

    Example:
        >>> available_cores() >= 1
        True
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, in bytes.

    From /proc where there is one: ``getrusage`` also counts what the parent held at the fork.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    with exits.guarded_imports:
        import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def cpu_name() -> str:
    """The processor's model name as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cgroup_quota(
    root: Path = _CGROUP_ROOT, membership: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Cores allowed by the tightest limit of this process's control group and its parents."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += _quotas_upwards(root, path, _read_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas_upwards(root / "cpu", path, _read_v1)
    return min(quotas, default=None)


def _quotas_upwards(root: Path, path: str, read: _Reader) -> list[float]:
    folder = root / path.strip("/")
    found = []
    while True:
        quota = read(folder)
        if quota is not None:
            found.append(quota)
        if folder == root or root not in folder.parents:
            return found
        folder = folder.parent


def _read_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
