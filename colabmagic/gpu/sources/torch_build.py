"""Read how the installed PyTorch was built, without importing it.

An import takes seconds, and a broken PyTorch is just what a diagnosis must survive.
"""

from __future__ import annotations

import contextlib
import importlib.util
import mmap
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.facts import Accelerator, Pair, TorchFacts, TorchState, Unknown
from colabmagic.gpu.sources import elf
from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

# Such as: cuda: Optional[str] = '12.8'
_ASSIGNMENT = re.compile(
    r"^(__version__|cuda|hip)\s*(?::[^=\n]*)?=\s*(None|'[^'\n]*'|\"[^\"\n]*\")",
    re.MULTILINE,
)
# The list that torch.cuda.get_arch_list() splits lies in the library as one string. The
# pattern begins with plain text, for which `re` scans 30 MB in 10 ms.
_ARCH = rb"(?:sm|compute)_\d{2,3}[af]?"
_ARCHS = re.compile(rb"sm_\d{2,3}[af]?(?: " + _ARCH + rb")*")
_ARCHS_BEFORE = re.compile(rb"(?:" + _ARCH + rb" )+\Z")
_LOOK_BACK_BYTES = 200
_LIBRARIES = ("libtorch_python.so", "torch_python.dll")
SHADOWS = "is found in the place of PyTorch"
DAMAGED = "PyTorch is damaged"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_UNNAMED = "privateuseone"  # what the extension key is called until a back end comes


def probe_torch(modules: Mapping[str, Any], folder: Path | None = None) -> TorchFacts:
    """Describe the PyTorch that an ``import torch`` would get; never raises.

    Parameters
    ----------
    modules
        Imported modules; an imported PyTorch is only looked at.
    folder
        The folder of the package; where left out, where Python would find it.
    """
    torch = modules.get("torch")
    found = (folder, None) if folder else _find(torch)
    folder, shadow = found
    if shadow is not None:
        return TorchFacts(
            state=TorchState.UNREADABLE, reason=shadow, imported=torch is not None
        )
    if folder is None:
        return TorchFacts(state=TorchState.MISSING, reason="no package named torch")
    text = read_text(folder / "version.py")
    values = {} if text is None else _parse(text)
    if "__version__" not in values:
        reason = "its version.py cannot be read"
        return TorchFacts(
            state=TorchState.UNREADABLE, reason=reason, imported=torch is not None
        )
    cuda = values.get("cuda")
    return TorchFacts(
        state=TorchState.INSTALLED,
        version=values["__version__"] or Unknown("version.py is empty"),
        cuda=_pair(cuda) if cuda else None,
        hip=values.get("hip"),
        archs=_archs(folder) if cuda else (),
        imported=torch is not None,
        cuda_initialized=_is_initialized(torch),
        in_bad_fork=_is_bad_fork(torch),
        accelerator=_accelerator(torch),
    )


def _find(torch: object | None) -> tuple[Path | None, str | None]:
    """Return the folder of the package, or what of the user's stands in its place."""
    path = getattr(torch, "__file__", None)
    if path is None:
        try:
            spec = importlib.util.find_spec("torch")
        except (ImportError, ValueError):  # a half-removed package, a fake module
            return None, None
        path = None if spec is None else spec.origin
    if not path:
        return None, None
    folder = Path(path).parent
    if not str(path).endswith("__init__.py"):
        return folder, f"a file of your own, {Path(path).name}, {SHADOWS}"
    is_installed = folder.parent.name in _INSTALLED or (folder / "version.py").exists()
    if not is_installed:
        return folder, f"a folder of your own, {folder.name}, {SHADOWS}"
    return folder, None


def _parse(text: str) -> dict[str, str | None]:
    """Return the assignments of a version.py."""
    return {
        name: None if value == "None" else value.strip("'\"")
        for name, value in _ASSIGNMENT.findall(text)
    }


def _pair(version: str) -> Pair | Unknown:
    """Return ``(12, 8)`` for ``"12.8"``."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else Unknown(f"it says {version!r}")


def _archs(folder: Path) -> tuple[str, ...] | Unknown:
    """Return the GPU architectures that the build has kernels for."""
    for name in _LIBRARIES:
        path = folder / "lib" / name
        try:
            seen = path.stat()
        except OSError:
            continue
        return _search(str(path), seen.st_mtime_ns, seen.st_size)
    return Unknown(f"{DAMAGED}: its library was not found")


@lru_cache(maxsize=4)
def _search(path: str, _mtime_ns: int, size: int) -> tuple[str, ...] | Unknown:
    """Search a library for its list of architectures; remembered while it stays."""
    if not size:
        return Unknown(f"{DAMAGED}: its library is empty")
    try:
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            start, end = elf.constants(data) or (0, size)
            found = _longest(data, start, end)
            if isinstance(found, Unknown) and (start, end) != (0, size):
                return _longest(data, 0, size)
            return found
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return Unknown(f"{DAMAGED}: its library cannot be read ({reason})")


def _longest(data: mmap.mmap, first: int, last: int) -> tuple[str, ...] | Unknown:
    """Return the longest list of architectures in some bytes of a library."""
    found_all = _ARCHS.finditer(data, first, last)
    best = max(found_all, key=lambda found: len(found[0]), default=None)
    if best is None:
        return Unknown("its library has no list")
    start = best.start()
    # A list may begin with PTX, which the pattern does not look for.
    before = _ARCHS_BEFORE.search(data[max(0, start - _LOOK_BACK_BYTES) : start])
    found = (before[0] if before else b"") + best[0]
    return tuple(found.decode("ascii").split())


def _is_initialized(torch: Any) -> bool:  # noqa: ANN401 (any PyTorch, or a stub)
    """Tell whether CUDA is live in this process; reads a flag only."""
    try:
        return bool(torch.cuda.is_initialized())
    except Exception:  # noqa: BLE001 (no PyTorch, or a broken one)
        return False


def _is_bad_fork(torch: Any) -> bool:  # noqa: ANN401 (as above)
    """Tell whether this process was forked off one where CUDA was live."""
    try:
        return torch.cuda._is_in_bad_fork() is True  # noqa: SLF001 (no public way)
    except Exception:  # noqa: BLE001 (no PyTorch, or a broken one)
        return False


def _accelerator(torch: Any) -> Accelerator | None:  # noqa: ANN401 (as above)
    """Return what the imported PyTorch offers beside CUDA.

    Only the type is asked first, which initialises nothing; CUDA is then left alone.
    """
    if torch is None:
        return None
    with contextlib.suppress(Exception):  # PyTorch before 2.6, or a broken one
        device = torch.accelerator.current_accelerator()
        if device is None or device.type in {"cuda", "cpu", _UNNAMED}:
            return None
        if not torch.accelerator.is_available():
            return None
        return Accelerator(
            kind=str(device.type), count=int(torch.accelerator.device_count())
        )
    return None
