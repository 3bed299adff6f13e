"""Build and register the test accelerator: device type ``fake`` for PyTorch.

Importable by its path, also in a fresh kernel::

    import sys
    sys.path.insert(0, "…/tests/fakes/accelerator")
    import fake_accelerator
    fake = fake_accelerator.register()

The first call on a machine compiles for half a minute; the result stays in the
project's ``build`` folder, named by the source and the version of PyTorch, and loads
at once from then on. Processes that start together wait for one build.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import types
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("fake_accelerator.cpp")
BUILD_FOLDER = Path(__file__).parents[3] / "build" / "fake_accelerator"
DEVICES = 2

Unchecked: TypeAlias = Any  # what comes from PyTorch or from C++ without types

_EXTENSION = "fake_accelerator_ext"
_COMPILE_TIMEOUT_S = 600
_LIBRARIES: list[torch.library.Library] = []


def missing_tools() -> list[str]:
    """Return what the build needs and the system lacks; nothing once it is built."""
    if library_path().exists():
        return []
    missing = []
    if sys.platform not in {"linux", "darwin"}:
        missing.append("Linux or macOS")
    if _compiler() is None:
        missing.append("a C++ compiler (apt-get install g++, or set CXX)")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("Python's header files (apt-get install python3-dev)")
    if not Path(torch.__file__).with_name("include").exists():
        missing.append("PyTorch's header files")
    return missing


def library_path() -> Path:
    """Return where the compiled extension is, or will be."""
    parts = (
        SOURCE.read_bytes(),
        torch.__version__.encode(),
        sys.version.encode(),
        platform.machine().encode(),
    )
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = Path(os.environ.get("FAKE_ACCELERATOR_BUILD") or BUILD_FOLDER)
    return folder / key / f"{_EXTENSION}.so"


def build() -> Path:
    """Compile the extension unless that was done before, and return its path.

    Raises
    ------
    RuntimeError
        The compiler failed; its last words are in the message.
    """
    library = library_path()
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with _lock(library.with_suffix(".lock")):
        if not library.exists():  # another process may have been faster
            _compile(library)
    return library


def register(devices: int = DEVICES) -> types.ModuleType:
    """Register the device type ``fake`` and return ``torch.fake``.

    The first call in a process decides; later calls return the same module. Call it
    before the first backward pass, because PyTorch then starts one thread for each
    device that it knows. PyTorch is set to one thread, so that sums come out the same
    on each of them.

    Parameters
    ----------
    devices
        How many devices exist (at most 16).
    """
    known: types.ModuleType | None = getattr(torch, "fake", None)
    if known is not None:
        return known
    library = build()
    torch.set_num_threads(1)
    loader = importlib.machinery.ExtensionFileLoader(_EXTENSION, str(library))
    spec = importlib.util.spec_from_loader(_EXTENSION, loader)
    assert spec is not None
    extension = importlib.util.module_from_spec(spec)
    loader.exec_module(extension)
    _set_device_count(extension, devices)
    torch.utils.rename_privateuse1_backend("fake")
    module = _device_module(extension)
    torch._register_device_module("fake", module)  # type: ignore[no-untyped-call]
    torch.utils.generate_methods_for_privateuse1_backend()  # type: ignore[no-untyped-call]
    _register_recurrent_layers()
    return module


def _set_device_count(extension: Unchecked, devices: int) -> None:
    """Say how many devices exist; read once, at the first question."""
    os.environ["FAKE_DEVICES"] = str(devices)
    try:
        assert extension.device_count() == devices
    finally:
        del os.environ["FAKE_DEVICES"]


def kernel_code(devices: int = DEVICES) -> str:
    """Return the lines that register the device in a fresh process or kernel."""
    folder = str(Path(__file__).parent)
    return (
        f"import sys; sys.path.insert(0, {folder!r})\n"
        f"import fake_accelerator; fake_accelerator.register({devices})\n"
    )


def _compiler() -> str | None:
    """Return the C++ compiler, as a command."""
    return os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")


def _compile(library: Path) -> None:
    """Compile to a temporary name, then rename: nobody sees half a file."""
    torch_folder = Path(torch.__file__).parent
    partial = library.with_suffix(f".{os.getpid()}.partial")
    include = torch_folder / "include"
    command = [
        *shlex.split(_compiler() or "c++"),
        *("-O1", "-w", "-std=c++20", "-shared", "-fPIC"),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",  # type: ignore[no-untyped-call]
        f"-DTORCH_EXTENSION_NAME={_EXTENSION}",
        f"-I{include}",
        f"-I{include / 'torch' / 'csrc' / 'api' / 'include'}",
        f"-I{sysconfig.get_path('include')}",
        str(SOURCE),
        f"-L{torch_folder / 'lib'}",
        *("-lc10", "-ltorch_cpu", "-ltorch", "-ltorch_python"),
        *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []),
        *("-o", str(partial)),
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False
    )
    if result.returncode:
        partial.unlink(missing_ok=True)
        lines = result.stderr.strip().splitlines()
        errors = [line for line in lines if "error" in line] or lines
        raise RuntimeError(
            "the fake accelerator does not compile:\n" + "\n".join(errors[:10])
        )
    partial.replace(library)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock among processes; it falls with the process that holds it."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _index(device: Unchecked, default: int = 0) -> int:
    """Return the device index of an int, a string or a ``torch.device``."""
    if isinstance(device, int):
        return device
    index = torch.device(device).index
    return default if index is None else index


def _device_module(extension: Unchecked) -> types.ModuleType:
    """Make ``torch.fake``, the counterpart of ``torch.cuda``."""
    module: Any = types.ModuleType("torch.fake")

    def generator(device: Unchecked) -> torch.Generator:
        made: torch.Generator = extension.default_generator(_index(device))
        return made

    class DeviceContext:
        """``with torch.fake.device(1):``, as ``torch.cuda.device``."""

        def __init__(self, device: Unchecked) -> None:
            self.index = _index(device)
            self.outer = -1

        def __enter__(self) -> None:
            self.outer = extension.current_device()
            extension.set_device(max(self.index, 0))

        def __exit__(self, *exc: object) -> None:
            extension.set_device(self.outer)

    def manual_seed_all(seed: int) -> None:
        for index in range(extension.device_count()):
            generator(index).manual_seed(seed)

    def synchronize(device: Unchecked = None) -> None:
        torch.accelerator.synchronize(
            extension.current_device() if device is None else _index(device)
        )

    # What PyTorch expects of a device module.
    module.is_available = lambda: extension.device_count() > 0
    module.is_initialized = lambda: True
    module._lazy_init = lambda: None
    module._is_in_bad_fork = lambda: False
    module.device = DeviceContext
    module.device_count = extension.device_count
    module.current_device = extension.current_device
    module.set_device = lambda device: extension.set_device(_index(device))
    module.synchronize = synchronize
    module.empty_cache = lambda: None
    module.manual_seed = lambda seed: generator(extension.current_device()).manual_seed(
        seed
    )
    module.manual_seed_all = manual_seed_all
    module.get_rng_state = lambda device=0: generator(device).get_state()
    module.set_rng_state = lambda state, device=0: generator(device).set_state(state)
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]

    # What tests use.
    module.stats = lambda device=0: extension.stats(_index(device))
    module.op_counts = lambda device=0: extension.op_counts(_index(device))
    module.reset_stats = lambda device=0: extension.reset_stats(_index(device))
    module.set_limit = lambda device, count: extension.set_limit(_index(device), count)
    module.clear_limit = lambda device: module.set_limit(device, extension.no_limit())
    module.fail_allocation = lambda device, number: extension.fail_allocation(
        _index(device), number
    )
    module.set_lost = lambda device, lost: extension.set_lost(_index(device), lost)
    module.set_shared_rng = extension.set_shared_rng
    module.heal = lambda: _heal(module, extension.device_count())
    made: types.ModuleType = module
    return made


def _heal(module: Unchecked, devices: int) -> None:
    """Take every ordered fault back, forget the counts, select the first device."""
    for index in range(devices):
        module.set_lost(index, lost=False)
        module.fail_allocation(index, -1)
        module.clear_limit(index)
        module.reset_stats(index)
    module.set_shared_rng(False)
    module.set_device(0)


def _register_recurrent_layers() -> None:
    """Run LSTM and GRU as sequences of basic operators.

    On an accelerator PyTorch calls fused cells, which the CPU does not have. Its own
    decompositions give the same values (not always the same bits).
    """
    from torch._decomp import decompositions

    library = torch.library.Library("aten", "IMPL")
    for name, function in (
        ("lstm.input", "lstm_impl"),
        ("lstm.data", "lstm_data_impl"),
        ("gru.input", "gru_impl"),
        ("gru.data", "gru_impl_data"),
    ):
        implementation = getattr(decompositions, function, None)
        if implementation is not None:
            library.impl(name, implementation, "AutogradPrivateUse1")
            library.impl(name, implementation, "PrivateUse1")
    _LIBRARIES.append(library)  # the registration ends when the library object dies


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{build()} ({time.monotonic() - began:.1f} s)")  # noqa: T201 (a command)
