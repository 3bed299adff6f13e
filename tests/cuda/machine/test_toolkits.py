"""Tests for `colabmagic.cuda.machine.toolkits`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.machine.toolkits import HEADERS, find_toolkits
from colabmagic.cuda.methods.parts import PARTS
from colabmagic.cuda.store.layout import Home
from colabmagic.report.model import Unknown
from tests.cuda.machine.tree import Programs, nvcc, program, toolkit

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.machine.facts import Toolkit


def find(
    root: Path,
    env: dict[str, str] | None = None,
    programs: Programs | None = None,
    site: Path | None = None,
) -> tuple[Toolkit, ...]:
    """Return the toolkits of a tree; nothing is run unless `programs` are given."""
    used = programs or Programs()
    found = find_toolkits(
        env or {}, root, Home(root / "home"), [site] if site else [], used.run
    )
    if programs is None:
        assert used.asked == []
    return found


def test_the_systems(tmp_path: Path) -> None:
    """Newest first; the link to one of them is not another one."""
    toolkit(tmp_path / "usr/local/cuda-11.8", "11.8.89")
    toolkit(tmp_path / "usr/local/cuda-12.4", "12.4.131")
    (tmp_path / "usr/local/cuda").symlink_to("cuda-11.8")
    found = find(tmp_path)
    assert [(each.build, each.origin) for each in found] == [
        ("12.4.131", "system"),
        ("11.8.89", "system"),
    ]
    assert found[1].root.endswith("/cuda-11.8")
    assert found[0].minor == "12.4"
    assert all(each.has_compiler for each in found)


def test_a_real_folder_called_cuda(tmp_path: Path) -> None:
    """As images have it."""
    toolkit(tmp_path / "usr/local/cuda", "12.5.82")
    (found,) = find(tmp_path)
    assert (found.build, found.root) == ("12.5.82", str(tmp_path / "usr/local/cuda"))


def test_files_tell_the_build(tmp_path: Path) -> None:
    """version.json of 11.1 and later."""
    root = toolkit(tmp_path / "usr/local/cuda-12.8")
    data = {"cuda": {"version": "12.8.1"}, "cuda_nvcc": {"version": "12.8.93"}}
    (root / "version.json").write_text(json.dumps(data))
    (found,) = find(tmp_path)
    assert found.build == "12.8.93"
    for text in ("{ broken", "[" * 100_000):
        (root / "version.json").write_text(text)
        (found,) = find(tmp_path)
        assert found.build == "12.4.131"  # what is in nvcc


def test_asked_only_where_nothing_tells(tmp_path: Path) -> None:
    """An nvcc without its banner is run; version.txt is the last that is believed."""
    root = toolkit(tmp_path / "usr/local/cuda-9.2")
    program(root / "bin/nvcc", b"#!/bin/sh\n")
    says = "nvcc: NVIDIA\nCuda compilation tools, release 9.2, V9.2.148\n"
    programs = Programs({"nvcc --version": says})
    (found,) = find(tmp_path, programs=programs)
    assert found.build == "9.2.148"
    assert len(programs.asked) == 1
    (root / "version.txt").write_text("CUDA Version 9.2.148\n")
    (found,) = find(tmp_path, programs=Programs())
    assert found.build == "9.2.148"
    (root / "version.txt").unlink()
    (found,) = find(tmp_path, programs=Programs())
    assert found.build == Unknown("it does not tell its version")
    assert found.minor is None


def test_ours(tmp_path: Path) -> None:
    """With what its card wants in the environment; what is being made is none."""
    root = toolkit(tmp_path / "home/cuda/13.0.3", "13.0.88")
    toolkit(tmp_path / "home/cuda/.staging-1", "13.4.92")
    card = {
        "name": "13.0.3",
        "build": "13.0.88",
        "method": "wheels",
        "installed": 1.0,
        "environment": {"CUDAHOSTCXX": "{root}/host/bin/g++-12"},
    }
    (root / "toolkit.json").write_text(json.dumps(card))
    (found,) = find(tmp_path)
    assert (found.origin, found.build) == ("ours", "13.0.88")
    assert found.variables == (("CUDAHOSTCXX", f"{root}/host/bin/g++-12"),)
    (root / "toolkit.json").write_text("{ broken")
    (found,) = find(tmp_path)
    assert found.variables == ()


def test_by_variables_and_path(tmp_path: Path) -> None:
    """What is known already keeps its origin."""
    toolkit(tmp_path / "usr/local/cuda-12.4")
    other = toolkit(tmp_path / "opt/cuda", "11.7.99")
    third = toolkit(tmp_path / "sw/cuda", "11.3.109")
    env = {
        "CUDA_HOME": str(tmp_path / "usr/local/cuda-12.4"),
        "CUDA_PATH": str(other),
        "PATH": str(third / "bin"),
    }
    found = find(tmp_path, env)
    assert [(each.build, each.origin) for each in found] == [
        ("12.4.131", "system"),
        ("11.7.99", "path"),
        ("11.3.109", "path"),
    ]


def test_the_distributions(tmp_path: Path) -> None:
    """Debian's nvcc on PATH is a script, which leads to the real one."""
    root = tmp_path / "usr/lib/nvidia-cuda-toolkit"
    for name in ("cudafe++", "ptxas", "cicc"):
        program(root / f"bin/{name}")
    program(root / "bin/nvcc", nvcc("11.8.89"))
    script = f'#!/bin/sh\nexec {root}/bin/nvcc "$@"\n'
    program(tmp_path / "usr/bin/nvcc", script.encode())
    (found,) = find(tmp_path, {"PATH": str(tmp_path / "usr/bin")})
    assert (found.origin, found.build) == ("distribution", "11.8.89")
    assert found.has_compiler


def test_wheels(tmp_path: Path) -> None:
    """With a compiler, libraries alone, and the package that is only called so."""
    site = tmp_path / "site-packages"
    toolkit(site / "nvidia/cu13", "13.0.88")
    (site / "nvidia/cuda_nvcc/bin").mkdir(parents=True)
    program(site / "nvidia/cuda_nvcc/bin/ptxas")
    (site / "nvidia/cublas").mkdir()
    found = find(tmp_path, site=site)
    assert [(each.origin, each.has_compiler) for each in found] == [
        ("wheels", True),
        ("wheels", False),
    ]
    assert found[1].build == Unknown("there is no nvcc in it")


def test_libraries_that_torch_has_brought(tmp_path: Path) -> None:
    """Their header tells the minor version."""
    site = tmp_path / "site-packages"
    header = site / "nvidia/cu13/include/cuda_runtime_api.h"
    header.parent.mkdir(parents=True)
    header.write_text("/* licence */\n#define CUDART_VERSION  13020\n")
    (found,) = find(tmp_path, site=site)
    assert (found.build, found.minor, found.has_compiler) == ("13.2", "13.2", False)


@pytest.mark.parametrize("lost", ["bin/cudafe++", "bin/ptxas", "nvvm/bin/cicc"])
def test_half_a_toolkit(tmp_path: Path, lost: str) -> None:
    """Without what stands behind nvcc it is no compiler."""
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    (root / lost).unlink()
    (found,) = find(tmp_path)
    assert not found.has_compiler


def test_libraries_of_the_system_are_none(tmp_path: Path) -> None:
    """/usr/local/cuda of a runtime image has no nvcc."""
    (tmp_path / "usr/local/cuda-12.4/lib64").mkdir(parents=True)
    assert find(tmp_path) == ()


def test_no_permission(tmp_path: Path) -> None:
    """A folder that is shut is passed over; root sees into it."""
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    (root / "bin").chmod(0)
    try:
        assert len(find(tmp_path)) == (1 if os.geteuid() == 0 else 0)
    finally:
        (root / "bin").chmod(0o755)


def test_an_nvcc_that_may_not_be_run(tmp_path: Path) -> None:
    """It is told as no compiler, by whom it may be read."""
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    (root / "bin/nvcc").chmod(0o644)
    (found,) = find(tmp_path)
    assert (found.build, found.has_compiler) == ("12.4.131", False)


def test_an_empty_nvcc(tmp_path: Path) -> None:
    """A download that broke off is no reason to raise."""
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    (root / "bin/nvcc").write_bytes(b"")
    (found,) = find(tmp_path, programs=Programs())
    assert isinstance(found.build, Unknown)


def test_libraries_are_known_by_their_headers(tmp_path: Path) -> None:
    """Each that ``--with`` knows; CUPTI's lie in a folder of their own."""
    assert set(HEADERS) == set(PARTS)
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    for path in ("include/cudnn.h", "extras/CUPTI/include/cupti.h"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    assert set(find(tmp_path)[0].parts) == {"cudnn", "cupti"}


def test_one_folder_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """A name that is too long fails as a shut folder does, also for root."""
    toolkit(tmp_path / "usr/local/cuda-11.8", "11.8.89")
    env = {"CUDA_HOME": f"{tmp_path}/{'x' * 300}"}
    assert [each.build for each in find(tmp_path, env)] == ["11.8.89"]
