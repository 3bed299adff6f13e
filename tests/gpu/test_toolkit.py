"""Tests for `colabmagic.gpu.sources.toolkit`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.gpu.facts import Unknown
from colabmagic.gpu.sources.toolkit import probe_toolkit

if TYPE_CHECKING:
    from pathlib import Path

BUILD = b"\x7fELF\0 Build cuda_12.5.r12.5/compiler.34385749_0 \0"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the folder of a toolkit with a compiler in it."""
    folder = tmp_path / "usr/local/cuda"
    write_program(folder / "bin/nvcc", BUILD)
    return folder


def write_program(path: Path, content: bytes) -> Path:
    """Write a program that may be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_none(tmp_path: Path) -> None:
    """Without a compiler there is no toolkit."""
    assert probe_toolkit({"PATH": str(tmp_path)}, tmp_path) is None


def test_the_first_on_the_path_wins(home: Path, tmp_path: Path) -> None:
    """A shell would take that one, not the one in the usual place."""
    other = write_program(tmp_path / "bin/nvcc", b"cuda_11.8.r11.8/compiler.1")
    found = probe_toolkit({"PATH": str(other.parent)}, tmp_path)
    assert found is not None
    assert (found.path, found.version) == (str(other), "11.8")
    usual = probe_toolkit({"PATH": ""}, tmp_path)
    assert usual is not None
    assert (usual.path, usual.version) == (str(home / "bin/nvcc"), "12.5")


def test_the_variable_comes_before_the_usual_place(home: Path, tmp_path: Path) -> None:
    """CUDA_HOME is what builds of extensions look at."""
    named = write_program(tmp_path / "own/bin/nvcc", b"cuda_12.1.r12.1/compiler.1")
    found = probe_toolkit({"CUDA_HOME": str(tmp_path / "own")}, tmp_path)
    assert home.exists()
    assert found is not None
    assert (found.path, found.version) == (str(named), "12.1")


def test_version_file(home: Path, tmp_path: Path) -> None:
    """NVIDIA's installer writes the exact version beside it."""
    text = json.dumps({"cuda": {"name": "CUDA SDK", "version": "12.5.1"}})
    (home / "version.json").write_text(text, encoding="utf-8")
    found = probe_toolkit({}, tmp_path)
    assert found is not None
    assert found.version == "12.5.1"
    (home / "version.json").write_text("[1]", encoding="utf-8")
    found = probe_toolkit({}, tmp_path)
    assert found is not None
    assert found.version == "12.5"


def test_a_script_that_starts_the_compiler(home: Path, tmp_path: Path) -> None:
    """Conda and administrators put such scripts on the path."""
    script = f'#!/bin/sh\nexec {home}/bin/nvcc "$@"\n'.encode()
    path = write_program(tmp_path / "bin/nvcc", script)
    found = probe_toolkit({"PATH": str(path.parent)}, tmp_path)
    assert found is not None
    assert found.version == "12.5"


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\nexit 1\n", b"#!x\n/no/bin/nvcc"])
def test_what_does_not_tell(content: bytes, tmp_path: Path) -> None:
    """It is there, and its version is unknown; nothing raises."""
    write_program(tmp_path / "bin/nvcc", content)
    found = probe_toolkit({"PATH": str(tmp_path / "bin")}, tmp_path)
    assert found is not None
    assert isinstance(found.version, Unknown)
