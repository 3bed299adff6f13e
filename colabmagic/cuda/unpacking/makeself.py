"""Runfiles: a shell script with a tar archive behind it, as makeself writes them.

Read from the headers of makeself 2.1 to 2.4, and from how distributions unpack NVIDIA's
installers (``--noexec``, ``tail -n +521``): the script's line count tells where the
archive begins, and ``filesizes`` where it ends. Nothing of it is run.

Inside, up to 10.0 is ``run_files/cuda-linux*.run``, a runfile again with the toolkit in
it; 10.1 and 10.2 have ``builds/cuda-toolkit/``, 11.0 and later ``builds/<part>/``.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from colabmagic.cuda.unpacking.policy import Outlet
from colabmagic.cuda.unpacking.tar import unpack_tar

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD: Final = 2**18  # bytes in which the script ends
_SKIP: Final = re.compile(
    rb"^(?:skip|SKIP|OLDSKIP)=\"?(\d+)\"?\s*$|head -n \"?(\d+)\"? \"?\$", re.MULTILINE
)
_SIZES: Final = re.compile(rb"^filesizes=\"?([\d ]+)\"?\s*$", re.MULTILINE)
_MD5: Final = re.compile(rb"^MD5=\"?([0-9a-f]{32})\"?\s*$", re.MULTILINE)
_NO_MD5: Final = "0" * 32
_MAGICS: Final = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd")
_INNER: Final = "run_files/cuda-linux*"
_PARTS: Final = "builds/"
_NEVER: Final = (  # the driver, samples and installers: only the toolkit is wanted
    "NVIDIA-Linux*", "*/NVIDIA-Linux*", "NVIDIA_*", "*samples*", "cuda-installer*",
    "bin/cuda-uninstaller", "install-linux.pl", "InstallUtils.pm", "*.run",
    # Programs with windows, and manuals: most of the bytes, and no use in a notebook.
    "doc/*", "libnsight/*", "libnvvp/*", "nsight-*", "nsightee_plugins/*", "Nsight*",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Where the archive of a runfile lies.

    Attributes
    ----------
    offset, size
        Bytes.
    md5
        As the script announces it; empty: it does not.
    """

    offset: int
    size: int
    md5: str


def unpack_runfile(
    path: Path,
    root: Path,
    *,
    name: str,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> int:
    """Unpack the toolkit of a runfile, so that `root` has ``bin/nvcc``.

    Parameters
    ----------
    path
        Of the runfile.
    root
        Where the toolkit goes.
    name
        For errors.
    only, skip
        Patterns of paths in the toolkit.

    Returns
    -------
    int
        How many files there are now.

    Raises
    ------
    ChecksumError
        It is damaged, or holds what it must not.
    DiskFullError
        There is no room.
    """
    outer = Outlet(
        root, name=name, rename=_in_toolkit, only=only, skip=(*_NEVER, *skip)
    )
    with tempfile.TemporaryDirectory(prefix=".inner-", dir=outer.root) as folder:
        chosen = _Split(outer, Path(folder), name)
        read_payload(path, chosen, name)
        for inner in sorted(Path(folder).iterdir()):
            target = Outlet(root, name=name, only=only, skip=(*_NEVER, *skip))
            read_payload(inner, target, name)
            target.finish()
            outer.files += target.files
    outer.finish()
    return outer.files


def read_payload(path: Path, outlet: Outlet, name: str) -> None:
    """Unpack the archive of a runfile, whatever it holds.

    Parameters
    ----------
    path
        Of the runfile.
    outlet
        Where it goes.
    name
        For errors.
    """
    payload = find_payload(path, outlet)
    with path.open("rb") as stream:
        part = _Hashed(stream, payload)
        unpack_tar(io.BufferedReader(part, 2**18), outlet)
        if payload.md5 and part.digest() != payload.md5:
            raise outlet.damaged(
                f"the MD5 in {name} is another one than its bytes have"
            )


def find_payload(path: Path, outlet: Outlet) -> Payload:
    """Find the archive in a runfile.

    Parameters
    ----------
    path
        Of the runfile.
    outlet
        For the error.

    Raises
    ------
    ChecksumError
        It is no runfile, or a part of one only.
    """
    whole = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head.startswith(b"#!"):
        raise outlet.damaged("it does not begin as a shell script")
    offset = _offset(head)
    if offset is None:
        raise outlet.damaged("its script does not say where the archive begins")
    sizes = _SIZES.search(head[:offset])
    size = sum(int(each) for each in sizes[1].split()) if sizes else whole - offset
    if offset + size > whole:
        raise outlet.damaged(f"{whole:,} bytes are here of {offset + size:,}")
    digest = _MD5.search(head[:offset])
    md5 = digest[1].decode() if digest else ""
    return Payload(offset=offset, size=size, md5="" if md5 == _NO_MD5 else md5)


def _offset(head: bytes) -> int | None:
    """Return where the archive begins: after so many lines as the script says."""
    counts = [int(one or other) for one, other in _SKIP.findall(head)]
    for count in counts:
        for lines in (count, count - 1):  # some count the first line of the archive
            offset = _after(head, lines)
            if offset is not None and _is_archive(head[offset : offset + 512]):
                return offset
    return None


def _after(head: bytes, lines: int) -> int | None:
    """Return where so many lines end."""
    at = 0
    for _ in range(lines):
        at = head.find(b"\n", at) + 1
        if not at:
            return None
    return at


def _is_archive(begin: bytes) -> bool:
    """Tell whether an archive may begin so."""
    return begin.startswith(_MAGICS) or begin[257:262] == b"ustar"


def _in_toolkit(path: str) -> str | None:
    """Return a path of the archive as it is in the toolkit; None: not of the toolkit."""
    if path.startswith(_PARTS):
        part, _, inside = path.removeprefix(_PARTS).partition("/")
        return inside if inside and not part.endswith(".run") else None
    return None


class _Split(Outlet):
    """Takes the inner runfile aside, and passes on all else."""

    def __init__(self, outer: Outlet, folder: Path, name: str) -> None:
        super().__init__(folder, name=name)
        self._outer = outer

    def wanted(self, path: str) -> str | None:
        """Return the path of a member, or the name of an inner runfile."""
        safe = self._safe(path)
        if safe is not None and fnmatchcase(safe, _INNER):
            return safe
        return self._outer.wanted(path)

    def file(self, path: str, stream: IO[bytes], *, mode: int) -> None:
        """Write a file."""
        if fnmatchcase(path, _INNER):
            super().file(path.rpartition("/")[2], stream, mode=mode)
        else:
            self._outer.file(path, stream, mode=mode)

    def link(self, path: str, target: str) -> None:
        """Make a link."""
        self._outer.link(path, target)

    def hard_link(self, path: str, target: str) -> None:
        """Give a file another name."""
        self._outer.hard_link(path, target)


class _Hashed(io.RawIOBase):
    """The archive in a runfile, hashed as it is read in its order.

    Parameters
    ----------
    stream
        Of the runfile.
    payload
        What of it.
    """

    def __init__(self, stream: IO[bytes], payload: Payload) -> None:
        super().__init__()
        self._stream, self._payload = stream, payload
        self._at = self._seen = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be gone through."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._payload.size}
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (writable memory)
        """Read on; what is read for the first time is hashed."""
        left = max(0, self._payload.size - self._at)
        self._stream.seek(self._payload.offset + self._at)
        piece = self._stream.read(min(len(buffer), left))
        buffer[: len(piece)] = piece
        if self._at <= self._seen < self._at + len(piece):
            self._digest.update(piece[self._seen - self._at :])
            self._seen = self._at + len(piece)
        self._at += len(piece)
        return len(piece)

    def digest(self) -> str:
        """Return the MD5 of all, in hexadecimal digits."""
        self.seek(self._seen)
        while self.read(2**18):
            pass
        return self._digest.hexdigest()
