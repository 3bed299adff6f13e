"""What is told of an archive in a small file beside it, and what of that is believed."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.machine.facts import Kept

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1  # counted up when an older version could not use it
FOLDER: Final = "toolkits"  # below that of --cache
ENDING: Final = ".tar.gz"
DIGITS: Final = 16  # of the hash, in an archive's name
_NAME: Final = re.compile(r"\w[\w.+-]{0,200}\.tar\.gz", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_VERSION: Final = re.compile(r"\d{1,4}(?:\.\d{1,6}){1,3}", re.ASCII)
_WORD: Final = re.compile(r"[\w.+-]{0,40}(?: [\w.+-]{1,40})?", re.ASCII)
_MOST_PARTS: Final = 64
_MOST: Final = 2**40  # bytes, or files: no toolkit has a hundredth of it
_COMPILERS: Final = range(3, 100)  # major versions of g++


def stem_of(kept: Kept) -> str:
    """Return the name that a toolkit's archives have in common: "13.0.3-x86_64".

    Parameters
    ----------
    kept
        What the toolkit is.
    """
    words = [kept.release, kept.arch, *kept.parts]
    if kept.compiler is not None:
        words.append(f"g++{kept.compiler}")
    if kept.system:
        words.append(kept.system.replace(" ", ""))
    return "-".join(words)


def as_label(kept: Kept) -> dict[str, Any]:
    """Return what is written beside an archive.

    Parameters
    ----------
    kept
        What the toolkit is, and its archive.
    """
    data = asdict(kept)
    del data["problem"]
    name = os.path.basename(data.pop("path"))  # noqa: PTH119 (a text)
    return {"format": FORMAT, "file": name, **data, "parts": list(kept.parts)}


def from_label(folder: Path, data: Any) -> Kept:  # noqa: ANN401 (anybody's JSON)
    """Return what a label tells; where it makes no sense, with a problem.

    Parameters
    ----------
    folder
        In which the archive lies.
    data
        Of the label.
    """
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("file"), str)
        or not isinstance(data.get("parts", []), list)
    ):
        return Kept(path=str(folder), problem="its label cannot be read")
    fields = dict(data)
    name, form = fields.pop("file"), fields.pop("format", None)
    if not _NAME.fullmatch(name):
        return Kept(path=str(folder), problem="its label cannot be read")
    path = str(folder / name)
    if form != FORMAT:
        return Kept(path=path, problem="another version of colabmagic wrote it")
    try:
        kept = Kept(path=path, **{**fields, "parts": tuple(fields.get("parts", ()))})
    except TypeError:
        return Kept(path=path, problem="its label cannot be read")
    if not _makes_sense(kept):
        return Kept(path=path, problem="its label makes no sense")
    return kept


def _makes_sense(kept: Kept) -> bool:
    """Tell whether each field is of its kind."""
    numbers = (kept.size, kept.files, kept.unpacked_bytes)
    words = (kept.method, kept.arch, kept.system, *kept.parts)
    texts = (kept.release, kept.build, kept.sha256, *words)
    return (
        all(isinstance(each, str) for each in texts)
        and all(type(each) is int and 0 < each < _MOST for each in numbers)
        and (
            kept.compiler is None
            or (type(kept.compiler) is int and kept.compiler in _COMPILERS)
        )
        and not kept.problem
        and len(kept.parts) <= _MOST_PARTS
        and all(_WORD.fullmatch(each) for each in words)
        and all(_VERSION.fullmatch(each) for each in (kept.release, kept.build))
        and _SHA256.fullmatch(kept.sha256) is not None
    )


def judged(kept: Kept, size: int | None, owners: set[int], modes: set[int]) -> Kept:
    """Return an archive with what its file and its label, as files, tell against it.

    Parameters
    ----------
    kept
        As its label says.
    size
        Of the archive; None: it is not there.
    owners, modes
        Of both files.
    """
    if kept.problem:
        return kept
    if size is None:
        return replace(kept, problem="the archive is gone")
    if size != kept.size:
        return replace(kept, problem=f"it has {size} bytes, not {kept.size}")
    why = distrust(owners, modes)
    return replace(kept, problem=why) if why else kept


def distrust(owners: set[int], modes: set[int]) -> str:
    """Return why files are not believed; empty: nobody else can have written them.

    What is in them is run. Downloads are compared with what NVIDIA announces; of an
    archive that was made here nobody else knows the hash.

    Parameters
    ----------
    owners, modes
        As ``os.stat`` tells them.
    """
    others = sorted(owners - {0, os.geteuid()})
    if others:
        return f"it belongs to user {others[0]}, who could have you run anything"
    if any(mode & stat.S_IWOTH for mode in modes):
        return "everybody on this machine may write to it"
    return ""
