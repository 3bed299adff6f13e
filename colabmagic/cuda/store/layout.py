"""Where everything lies in our folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import CudaError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "COLABMAGIC_HOME"
# nvcc puts its own folder between double quotes and hands it to a shell: of these the
# shell makes something else, or runs it.
_OF_THE_SHELL: Final = frozenset('"$`\\')
_DRIVE: Final = "mydrive"


def home_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return our folder: ``$COLABMAGIC_HOME``, else below the user's data directory.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.

    Raises
    ------
    CudaError
        It cannot be told, or no nvcc works in a folder of that name.
    """
    env = os.environ if env is None else env
    chosen = env.get(HOME_VARIABLE)
    data = env.get("XDG_DATA_HOME") or "~/.local/share"
    folder = expanded(chosen) if chosen else expanded(data) / "colabmagic"
    wrong = sorted({each for each in str(folder) if not each.isprintable()})
    wrong += sorted(_OF_THE_SHELL.intersection(str(folder)))
    if wrong:
        raise CudaError(
            "no toolkit works in a folder of this name: nvcc hands it to a shell",
            seen=f"{clean(str(folder))} has {' '.join(map(repr, wrong))}",
            hint=f"%env {HOME_VARIABLE}=/a/folder/with/a/plain/name",
        )
    if os.pathsep in str(folder):
        raise CudaError(
            "no program is found in a folder of this name: PATH is parted there",
            seen=f"{clean(str(folder))} has {os.pathsep!r}",
            hint=f"%env {HOME_VARIABLE}=/a/folder/with/a/plain/name",
        )
    return folder


def expanded(path: str, *, option: str = "") -> Path:
    """Return a path of the user's, absolute, with what ``~`` stands for.

    Parameters
    ----------
    path
        As the user wrote it.
    option
        After which he wrote it; empty: it is our own folder.

    Raises
    ------
    CudaError
        There is no such user, or nobody knows where this one is at home.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise CudaError(
            "it is not known where ~ leads",
            seen=f"{clean(path)}; HOME is {clean(os.environ.get('HOME', 'not set'))}",
            hint=f"write the folder in full: {option} /a/folder"
            if option
            else f"%env {HOME_VARIABLE}=/a/folder/that/you/may/write",
        ) from None


def cache_folder(path: str) -> Path:
    """Return the folder of ``--cache``, absolute.

    Parameters
    ----------
    path
        As the user wrote it.

    Raises
    ------
    CudaError
        It begins with Drive's own ``MyDrive``, which is not in the working directory: a
        folder of that name on the local disk would be gone with the machine.
    """
    folder = expanded(path, option="--cache")
    first = next(iter(Path(path).parts), "")
    if first.lower() == _DRIVE and not (folder_of := Path.cwd() / first).exists():
        raise CudaError(
            f"--cache {clean(path)} is no folder of Drive here",
            seen=f"there is no {clean(str(folder_of))}",
            hint=f"give the whole path, such as --cache /content/drive/{clean(path)}",
        )
    return folder


@dataclass(frozen=True, slots=True)
class Home:
    """Our folder, and what lies in it.

    ::

        cuda/13.0.3/            a finished toolkit, with toolkit.json beside bin/
        cuda/.staging-<id>/     one that is being made
        cuda/.removed-<id>/     one that is being taken away
        cuda/journal.jsonl      what was done, with its inverse
        cuda/lock               one writer at a time
        cache/sha256/ab/…       files by their hash
        cache/partial/…         files that are still coming
    """

    root: Path

    @property
    def toolkits(self) -> Path:
        """Return the folder of toolkits."""
        return self.root / "cuda"

    @property
    def journal(self) -> Path:
        """Return the journal."""
        return self.toolkits / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Return the lock."""
        return self.toolkits / "lock"

    @property
    def cache(self) -> Path:
        """Return the cache."""
        return self.root / "cache"
