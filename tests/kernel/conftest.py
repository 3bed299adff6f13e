"""The kernels that these tests run in: one for each interpreter, shared by its tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fakes.accelerator.fake_accelerator import kernel_code, missing_tools
from tests.kernel.support import INTERPRETERS, ROOT, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let who waits for the culling table come last, for it is made meanwhile."""
    items.sort(key=lambda item: "culling" in getattr(item, "fixturenames", ()))


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


class Culling:
    """The table of ``python -m tests.keepalive.culling``, made in a process of its own.

    It takes most of a minute, and only waits.
    """

    def __init__(self, output: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._output = output

    def begin(self, name: str) -> None:
        """Begin, unless it has begun, with the kernel of a name."""
        if self._process is None:
            command = [sys.executable, "-m", "tests.keepalive.culling"]
            with self._output.open("wb") as output:
                self._process = subprocess.Popen(
                    [*command, "--kernels", name],
                    cwd=ROOT,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )

    def result(self, timeout_s: float) -> tuple[int, str]:
        """Wait for it; return its exit status and the table."""
        assert self._process is not None
        status = self._process.wait(timeout_s)
        return status, self._output.read_text("utf-8", "replace")

    def close(self) -> None:
        """End it, where nobody has waited for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # it ends the server, too
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@pytest.fixture(scope="session")
def culling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Culling]:
    """Yield the culling table of this session, not yet begun."""
    table = Culling(tmp_path_factory.mktemp("culling") / "table.txt")
    yield table
    table.close()


@pytest.fixture(scope="session")
def shared_kernel(
    interpreter_path: str, kernel_name: str, request: pytest.FixtureRequest
) -> Iterator[Kernel]:
    """One running kernel for all tests of an interpreter."""
    for item in request.session.items:
        # It waits beside the tests before it.
        names = getattr(item, "fixturenames", ())
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "culling" in names and parameters["kernel_name"] == kernel_name:
            request.getfixturevalue("culling").begin(kernel_name)
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
