"""Read what the machine is and how much of it this process may use."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.host.facts import SystemFacts
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

# Text in a process's control groups that only container engines write.
_CGROUP_WORDS = ("docker", "kubepods", "containerd", "libpod", "lxc")
# Docker's marker file is everywhere where Docker is; Podman writes its own.
_MARKERS = ((".dockerenv", "docker"), ("run/.containerenv", "podman"))
_NO_LIMIT_BYTES = 2**60  # version 1 of cgroups writes a huge number for "none"


def detect_system(
    env: Mapping[str, str], sysroot: Path, cwd: Path | None = None
) -> SystemFacts:
    """Describe the machine; what cannot be read is `Unknown`, nothing raises."""
    total, free = _disk(cwd or Path())
    memory_total, memory_available = _memory(sysroot)
    return SystemFacts(
        os=platform.system(),
        os_name=_os_name(sysroot),
        machine=platform.machine(),
        python=platform.python_version(),
        container=_container(env, sysroot),
        wsl=_is_wsl(sysroot),
        cpu_count=cpu_count(sysroot),
        memory_total_bytes=memory_total,
        memory_available_bytes=memory_available,
        disk_total_bytes=total,
        disk_free_bytes=free,
    )


def read_text(path: Path) -> str | None:
    """Return the text of a small system file, or None where there is none."""
    try:
        if not path.is_file():  # a pipe would make us wait
            return None
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return None


def _os_name(sysroot: Path) -> str:
    """Return the name that people know, such as ``Ubuntu 22.04.5 LTS``."""
    for line in (read_text(sysroot / "etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    return f"{platform.system()} {platform.release()}"


def _is_wsl(sysroot: Path) -> bool:
    """Tell whether the kernel is that of Windows Subsystem for Linux."""
    return "microsoft" in (read_text(sysroot / "proc/version") or "").lower()


def _container(env: Mapping[str, str], sysroot: Path) -> str | None:
    """Name the container engine around this process."""
    if env.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    for marker, engine in _MARKERS:
        if (sysroot / marker).exists():
            return engine
    if env.get("container"):  # systemd's convention, lower case
        return env["container"]
    control_groups = read_text(sysroot / "proc/1/cgroup") or ""
    return next((word for word in _CGROUP_WORDS if word in control_groups), None)


def cpu_count(sysroot: Path = Path("/")) -> float | Unknown:
    """Return how many CPUs this process may keep busy."""
    allowed = _affinity()
    if allowed is None:
        return Unknown("the system does not tell")
    quota = _cpu_quota(sysroot)
    return float(allowed) if quota is None else min(float(allowed), quota)


def _affinity() -> int | None:
    """Return how many CPUs the scheduler may use for this process."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call
        return os.cpu_count()


def _cpu_quota(sysroot: Path) -> float | None:
    """Return the container's share of CPU time, in CPUs."""
    groups = sysroot / "sys/fs/cgroup"
    text = read_text(groups / "cpu.max")  # version 2: "150000 100000" or "max 100000"
    if text is None:
        quota = read_text(groups / "cpu/cpu.cfs_quota_us")
        text = f"{quota} {read_text(groups / 'cpu/cpu.cfs_period_us')}"
    try:
        quota_us, period_us = map(int, text.split())
    except ValueError:
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def _memory(sysroot: Path) -> tuple[int | Unknown, int | Unknown]:
    """Return the memory that this process may use: in all, and still free."""
    sizes = _meminfo(sysroot)
    if "MemTotal" not in sizes:
        return _memory_elsewhere()
    total = sizes["MemTotal"]
    available = sizes.get("MemAvailable", sizes.get("MemFree", 0))
    limit, used = _memory_group(sysroot)
    if limit is None or limit >= total:
        return total, available
    left = limit - used if used is not None else limit
    return limit, max(0, min(available, left))


def _meminfo(sysroot: Path) -> dict[str, int]:
    """Return the sizes that the kernel tells, in bytes."""
    sizes = {}
    for line in (read_text(sysroot / "proc/meminfo") or "").splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdigit():
            sizes[key] = int(number[0]) * 1024
    return sizes


def _memory_group(sysroot: Path) -> tuple[int | None, int | None]:
    """Return the container's memory limit and what it uses, in bytes."""
    groups = sysroot / "sys/fs/cgroup"
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit = read_text(groups / limit_file)
        if limit is not None and limit.isdigit() and int(limit) < _NO_LIMIT_BYTES:
            used = read_text(groups / used_file)
            return int(limit), int(used) if used and used.isdigit() else None
    return None, None


def _memory_elsewhere() -> tuple[int | Unknown, int | Unknown]:
    """Return the memory where there is no /proc: macOS, mostly."""
    missing = Unknown("the system does not tell")
    try:
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return missing, missing
    return (pages * page_bytes if pages > 0 else missing), missing


def _disk(cwd: Path) -> tuple[int | Unknown, int | Unknown]:
    """Return size and free space of the disk under the working directory."""
    try:
        usage = shutil.disk_usage(cwd)
    except OSError as error:
        missing = Unknown(error.strerror or "the system does not tell")
        return missing, missing
    return usage.total, usage.free
