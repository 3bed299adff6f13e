"""The script that compares the table of CUDA with current wheels, without a network."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from colabmagic.data import compat
from tests.repo.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

HEADER = """
#if defined(__GNUC__)
#if __GNUC__ > 13
#error -- unsupported GNU version! gcc versions later than 13 are not supported!
#if (__clang_major__ >= 18) || (__clang_major__ < 3)
#if (__clang_major__ >= 17) || (__clang_major__ < 3)
"""
PTXAS = "Allowed values: 'compute_50','sm_50','sm_90','sm_90a','sm_100','lto_90'."


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """Return the script as a module."""
    path = ROOT / ".ci" / "measure_cuda.py"
    spec = importlib.util.spec_from_file_location("measure_cuda", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_limits_are_read_from_the_header(script: ModuleType) -> None:
    """The newest gcc that is taken, and the clangs that are refused."""
    assert script.read_limits(HEADER) == (13, (17, 18))
    with pytest.raises(script.NotMeasuredError):
        script.read_limits("nothing of the kind")


def test_gpus_are_read_in_order(script: ModuleType) -> None:
    """Numbers sort as numbers, variants stand behind their GPU."""
    assert script.read_gpus(PTXAS) == ("sm_50", "sm_90", "sm_90a", "sm_100")


def test_differences_are_named(script: ModuleType) -> None:
    """What the table says and what was measured stand side by side."""
    release = compat.newest_of("12.4")
    same = script.Measured(
        build="12.4.131",
        gcc_max=13,
        clang_below=(17, 18),
        sm=(*tuple(f"sm_{each}" for each in release.sm), "sm_90a"),
        sm_source="ptxas --help",
    )
    assert script.differences("12.4", same) == []
    other = script.Measured(
        build="12.4.200",
        gcc_max=14,
        clang_below=(19,),
        sm=("sm_50",),
        sm_source="ptxas --help",
    )
    assert script.differences("12.4", other) == [
        "gcc_max: table 13, measured 14",
        "clang_max: table 17, measured 18",
        f"sm: table {release.sm}, measured (50,)",
        "nvcc_wheels: 12.4.200 is new, table ends with 12.4.131",
    ]


def test_a_measured_row_is_one_of_the_table(script: ModuleType) -> None:
    """The line that is printed fits into the table as it is."""
    measured = script.Measured(
        build="1.2.3", gcc_max=1, clang_below=(2,), sm=(), sm_source="x"
    )
    assert set(measured.row("1.2")) == {
        "clang_below",
        "gcc_max",
        "host_compiler_basis",
        "host_compiler_source",
        "minor",
        "sm",
        "sm_basis",
        "sm_source",
    }
