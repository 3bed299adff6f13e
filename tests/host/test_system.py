"""The machine and its limits, from made-up system files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.host.system import detect_system, read_text
from colabmagic.report.model import Unknown
from tests.gpu.scenarios import write_root

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = {
    "proc/meminfo": "MemTotal: 13290460 kB\nMemFree: 1 kB\nMemAvailable: 9000000 kB"
}
KIB = 1024
GIB = 2**30
V2, V1 = "sys/fs/cgroup/", "sys/fs/cgroup/"


def affinity() -> float:
    """Return what the scheduler allows this process."""
    try:
        return float(len(os.sched_getaffinity(0)))
    except AttributeError:
        return float(os.cpu_count() or 1)


def test_names(tmp_path: Path) -> None:
    """The distribution's own name is used, quotes or not."""
    release = {"etc/os-release": 'ID=ubuntu\nPRETTY_NAME="Ubuntu 22.04.5 LTS"'}
    facts = detect_system({}, write_root(tmp_path, release))
    assert facts.os_name == "Ubuntu 22.04.5 LTS"
    assert facts.container is None
    assert not facts.wsl


@pytest.mark.parametrize(
    ("files", "env", "engine"),
    [
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({}, {"container": "lxc"}, "lxc"),
        ({"proc/1/cgroup": "0::/kubepods/burstable/x"}, {}, "kubepods"),
        ({"proc/1/cgroup": "0::/init.scope"}, {}, None),
    ],
)
def test_container(
    files: dict[str, str], env: dict[str, str], engine: str | None, tmp_path: Path
) -> None:
    """Each engine leaves its mark; an ordinary system has none."""
    assert detect_system(env, write_root(tmp_path, files)).container == engine


def test_wsl(tmp_path: Path) -> None:
    """The kernel of WSL names its maker."""
    version = {"proc/version": "Linux version 5.15.153.1-microsoft-standard-WSL2"}
    assert detect_system({}, write_root(tmp_path, version)).wsl


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({V2 + "cpu.max": "max 100000"}, None),
        ({V2 + "cpu.max": "50000 100000"}, 0.5),
        ({V2 + "cpu.max": "rubbish"}, None),
        (
            {
                V1 + "cpu/cpu.cfs_quota_us": "75000",
                V1 + "cpu/cpu.cfs_period_us": "100000",
            },
            0.75,
        ),
        (
            {
                V1 + "cpu/cpu.cfs_quota_us": "-1",
                V1 + "cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
    ids=["no file", "no limit", "half", "rubbish", "version 1", "version 1, none"],
)
def test_cpu_quota(files: dict[str, str], cpus: float | None, tmp_path: Path) -> None:
    """A container's share limits what the scheduler allows."""
    count = detect_system({}, write_root(tmp_path, files)).cpu_count
    assert count == (affinity() if cpus is None else cpus)


def test_memory_of_the_machine(tmp_path: Path) -> None:
    """Without a limit all memory counts."""
    facts = detect_system({}, write_root(tmp_path, MEMINFO))
    assert facts.memory_total_bytes == 13290460 * KIB
    assert facts.memory_available_bytes == 9000000 * KIB


@pytest.mark.parametrize(
    "files",
    [
        {
            V2 + "memory.max": str(4 * GIB),
            V2 + "memory.current": str(GIB),
        },
        {
            V1 + "memory/memory.limit_in_bytes": str(4 * GIB),
            V1 + "memory/memory.usage_in_bytes": str(GIB),
        },
    ],
    ids=["version 2", "version 1"],
)
def test_memory_of_a_container(files: dict[str, str], tmp_path: Path) -> None:
    """A container's limit counts, less what it uses already."""
    facts = detect_system({}, write_root(tmp_path, {**MEMINFO, **files}))
    assert facts.memory_total_bytes == 4 * GIB
    assert facts.memory_available_bytes == 3 * GIB


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", ""])
def test_no_memory_limit(limit: str, tmp_path: Path) -> None:
    """The ways to say "no limit" are no limit."""
    files = {**MEMINFO, V2 + "memory.max": limit}
    facts = detect_system({}, write_root(tmp_path, files))
    assert facts.memory_total_bytes == 13290460 * KIB


def test_disk(tmp_path: Path) -> None:
    """The disk is that of the working directory; a missing folder is no error."""
    facts = detect_system({}, tmp_path, cwd=tmp_path)
    assert isinstance(facts.disk_total_bytes, int)
    assert isinstance(facts.disk_free_bytes, int)
    assert 0 < facts.disk_free_bytes <= facts.disk_total_bytes
    gone = detect_system({}, tmp_path, cwd=tmp_path / "gone")
    assert isinstance(gone.disk_free_bytes, Unknown)


def test_missing_file_is_none(tmp_path: Path) -> None:
    """Folders, missing files and broken text are no errors."""
    (tmp_path / "bytes").write_bytes(b"a\xff\n")
    assert read_text(tmp_path) is None
    assert read_text(tmp_path / "gone") is None
    assert read_text(tmp_path / "bytes") == "a\ufffd"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is no file tells nothing; a pipe without a writer would never end."""
    os.mkfifo(tmp_path / "pipe")
    assert read_text(tmp_path / "pipe") is None
