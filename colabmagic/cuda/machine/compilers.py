"""Find the C++ compilers that may be nvcc's host compiler.

Names and folders tell the version: a compiler is asked only where they do not.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.machine.facts import Compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from colabmagic.host.command import CommandOutcome

_NAME: Final = re.compile(r"(?:[\w]+-[\w-]+-)?(g\+\+|clang\+\+)(?:-(\d+(?:\.\d+)*))?")
_FOLDER: Final = re.compile(r"\d+(?:\.\d+)*")
_VERSION: Final = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_CLANG_HOME: Final = re.compile(r"llvm-(\d+)")
_ASK_S: Final = 1.0


def find_compilers(
    env: Mapping[str, str],
    sysroot: Path,
    run: Callable[..., CommandOutcome],
) -> tuple[Compiler, ...]:
    """Return each compiler once, the one of ``$CXX`` first, then the newest first.

    Parameters
    ----------
    env
        Variables: ``CXX``, ``PATH``.
    sysroot
        The root of the file system, for ``usr/bin`` and ``usr/local/bin``.
    run
        Runs a compiler that neither name nor folder gives away.
    """
    found: dict[str, Compiler] = {}
    named = _named(env)
    for path in (*named, *_in_folders(env, sysroot)):
        with contextlib.suppress(OSError):  # one that is shut hides no other
            compiler = _describe(path, run)
            if compiler is not None:
                found.setdefault(_real(path), compiler)
    mine = {_real(path) for path in named}
    order = sorted(
        found.items(),
        key=lambda item: (
            item[0] not in mine,
            item[1].kind != "gcc",
            tuple(-number for number in item[1].version),
        ),
    )
    return tuple(compiler for _, compiler in order)


def _named(env: Mapping[str, str]) -> list[Path]:
    """Return the compiler that ``$CXX`` names, as a path."""
    try:
        words = shlex.split(env.get("CXX", ""))
    except ValueError:  # a quotation mark is missing
        return []
    for word in words:  # such as: ccache g++-11
        if _NAME.fullmatch(Path(word).name):
            if os.sep in word:
                return [Path(word)]
            for folder in env.get("PATH", "").split(os.pathsep):
                path = Path(folder) / word
                if folder and os.path.isfile(path):  # noqa: PTH113 (raises for no folder)
                    return [path]
    return []


def _in_folders(env: Mapping[str, str], sysroot: Path) -> Iterator[Path]:
    """Yield all that is called like a compiler, the plain names last."""
    folders = [sysroot / "usr/bin", sysroot / "usr/local/bin"]
    folders += [Path(each) for each in env.get("PATH", "").split(os.pathsep) if each]
    seen: set[str] = set()
    for folder in folders:
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            names = os.listdir(folder)  # noqa: PTH208 (twice as fast as iterdir)
        except OSError:
            continue
        matching = [name for name in names if "++" in name and _NAME.fullmatch(name)]
        # A name with a number is what one would type.
        yield from (folder / name for name in sorted(matching, key=_plainness))


def _plainness(name: str) -> tuple[bool, int, str]:
    """Order names: g++-11 before x86_64-linux-gnu-g++-11 before g++."""
    found = _NAME.fullmatch(name)
    return (found is None or found[2] is None, len(name), name)


def _real(path: Path) -> str:
    """Return where a path really leads."""
    return os.path.realpath(path)


def _describe(path: Path, run: Callable[..., CommandOutcome]) -> Compiler | None:
    """Return the compiler behind a path; None where it is none that can be run."""
    if not os.access(path, os.X_OK) or not path.is_file():
        return None
    real = Path(_real(path))
    if real.name == "ccache":  # a folder of links, which only the PATH gives away
        return None
    named = _NAME.fullmatch(path.name)
    resolved = _NAME.fullmatch(real.name)
    kind = "clang" if "clang" in real.name or "clang" in path.name else "gcc"
    version = _of_names(real, resolved or named) or _ask(path, run)
    if version is None:
        return None
    if kind == "gcc":
        version = _in_full(real, version)
    return Compiler(path=str(path), version=version, kind=kind)


def _of_names(real: Path, found: re.Match[str] | None) -> tuple[int, ...] | None:
    """Return the version that the name tells, else the only one in its library folder."""
    if found is not None and found[2]:
        return tuple(int(part) for part in found[2].split("."))
    if llvm := _CLANG_HOME.search(str(real)):
        return (int(llvm[1]),)
    if "clang" in real.name:
        return None
    versions = _libraries(real)
    return versions[0] if len(versions) == 1 else None


def _in_full(real: Path, version: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``(11, 4, 0)`` for ``(11,)`` where a folder of that name lies there."""
    fits = [each for each in _libraries(real) if each[: len(version)] == version]
    return max(fits, default=version, key=len)


def _libraries(real: Path) -> list[tuple[int, ...]]:
    """Return the versions that have a folder: ``lib/gcc/x86_64-linux-gnu/11``."""
    versions: set[tuple[int, ...]] = set()
    prefix = real.parent.parent
    for library in ("lib", "lib64", "libexec"):
        gcc = prefix / library / "gcc"
        for machine in _folders(gcc):
            for folder in _folders(gcc / machine):
                if _FOLDER.fullmatch(folder):
                    versions.add(tuple(int(part) for part in folder.split(".")))
    # 11 and 11.4.0 are one.
    return sorted(
        each
        for each in versions
        if not any(
            len(other) > len(each) and other[: len(each)] == each for other in versions
        )
    )


def _folders(path: Path) -> list[str]:
    """Return the names in a folder; none where it cannot be read."""
    try:
        return os.listdir(path)  # noqa: PTH208 (names are all that is wanted)
    except OSError:
        return []


def _ask(path: Path, run: Callable[..., CommandOutcome]) -> tuple[int, ...] | None:
    """Return what the compiler says of itself."""
    flags = ["-dumpversion"]
    if "clang" not in path.name:
        flags.insert(0, "-dumpfullversion")  # since 7 the other one says 11 only
    outcome = run([str(path), *flags], timeout_s=_ASK_S)
    found = _VERSION.match(outcome.stdout.strip()) if outcome.ok else None
    if found is None:
        return None
    return tuple(int(part) for part in found.groups() if part is not None)
