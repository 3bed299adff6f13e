"""Zstandard, by whichever package is there: Python's own from 3.14 on, or another."""

from __future__ import annotations

import contextlib
import importlib
from typing import IO, TYPE_CHECKING, Any, Final, cast

from colabmagic.drive.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

_LIKE_PYTHON: Final = ("compression.zstd", "backports.zstd")
_OTHER: Final = "zstandard"


def reader(file: Any) -> IO[bytes]:  # noqa: ANN401 (what can be read)
    """Return a stream of what Zstandard has packed.

    Parameters
    ----------
    file
        Is read from where it stands.

    Raises
    ------
    MissingPackageError
        Nothing here can read it.
    """
    module = _module()
    if module.__name__ == _OTHER:
        unpacker = module.ZstdDecompressor()
        return cast(
            "IO[bytes]",
            unpacker.stream_reader(file, read_across_frames=True, closefd=False),
        )
    return cast("IO[bytes]", module.ZstdFile(file))


def writer(file: Any) -> IO[bytes]:  # noqa: ANN401 (what can be written)
    """Return a stream that packs by Zstandard; closing it leaves the file open.

    Parameters
    ----------
    file
        Takes what was packed.

    Raises
    ------
    MissingPackageError
        Nothing here can do it.
    """
    module = _module()
    if module.__name__ == _OTHER:
        packer = module.ZstdCompressor(write_checksum=True)
        return cast("IO[bytes]", packer.stream_writer(file, closefd=False))
    options = {module.CompressionParameter.checksum_flag: 1}
    return cast("IO[bytes]", module.ZstdFile(file, "wb", options=options))


def damages() -> tuple[type[BaseException], ...]:
    """Return the errors of damaged content; none of ours is among them."""
    with contextlib.suppress(MissingPackageError):
        return (_module().ZstdError,)
    return ()


def require() -> None:
    """Raise unless something here knows Zstandard."""
    _module()


def _module() -> ModuleType:
    """Return the package that is here."""
    for name in (*_LIKE_PYTHON, _OTHER):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise MissingPackageError(
        "nothing here can read or write .zst",
        seen="Python before 3.14, and no package for it",
        hint="%pip install backports.zstd, or take .tar.gz",
    )
