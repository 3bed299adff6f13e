"""The kernels that these tests run in: one for each interpreter, shared by its tests."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator.fake_accelerator import kernel_code, missing_tools
from tests.kernel.support import INTERPRETERS, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a kernel in some, all of one in one worker."""
    if "kernel_name" in metafunc.fixturenames:
        metafunc.parametrize(
            "kernel_name",
            [
                pytest.param(name, marks=pytest.mark.xdist_group(f"kernel {name}"))
                for name in _kernels_for(metafunc)
            ],
            scope="session",
        )


def _kernels_for(metafunc: pytest.Metafunc) -> list[str]:
    """Return the kernels of a test; ``one_kernel`` is for what only takes time."""
    names = _kernels(with_torch="needs_torch" in metafunc.fixturenames)
    is_one = metafunc.definition.get_closest_marker("one_kernel") is not None
    return names[:1] if is_one else names


def _kernels(*, with_torch: bool) -> list[str]:
    """Return the newest kernel, and of the two with Colab's versions the one that fits.

    ``.venv-old`` has torch; ``.venv-colab`` has Colab's Python, where that is here.
    """
    has_colabs = INTERPRETERS[".venv-colab"].exists()
    left_out = ".venv-colab" if with_torch or not has_colabs else ".venv-old"
    return [name for name in INTERPRETERS if name != left_out]


@pytest.fixture(scope="session")
def interpreter_path(kernel_name: str) -> str:
    """Path of the interpreter; the test is skipped by name where it is not set up."""
    path = INTERPRETERS[kernel_name]
    if not path.exists():
        pytest.skip(f"kernel {kernel_name} is not set up here (make venvs)")
    return str(path)


@pytest.fixture(scope="session")
def shared_kernel(interpreter_path: str) -> Iterator[Kernel]:
    """One running kernel for all tests of an interpreter."""
    with Kernel(interpreter_path) as kernel:
        reply = kernel.run("%load_ext colabmagic\n%load_ext probe_magic")
        assert reply.status == "ok", reply.shown
        yield kernel


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Kernel:
    """Return the shared kernel, with nothing of the test before.

    `%reset` looks through every object that there is, which takes longer than most tests:
    what outlives it is of the kernel itself, and is not looked through again.
    """
    reply = shared_kernel.run(
        "%reset -f\nimport gc, probe_magic\ngc.freeze()\ndel gc\n"
        "probe_magic.EVENTS.clear(); probe_magic.NAMES.clear()"
    )
    assert reply.status == "ok", reply.shown
    return shared_kernel


@pytest.fixture
def fresh_kernel(interpreter_path: str) -> Iterator[Kernel]:
    """Yield a kernel of the test's own, with nothing loaded."""
    with Kernel(interpreter_path) as kernel:
        yield kernel


@pytest.fixture(scope="session")
def needs_torch(interpreter_path: str, kernel_name: str) -> None:
    """Skip a test where the kernel's interpreter has no torch."""
    command = [
        interpreter_path,
        "-c",
        "import importlib.util as u, sys;sys.exit(u.find_spec('torch') is None)",
    ]
    if subprocess.run(command, check=False, timeout=60).returncode:
        pytest.skip(f"kernel {kernel_name} has no torch")


@pytest.fixture(scope="session")
def device_kernel(interpreter_path: str, needs_torch: None) -> Iterator[Kernel]:
    """Yield a kernel with the test accelerator in it."""
    del needs_torch
    if missing_tools():
        pytest.skip("the test accelerator needs " + ", ".join(missing_tools()))
    with Kernel(interpreter_path) as kernel:
        reply = kernel.run(kernel_code(), timeout_s=300)
        assert reply.status == "ok", reply.shown
        # What torch has made is not looked through again by each `%reset`.
        kernel.run("import gc, torch._dynamo\ngc.collect()\ngc.freeze()")
        reply = kernel.run("%load_ext colabmagic")
        assert reply.status == "ok", reply.shown
        yield kernel
