"""What is packed by zstd: Python reads it since 3.14, or one of three helpers does."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.host import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.host.command import CommandOutcome

_MODULES: Final = ("compression.zstd", "backports.zstd")
_OTHER: Final = "zstandard"  # with another interface
_TIMEOUT_S: Final = 600.0


def open_zstd(
    stream: IO[bytes], *, run: Callable[..., CommandOutcome] = command.run
) -> IO[bytes]:
    """Return the plain bytes.

    Parameters
    ----------
    stream
        Where the packed bytes begin.
    run
        Runs programs.

    Raises
    ------
    CudaError
        Nothing here can read it.
    """
    for name in _MODULES:
        if (module := _imported(name)) is not None:
            opened: IO[bytes] = module.open(stream)
            return opened
    if (module := _imported(_OTHER)) is not None:
        reader: IO[bytes] = module.ZstdDecompressor().stream_reader(stream)
        return reader
    program = shutil.which("zstd")
    if program is None:
        raise CudaError(
            "the package is packed by zstd, and nothing here reads that",
            seen="no program zstd; Python reads it since 3.14",
            hint="%pip install backports.zstd",
        )
    return _by_program(program, stream, run)


def is_readable() -> bool:
    """Tell whether anything here reads it."""
    names = (*_MODULES, _OTHER)
    return bool(shutil.which("zstd")) or any(_imported(name) for name in names)


def _imported(name: str) -> Any:  # noqa: ANN401 (a module)
    """Return a module; None if it is not here."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _by_program(
    program: str, stream: IO[bytes], run: Callable[..., CommandOutcome]
) -> IO[bytes]:
    """Let the program unpack it into a file without a name."""
    with tempfile.TemporaryDirectory(prefix="colabmagic-zstd-") as folder:
        packed, plain = f"{folder}/packed.zst", f"{folder}/plain"
        with open(packed, "wb") as out:  # noqa: PTH123 (text paths, for the program)
            shutil.copyfileobj(stream, out)
        outcome = run([program, "-q", "-d", packed, "-o", plain], timeout_s=_TIMEOUT_S)
        if not outcome.ok:
            said = outcome.stderr.strip().rpartition(" : ")[2]  # before it: our path
            raise ValueError(f"zstd: {said or outcome.error}")
        return open(plain, "rb")  # noqa: PTH123 (read on when the folder is gone)
