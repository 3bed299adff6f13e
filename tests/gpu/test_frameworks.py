"""Tests for `colabmagic.gpu.sources.frameworks`."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.facts import Build, FrameworkFacts, Unknown
from colabmagic.gpu.sources.frameworks import probe_frameworks

if TYPE_CHECKING:
    from pathlib import Path

BUILD_INFO = """
build_info = collections.OrderedDict([('is_rocm_build', {rocm}),
('cuda_version', '12.5.1'), ('is_cuda_build', {cuda})])
"""


def tensorflow(folder: Path, *, cuda: bool = False, rocm: bool = False) -> Path:
    """Write the files of a TensorFlow, as its wheels have them."""
    package = folder / "tensorflow"
    (package / "python/platform").mkdir(parents=True)
    info = BUILD_INFO.format(cuda=cuda, rocm=rocm)
    (package / "python/platform/build_info.py").write_text(info)
    (folder / "tensorflow-2.19.0.dist-info").mkdir()
    return package


def jax(folder: Path, *beside: str) -> Path:
    """Write the files of a JAX, and the packages beside it."""
    package = folder / "jax"
    package.mkdir()
    (package / "version.py").write_text('_version = "0.7.2"\n')
    for name in beside:
        (folder / name).mkdir()
    return package


def only(
    name: str, folder: Path, modules: dict[str, Any] | None = None
) -> FrameworkFacts:
    """Return what is found of one framework."""
    (found,) = probe_frameworks(modules or {}, {name: folder})
    return found


def test_none() -> None:
    """What is not installed is not mentioned."""
    assert probe_frameworks({}, {}) == ()


@pytest.mark.parametrize(
    ("builds", "expected"),
    [
        ({}, Build.CPU),
        ({"cuda": True}, Build.CUDA),
        ({"rocm": True}, Build.ROCM),
    ],
)
def test_tensorflow(builds: dict[str, bool], expected: Build, tmp_path: Path) -> None:
    """Version and build are read from its files."""
    found = only("tensorflow", tensorflow(tmp_path, **builds))
    assert (found.name, found.version) == ("TensorFlow", "2.19.0")
    assert (found.build, found.cuda) == (expected, "12.5.1")
    assert not found.imported
    assert not found.holds_gpu


def test_tensorflow_without_its_files(tmp_path: Path) -> None:
    """Unknown is not the same as a build without CUDA."""
    found = only("tensorflow", tmp_path)
    assert isinstance(found.build, Unknown)
    assert isinstance(found.version, Unknown)


@pytest.mark.parametrize(
    ("beside", "expected", "cuda"),
    [
        ((), Build.CPU, None),
        (("jax_cuda12_plugin", "jax_cuda12_plugin-0.7.2.dist-info"), Build.CUDA, "12"),
        (("jax_cuda12_plugin", "jax_cuda13_plugin"), Build.CUDA, "13"),
        (("jax_rocm60_plugin",), Build.ROCM, None),
        (("libtpu",), Build.TPU, None),
    ],
)
def test_jax(
    beside: tuple[str, ...], expected: Build, cuda: str | None, tmp_path: Path
) -> None:
    """The plugins beside it say what it can use."""
    found = only("jax", jax(tmp_path, *beside))
    assert (found.version, found.build) == ("0.7.2", expected)
    assert cuda is None or found.cuda == cuda


@pytest.mark.parametrize("handle", [None, object()])
def test_tensorflow_holds_the_gpu_once_started(handle: object, tmp_path: Path) -> None:
    """An import alone takes nothing; what starts its context takes all."""
    context = types.SimpleNamespace(_context_handle=handle)
    modules = {
        "tensorflow": types.ModuleType("tensorflow"),
        "tensorflow.python.eager.context": types.SimpleNamespace(_context=context),
    }
    found = only("tensorflow", tensorflow(tmp_path, cuda=True), modules)
    assert found.imported
    assert found.holds_gpu is (handle is not None)


@pytest.mark.parametrize(
    ("backends", "expected"), [({}, False), ({"cpu": 1}, False), ({"cuda": 1}, True)]
)
def test_jax_holds_the_gpu_once_started(
    *,
    backends: dict[str, int],
    expected: bool,
    tmp_path: Path,
) -> None:
    """Its back ends say which devices are live."""
    bridge = types.SimpleNamespace(_backends=backends)
    modules = {"jax": types.ModuleType("jax"), "jax._src.xla_bridge": bridge}
    found = only("jax", jax(tmp_path, "jax_cuda12_plugin"), modules)
    assert found.holds_gpu is expected
