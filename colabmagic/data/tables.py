"""Typed, cached readers of the tables in this folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRule:
    """How one kind of place is recognised; all given conditions must hold."""

    kind: str
    name: str
    source: str
    basis: str
    variant: str | None = None
    env: tuple[str, ...] = ()
    env_prefix: str | None = None
    env_equal: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    kernel: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaDriver:
    """The oldest driver for all builds of one CUDA major version."""

    cuda_major: int
    driver_min: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchWheel:
    """One family of PyTorch builds."""

    wheel: str
    cuda_major: int
    min_cc: tuple[int, int]
    max_cc: tuple[int, int]
    torch: str


def _read(name: str) -> dict[str, Any]:
    """Return a table as JSON has it."""
    data: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return data


def parse_version_pair(text: str) -> tuple[int, int]:
    """Return ``(12, 4)`` for ``"12.4"``."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


@cache
def host_rules() -> tuple[HostRule, ...]:
    """Return the rules of ``hosts.json`` in order of evaluation."""
    rules = []
    for row in _read("hosts.json")["rows"]:
        lists = {key: tuple(row.get(key, ())) for key in ("env", "paths")}
        rules.append(HostRule(**{**row, **lists}))
    return tuple(rules)


@cache
def cuda_drivers() -> tuple[CudaDriver, ...]:
    """Return the oldest drivers, by CUDA major version."""
    return tuple(
        CudaDriver(cuda_major=row["cuda_major"], driver_min=row["driver_min"])
        for row in _read("cuda.json")["drivers"]
    )


@cache
def torch_wheels() -> tuple[TorchWheel, ...]:
    """Return the families of PyTorch builds, oldest CUDA first."""
    return tuple(
        TorchWheel(
            wheel=row["wheel"],
            cuda_major=row["cuda_major"],
            min_cc=parse_version_pair(row["min_cc"]),
            max_cc=parse_version_pair(row["max_cc"]),
            torch=row["torch"],
        )
        for row in _read("cuda.json")["wheels"]
    )


def oldest_driver(cuda_major: int) -> str | None:
    """Return the oldest driver for builds of a CUDA major version."""
    for row in cuda_drivers():
        if row.cuda_major == cuda_major:
            return row.driver_min
    return None


def oldest_capability() -> tuple[int, int]:
    """Return the oldest compute capability that any of the builds has kernels for."""
    return min(wheel.min_cc for wheel in torch_wheels())


def best_wheel(cuda_major: int, cc: tuple[int, int] | None) -> TorchWheel | None:
    """Return the builds that a driver of this CUDA version can run.

    The newest CUDA that is not newer than the driver's wins, and the GPU must lie
    in the range of the build where its compute capability is known. Of two such
    families the one with the newer PyTorch wins.
    """
    fitting = [
        wheel
        for wheel in torch_wheels()
        if wheel.cuda_major <= cuda_major
        and (cc is None or wheel.min_cc <= cc <= wheel.max_cc)
    ]
    return max(
        fitting,
        key=lambda wheel: (wheel.cuda_major, _numbers(wheel.torch)),
        default=None,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a plain release version."""
    return tuple(map(int, version.split(".")))
