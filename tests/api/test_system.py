"""Cores: affinity and control-group limits, on made-up trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyengine import system
from pyengine.system import _cgroup_quota, available_cores, cpu_name, peak_memory_bytes


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_two(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    write(membership, "0::/pods/one\n")
    assert _cgroup_quota(tmp_path / "cg", membership) is None
    write(tmp_path / "cg/pods/one/cpu.max", "max 100000\n")
    assert _cgroup_quota(tmp_path / "cg", membership) is None
    write(tmp_path / "cg/pods/cpu.max", "250000 100000\n")
    assert _cgroup_quota(tmp_path / "cg", membership) == 2.5
    write(tmp_path / "cg/pods/one/cpu.max", "150000 100000\n")
    assert _cgroup_quota(tmp_path / "cg", membership) == 1.5
    write(tmp_path / "cg/cpu.max", "garbage\n")
    assert _cgroup_quota(tmp_path / "cg", membership) == 1.5


def test_version_one(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    write(membership, "4:memory:/a\n3:cpu,cpuacct:/a\n")
    write(tmp_path / "cg/cpu/a/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "cg/cpu/a/cpu.cfs_period_us", "100000\n")
    assert _cgroup_quota(tmp_path / "cg", membership) is None
    write(tmp_path / "cg/cpu/a/cpu.cfs_quota_us", "50000\n")
    assert _cgroup_quota(tmp_path / "cg", membership) == 0.5


def test_no_control_groups(tmp_path: Path) -> None:
    assert _cgroup_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_the_quota_lowers_the_affinity(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(system, "_cgroup_quota", lambda: quota)
    assert available_cores() == cores


def test_facts_of_this_machine() -> None:
    assert cpu_name()
    assert peak_memory_bytes() > 10_000_000
