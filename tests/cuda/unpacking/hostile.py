"""Archives that no honest server sends, made member by member."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Member = tuple[str, bytes, dict[str, object]]


def plain(name: str, content: bytes = b"x", **fields: object) -> Member:
    """Return an ordinary file."""
    return name, content, fields


def special(name: str, kind: bytes, link: str = "") -> Member:
    """Return a link, a device or a pipe."""
    return name, b"", {"type": kind, "linkname": link}


def make_tar(path: Path, members: Sequence[Member], packing: str = "gz") -> Path:
    """Write a tar archive; nothing of a member is checked."""
    with tarfile.open(path, f"w:{packing}") as tar:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, members: Sequence[tuple[str, bytes, int]]) -> Path:
    """Write a zip archive; the third of a member is its mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


REFUSED: dict[str, tuple[Member, ...]] = {
    "an absolute path": (plain("/etc/evil"),),
    "a way up": (plain("top/../../evil"),),
    "a way up at once": (plain("../evil"),),
    "an absolute link": (special("top/link", tarfile.SYMTYPE, "/etc/passwd"),),
    "a link out": (special("top/a/link", tarfile.SYMTYPE, "../../../etc/passwd"),),
    "a link to its parent's parent": (special("top/link", tarfile.SYMTYPE, "../.."),),
    "a write through a link": (
        special("top/d", tarfile.SYMTYPE, "e/../../.."),
        plain("top/d/evil"),
    ),
    "links that lead out together": (
        plain("top/a/b/c/file"),
        special("top/l", tarfile.SYMTYPE, "a/b/c"),
        special("top/m", tarfile.SYMTYPE, "l/../../../../x"),
    ),
    "a hard link out": (special("top/h", tarfile.LNKTYPE, "/etc/passwd"),),
    "a hard link up": (special("top/h", tarfile.LNKTYPE, "top/../../x"),),
    "a hard link to nothing": (special("top/h", tarfile.LNKTYPE, "top/none"),),
    "a hard link to a link": (
        plain("top/f"),
        special("top/s", tarfile.SYMTYPE, "f"),
        special("top/h", tarfile.LNKTYPE, "top/s"),
    ),
    "a device": (special("top/null", tarfile.CHRTYPE),),
    "a block device": (special("top/sda", tarfile.BLKTYPE),),
    "a pipe": (special("top/pipe", tarfile.FIFOTYPE),),
    "a backslash": (plain("top\\..\\evil"),),
}
ZIP_REFUSED: dict[str, tuple[str, bytes, int]] = {
    "an absolute path": ("/etc/evil", b"x", stat.S_IFREG | 0o644),
    "a way up": ("a/../../evil", b"x", stat.S_IFREG | 0o644),
    "a link": ("link", b"/etc/passwd", stat.S_IFLNK | 0o777),
    "a device": ("null", b"", stat.S_IFCHR | 0o666),
}


def corrupt(path: Path, at: Callable[[int], int]) -> Path:
    """Change a byte of a file."""
    content = bytearray(path.read_bytes())
    content[at(len(content))] ^= 0xFF
    path.write_bytes(content)
    return path


def cut(path: Path, part: float) -> Path:
    """Keep the beginning of a file only."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path
