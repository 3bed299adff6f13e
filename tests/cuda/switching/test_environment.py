"""The environment of this kernel is set for a toolkit, and set back."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.switching import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/home/me/.local/share/colabmagic/cuda/13.0.3")
OTHER = Path("/home/me/.local/share/colabmagic/cuda/12.4.1")


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    """Give an environment like Colab's."""
    env = {
        "PATH": "/opt/bin:/usr/local/cuda/bin:/usr/bin",
        "CUDA_HOME": "/usr/local/cuda",
        "LD_LIBRARY_PATH": "/usr/lib64-nvidia",
    }
    yield env
    environment.deactivate(env)


def test_nvcc_is_found_first(env: dict[str, str]) -> None:
    """``bin`` leads PATH, the roots are ours, LD_LIBRARY_PATH is left alone."""
    told = environment.activate(ROOT, {"CUDAHOSTCXX": "/usr/bin/g++-11"}, env)
    assert env["PATH"] == f"{ROOT}/bin:/opt/bin:/usr/local/cuda/bin:/usr/bin"
    assert env["CUDA_HOME"] == env["CUDA_PATH"] == str(ROOT)
    assert env["CUDAHOSTCXX"] == "/usr/bin/g++-11"
    assert env["LD_LIBRARY_PATH"] == "/usr/lib64-nvidia"
    assert told == {name: env[name] for name in told}
    assert environment.active_root(env) == ROOT


def test_it_is_set_back(env: dict[str, str]) -> None:
    """Also after a switch between two, and twice."""
    before = dict(env)
    environment.activate(ROOT, {"NVCC_APPEND_FLAGS": "-cudart=shared"}, env)
    environment.activate(OTHER, {}, env)
    assert "NVCC_APPEND_FLAGS" not in env
    assert env["PATH"].count("colabmagic") == 1
    environment.deactivate(env)
    environment.deactivate(env)
    assert env == before
    assert environment.active_root(env) is None


def test_what_the_user_changed_since_stays(env: dict[str, str]) -> None:
    """A folder that he put on PATH meanwhile is still there."""
    environment.activate(ROOT, {}, env)
    env["PATH"] = "/home/me/bin:" + env["PATH"]
    environment.deactivate(env)
    assert env["PATH"] == "/home/me/bin:/opt/bin:/usr/local/cuda/bin:/usr/bin"


def test_torch_is_told_in_place(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its extension builder reads the variable once, at import."""
    builder = types.ModuleType("torch.utils.cpp_extension")
    builder.CUDA_HOME = "/usr/local/cuda"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.cpp_extension", builder)
    environment.activate(ROOT, {}, env)
    assert str(ROOT) == builder.CUDA_HOME
    environment.deactivate(env)
    assert builder.CUDA_HOME == "/usr/local/cuda"


def test_what_was_set_by_hand_since_stays(env: dict[str, str]) -> None:
    """Only what still holds our value is set back."""
    environment.activate(ROOT, {"CUDAHOSTCXX": "/usr/bin/g++-12"}, env)
    env["CUDA_HOME"] = "/mine"
    environment.deactivate(env)
    assert env["CUDA_HOME"] == "/mine"
    assert "CUDAHOSTCXX" not in env


def test_the_path_comes_back_to_the_letter(env: dict[str, str]) -> None:
    """With empty parts, and with our folder, if the user had it there."""
    env["PATH"] = before = f":/opt/bin::{ROOT}/bin:/usr/bin:"
    environment.activate(ROOT, {}, env)
    assert environment.without_ours(env)["PATH"] == before
    environment.deactivate(env)
    assert env["PATH"] == before


def test_torch_finds_again_what_it_found_without_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No variable was set: it had looked into ``/usr/local`` by itself."""
    env = {"PATH": "/usr/bin"}
    builder = types.ModuleType("torch.utils.cpp_extension")
    builder.CUDA_HOME = "/usr/local/cuda"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, builder.__name__, builder)
    environment.activate(ROOT, {}, env)
    environment.activate(OTHER, {}, env)
    assert str(OTHER) == builder.CUDA_HOME
    environment.deactivate(env)
    assert builder.CUDA_HOME == "/usr/local/cuda"
    assert env == {"PATH": "/usr/bin"}


@pytest.mark.parametrize(
    ("held", "then"), [(str(ROOT), "/found"), (None, None), ("/mine", "/mine")]
)
def test_torch_that_was_imported_meanwhile_looks_anew(
    monkeypatch: pytest.MonkeyPatch, held: str | None, then: str | None
) -> None:
    """It has read our variable; a build for the CPU has not, and a user may have set it."""
    env = {"PATH": "/usr/bin"}
    monkeypatch.delitem(sys.modules, "torch.utils.cpp_extension", raising=False)
    environment.activate(ROOT, {}, env)
    builder = types.ModuleType("torch.utils.cpp_extension")
    builder.CUDA_HOME = held  # type: ignore[attr-defined]
    builder._find_cuda_home = lambda: "/found"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, builder.__name__, builder)
    environment.deactivate(env)
    assert then == builder.CUDA_HOME


def test_flags_of_the_user_stay(env: dict[str, str]) -> None:
    """Ours come before his, once, also where a kernel inherits both."""
    env["NVCC_PREPEND_FLAGS"] = "-lineinfo"
    before = dict(env)
    ours = {"NVCC_PREPEND_FLAGS": "-ccbin /usr/bin/g++-11"}
    environment.activate(ROOT, ours, env)
    together = "-ccbin /usr/bin/g++-11 -lineinfo"
    assert env["NVCC_PREPEND_FLAGS"] == together
    assert environment.variables_of(ROOT) == ours
    environment.deactivate(env)
    assert env == before


def test_a_flag_that_the_user_adds_meanwhile_stays_alone(env: dict[str, str]) -> None:
    """Another toolkit has another compiler; ours would be the last that nvcc is told."""
    name = "NVCC_PREPEND_FLAGS"
    environment.activate(ROOT, {name: "-ccbin /one/g++-11"}, env)
    env[name] += " -lineinfo"
    environment.activate(OTHER, {name: "-ccbin /other/g++-9"}, env)
    assert env[name] == "-ccbin /other/g++-9 -lineinfo"
    environment.activate(ROOT, {}, env)
    assert env[name] == "-lineinfo"
    environment.deactivate(env)
    assert env[name] == "-lineinfo"
