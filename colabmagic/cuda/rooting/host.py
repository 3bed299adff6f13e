"""Make a g++ that was unpacked, and not installed, work from its folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from colabmagic.cuda.errors import NoHostCompilerError

FOLDER: Final = "host"
# Of no use to nvcc, and most of the bytes: documents, link-time optimisation, sanitizers.
SKIPPED: Final = (
    "usr/share/*",
    "*/lto-dump*",
    "*lto-dump-*",
    "*/lto1",
    "*gcov*",
    "*/plugin/*",
    "*san.a",
    "*san_preinit.o",
    "*san.so",
)
# What a compiler loads for itself, beside the C library.
_OWN_LIBRARIES: Final = ("libisl.", "libmpc.", "libmpfr.", "libgmp.", "libbfd", "libctf",
                         "libopcodes", "libsframe", "libjansson")  # fmt: skip

_LAUNCHER: Final = """\
#!/bin/sh
# Starts the compiler that lies beside this file, wherever that is.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
LD_LIBRARY_PATH="$here/../own${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export LD_LIBRARY_PATH
exec "$here/../usr/bin/{program}"{flags} "$@"
"""
_WHOLE: Final = ' --sysroot="$here/.." -B"$here/../usr/bin"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Triplet:
    """How Debian writes a processor."""

    package: str  # "amd64"
    folder: str  # "x86_64-linux-gnu"

    @property
    def dashed(self) -> str:
        """Return it as it stands in names of packages."""
        return self.folder.replace("_", "-")


TRIPLETS: Final = {
    "amd64": Triplet(package="amd64", folder="x86_64-linux-gnu"),
    "arm64": Triplet(package="arm64", folder="aarch64-linux-gnu"),
}


def compiler_packages(major: int) -> tuple[str, ...]:
    """Return the packages of a g++, for a machine that has another one already.

    Parameters
    ----------
    major
        Its version.
    """
    return (
        f"g++-{major}",
        f"gcc-{major}",
        f"cpp-{major}",
        f"libgcc-{major}-dev",
        f"libstdc++-{major}-dev",
    )


def split_packages(major: int, triplet: Triplet) -> tuple[str, ...]:
    """Return where newer distributions keep the programs of these packages.

    Parameters
    ----------
    major
        Version of g++.
    triplet
        The processor.
    """
    return tuple(f"{name}-{major}-{triplet.dashed}" for name in ("g++", "gcc", "cpp"))


def base_packages(triplet: Triplet) -> tuple[str, ...]:
    """Return what a machine without any compiler needs besides, in every distribution.

    Parameters
    ----------
    triplet
        The processor.
    """
    return (
        "binutils",
        f"binutils-{triplet.dashed}",
        "libbinutils",
        "libc6",
        "libc6-dev",
        "linux-libc-dev",
        "libgcc-s1",
        "libstdc++6",
        "libmpc3",
        "libmpfr6",
        "libgmp10",
        "libgomp1",
    )


# Of these, each distribution has some; of a row, the first that there is.
SOME_PACKAGES: Final = (
    ("libisl23", "libisl22", "libisl21", "libisl19"),
    ("libcrypt-dev",),
    ("libctf0",),
    ("libctf-nobfd0",),
    ("libsframe1", "libsframe2"),
    ("libjansson4",),
)


def lacks_programs(folder: Path) -> bool:
    """Tell whether what was unpacked is names only: the programs are in other packages.

    Parameters
    ----------
    folder
        Where the packages were unpacked.
    """
    return not any((folder / "usr").glob("lib*/gcc/*/*/cc1plus"))


def finish_compiler(folder: Path, major: int, triplet: Triplet) -> Path:
    """Mend links and write the launcher; return where it lies.

    Parameters
    ----------
    folder
        Where the packages were unpacked.
    major
        Version of g++.
    triplet
        The processor.

    Raises
    ------
    NoHostCompilerError
        The packages hold no compiler.
    """
    program = f"{triplet.folder}-g++-{major}"
    if lacks_programs(folder) or not (folder / "usr" / "bin" / program).exists():
        raise NoHostCompilerError(
            f"The packages of g++ {major} hold no compiler.",
            seen=f"no usr/bin/{program} with a cc1plus",
            hint=f"!apt-get install -y g++-{major}\n(then run the cell again)",
        )
    whole = (folder / "usr" / "include" / "stdio.h").exists()
    _close_links(folder, None if whole else Path("/usr/lib") / triplet.folder)
    _keep_own_libraries(folder, triplet)
    launchers = folder / "bin"
    launchers.mkdir(exist_ok=True)
    for name in ("g++", "gcc"):
        launcher = launchers / f"{name}-{major}"
        launcher.write_text(
            _LAUNCHER.format(
                program=f"{triplet.folder}-{name}-{major}",
                flags=_WHOLE if whole else "",
            ),
            encoding="utf-8",
        )
        launcher.chmod(0o755)
    return launchers / f"g++-{major}"


def _close_links(folder: Path, system: Path | None) -> None:
    """Lead the links that the packages leave open to this machine's libraries, or drop them.

    Programs that are linked with the compiler run with those libraries.
    """
    for path in [each for each in folder.rglob("*") if each.is_symlink()]:
        if path.exists():
            continue
        name = Path(os.readlink(path)).name  # noqa: PTH115 (the text as it stands)
        path.unlink()
        if system is not None and ".so" in name and (system / name).exists():
            path.symlink_to(system / name)


def _keep_own_libraries(folder: Path, triplet: Triplet) -> None:
    """Put what the compiler itself loads apart from what programs are linked to."""
    own = folder / "own"
    own.mkdir(exist_ok=True)
    for base in ("usr/lib", "lib"):
        for path in sorted((folder / base / triplet.folder).glob("lib*.so*")):
            if path.name.startswith(_OWN_LIBRARIES):
                path.replace(own / path.name)
