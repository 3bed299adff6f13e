"""The profile that we write is of nvcc's own form, and relative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.rooting.profile import append_flags, write_profile
from tests.cuda.rooting.trees import fill

if TYPE_CHECKING:
    from pathlib import Path


def test_profile(tmp_path: Path) -> None:
    """All places are told from where nvcc lies."""
    fill(tmp_path, {"bin/nvcc": ""})
    write_profile(tmp_path)
    text = (tmp_path / "bin" / "nvcc.profile").read_text("utf-8")
    assert text.startswith("TOP = $(_HERE_)/..\n")
    assert '"-I$(TOP)/include"' in text
    assert '"-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"' in text
    assert str(tmp_path) not in text


def test_a_static_runtime_needs_no_flags(tmp_path: Path) -> None:
    """Only a toolkit without one links to the shared library."""
    assert append_flags(tmp_path).startswith("-cudart=shared -cudadevrt=none ")
    fill(tmp_path, {"lib64/libcudart_static.a": ""})
    assert append_flags(tmp_path) == ""
