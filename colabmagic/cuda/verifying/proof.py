"""What was proven before, kept as long as nothing that it rests on has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.rooting.manifest import NAME as MANIFEST
from colabmagic.cuda.verifying import toolkit
from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.cuda.verifying.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from colabmagic.host.command import CommandOutcome

_FOLDER: Final = ".proofs"
_ROOT: Final = "{root}"
# Files of ours that say when and under which name; the rest is the toolkit.
_NOT_OF_IT: Final = {"toolkit.json", "verified.json"}
# What compiles and links; of a toolkit that is not ours nobody looks at all 10 GB.
_OF_OTHERS: Final = (
    "bin/nvcc",
    "bin/nvcc.profile",
    "bin/cudafe++",
    "bin/fatbinary",
    "bin/nvlink",
    "bin/ptxas",
    "nvvm/bin/cicc",
    "nvvm/libdevice/libdevice.10.bc",
    "include/cuda_runtime.h",
    "include/crt/host_config.h",
    "lib64/libcudart.so",
    "lib64/libcudart_static.a",
    "lib64/libcudadevrt.a",
)
_USER: Final = ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "LD_LIBRARY_PATH")
_DRIVER: Final = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A ladder of an earlier time.

    Attributes
    ----------
    ladder
        Rung by rung.
    at
        Seconds since the epoch.
    """

    ladder: Ladder
    at: float


@dataclass(frozen=True, slots=True)
class Proofs:
    """The ladders that are kept, each under a hash of what it rests on.

    Attributes
    ----------
    folder
        That they lie in.
    """

    folder: Path

    @classmethod
    def below(cls, toolkits: Path) -> Proofs:
        """Return those in the folder of our toolkits.

        Parameters
        ----------
        toolkits
            The folder.
        """
        return cls(toolkits / _FOLDER)

    def find(self, key: str, root: Path) -> Proof | None:
        """Return a proof; None: there is none, or it cannot be read.

        Parameters
        ----------
        key
            Of `key_of`.
        root
            The toolkit; it may have had another name.
        """
        try:
            data = json.loads(self._path(key).read_text(encoding="utf-8"))
            ladder = Ladder.from_dict(data["ladder"])
            return Proof(ladder=replace(ladder, root=str(root)), at=float(data["at"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep(self, key: str, ladder: Ladder) -> None:
        """Keep a proof; where it cannot be written, it is found out anew next time.

        Parameters
        ----------
        key
            Of `key_of`.
        ladder
            In which nothing failed but what does so again with the same key.
        """
        path = self._path(key)
        beside = path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            data = {"at": time.time(), "ladder": ladder.to_dict()}
            beside.write_text(json.dumps(data), encoding="utf-8")
            beside.replace(path)

    def _path(self, key: str) -> Path:
        """Return where a proof lies."""
        return self.folder / f"{key}.json"


def key_of(
    root: Path,
    *,
    own: Mapping[str, str],
    user: Mapping[str, str],
    capability: int | None,
    until: str,
) -> str | None:
    """Return a hash of all that a ladder rests on; None: something of it is missing.

    Of each file, name, size and time of change count. The toolkit's own name does not.

    Parameters
    ----------
    root
        Of the toolkit.
    own
        What it wants in the environment.
    user
        The environment of the session.
    capability
        Of the GPU that is here; None: none is.
    until
        How far it is climbed.
    """
    prefix = str(root)
    with contextlib.suppress(OSError):
        parts: list[Any] = [
            sorted(_of_ours(root) if (root / MANIFEST).exists() else _of_others(root)),
            sorted((name, value.replace(prefix, _ROOT)) for name, value in own.items()),
            _compiler(own, prefix),
            [
                (name, user[name])
                for name in _USER
                if user.get(name) and user[name] != own.get(name)
            ],
            [capability, until, _driver()],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return None


def confirmed(
    proof: Proof, scene_of: Mapping[str, Any], run: Callable[..., CommandOutcome]
) -> Ladder | None:
    """Return the ladder of a proof if nvcc still tells its version; None: it does not.

    Parameters
    ----------
    proof
        That was found.
    scene_of
        ``root``, ``own`` and ``user``.
    run
        Runs programs.
    """
    began = time.monotonic()
    scene = Scene(scratch=Path(os.devnull).parent, run=run, **scene_of)
    result, build = toolkit.check_version(scene, proof.ladder.build)
    if result.verdict != "ok" or build != proof.ladder.build:
        return None
    seconds = round(time.monotonic() - began, 3)

    def renewed(rung: Rung) -> Rung:
        return replace(rung, seconds=seconds if rung.name == "version" else 0.0)

    return replace(proof.ladder, rungs=tuple(map(renewed, proof.ladder.rungs)))


def _of_ours(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of every file, also of those that links lead to."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        status = os.stat(place)  # noqa: PTH116 (walks many)
        if (status.st_dev, status.st_ino) in seen:  # lib and lib64 are one folder
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()  # so that of two names the same one counts
        where = place[len(str(root)) :]
        for name in names:
            if name not in _NOT_OF_IT:
                yield _told(f"{where}/{name}", os.path.join(place, name))  # noqa: PTH118 (walks many)


def _of_others(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of the files that compile and link."""
    for name in _OF_OTHERS:
        path = root / name
        if path.exists():
            yield _told(str(path.resolve()), str(path))


def _compiler(own: Mapping[str, str], prefix: str) -> list[Any]:
    """Return which host compiler is called, and its size and time."""
    path = own.get("CUDAHOSTCXX", "")
    if not path:
        return []
    real = os.path.realpath(path)
    return list(_told(real.replace(prefix, _ROOT), real))


def _told(name: str, path: str) -> tuple[str, int, int]:
    """Return a file's name, size and time."""
    try:
        status = os.stat(path)  # noqa: PTH116 (called for many)
    except FileNotFoundError:  # a link into nothing
        status = os.lstat(path)
    return name, status.st_size, status.st_mtime_ns


def _driver() -> str:
    """Return which driver is here."""
    try:
        return _DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
