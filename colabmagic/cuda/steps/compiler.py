"""The steps that give nvcc its host compiler: one of this machine, or one that is brought."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from colabmagic.cuda.errors import NoHostCompilerError, SourceUnreachableError
from colabmagic.cuda.rooting.host import (
    FOLDER,
    SKIPPED,
    SOME_PACKAGES,
    TRIPLETS,
    base_packages,
    compiler_packages,
    finish_compiler,
    lacks_programs,
    split_packages,
)
from colabmagic.cuda.steps.base import InFolder
from colabmagic.cuda.steps.debs import FetchDebs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work

_ASK_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCompiler(InFolder):
    """Let nvcc use a compiler of this machine.

    Attributes
    ----------
    path
        Of a g++ or clang++.
    """

    kind: ClassVar[str] = "use-compiler"

    path: str

    def lines(self) -> Sequence[str]:
        """Return what a person sees in the plan."""
        return (f"NVCC_PREPEND_FLAGS='-ccbin {self.path}'",)

    def do(self, work: Work) -> None:
        """Note it in the environment of the toolkit.

        Raises
        ------
        NoHostCompilerError
            Its path cannot be told to nvcc.
        """
        choose(work, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class BringCompiler(InFolder):
    """Unpack a g++ of the distribution beside the toolkit: no root, nothing installed.

    Attributes
    ----------
    major
        Its version.
    suites, keyring, arch
        See `colabmagic.cuda.steps.debs.FetchDebs`.
    whole
        Whether this machine has no compiler at all, so that an assembler, a linker and
        the C library's headers are brought too.
    """

    kind: ClassVar[str] = "bring-compiler"

    major: int
    suites: tuple[str, ...]
    keyring: str | None = None
    arch: str = "amd64"
    whole: bool = False

    def lines(self) -> Sequence[str]:
        """Return what a person sees in the plan."""
        fetch = self._fetch(compiler_packages(self.major))
        besides = ["with binutils and the C library's headers"] if self.whole else []
        return (
            *fetch.lines(),
            *besides,
            f"unpack them into {FOLDER}/ beside the toolkit",
            f"NVCC_PREPEND_FLAGS='-ccbin {FOLDER}/bin/g++-{self.major}'",
        )

    def do(self, work: Work) -> None:
        """Fetch, unpack and try it; `Work.environment` names it then.

        Raises
        ------
        CudaError
            A package does not come, or the compiler does not start here.
        """
        triplet = TRIPLETS[self.arch]
        folder = work.staging / FOLDER
        self._bring(work, folder, compiler_packages(self.major))
        if lacks_programs(folder):
            self._bring(work, folder, split_packages(self.major, triplet))
        if self.whole:
            self._bring(work, folder, base_packages(triplet))
            for either in SOME_PACKAGES:
                self._bring_one_of(work, folder, either)
        launcher = finish_compiler(folder, self.major, triplet)
        try_compiler(work, launcher, self.major)
        choose(work, str(launcher))
        self._list_files(work)

    def _fetch(self, packages: Sequence[str]) -> FetchDebs:
        """Return the step that fetches packages."""
        return FetchDebs(
            suites=self.suites,
            packages=tuple(packages),
            keyring=self.keyring,
            arch=self.arch,
        )

    def _bring(self, work: Work, folder: Path, packages: Sequence[str]) -> None:
        """Fetch and unpack packages; the toolkit's own parts are not touched."""
        from colabmagic.cuda.unpacking.unpack import unpack  # noqa: PLC0415 (lazy)

        apart = replace(work, files={})
        try:
            self._fetch(packages).do(apart)
        finally:
            work.fetched_bytes = apart.fetched_bytes
        for name, path in apart.files.items():
            unpack(path, folder, name=name, kind="deb", skip=SKIPPED)

    def _bring_one_of(self, work: Work, folder: Path, either: Sequence[str]) -> None:
        """Bring the first of some packages that the distribution has, if it has one."""
        for package in either:
            with contextlib.suppress(SourceUnreachableError):
                self._bring(work, folder, [package])
                return

    def _list_files(self, work: Work) -> None:
        """List the files anew where the toolkit's are listed already."""
        from colabmagic.cuda.rooting.manifest import NAME, write_manifest  # noqa: PLC0415

        if (work.staging / NAME).exists():
            write_manifest(work.staging)


def try_compiler(work: Work, launcher: Path, major: int) -> None:
    """Ask a compiler for its version: it may be made for a newer C library.

    Parameters
    ----------
    work
        Runs it.
    launcher
        Of `colabmagic.cuda.rooting.host.finish_compiler`.
    major
        Its version.

    Raises
    ------
    NoHostCompilerError
        It does not run here, or is another one.
    """
    outcome = work.run([str(launcher), "-dumpfullversion"], timeout_s=_ASK_S)
    if outcome.ok and outcome.stdout.startswith(f"{major}."):
        return
    words = (outcome.error or outcome.stderr or outcome.stdout).strip()
    raise NoHostCompilerError(
        f"The g++ {major} that was brought does not run here.",
        seen=words.splitlines()[-1][:200] if words else "it says nothing",
        hint=f"!apt-get install -y g++-{major}\n(then run the cell again)",
    )


def choose(work: Work, path: str) -> None:
    """Note a host compiler in the environment of the toolkit.

    Parameters
    ----------
    work
        Whose environment it is.
    path
        Of the compiler.

    Raises
    ------
    NoHostCompilerError
        The path has a space: ``NVCC_PREPEND_FLAGS`` knows no quotes for it.
    """
    refuse_spaces(path)
    flags = work.environment.get("NVCC_PREPEND_FLAGS", "")
    work.environment["NVCC_PREPEND_FLAGS"] = f"{flags} -ccbin {path}".strip()
    work.environment["CUDAHOSTCXX"] = path


def refuse_spaces(path: str) -> None:
    """Refuse a host compiler that nvcc cannot be told of.

    Parameters
    ----------
    path
        Of the compiler, or of a folder that it will lie in.

    Raises
    ------
    NoHostCompilerError
        The path has a space.
    """
    if any(sign.isspace() for sign in path):
        raise NoHostCompilerError(
            "nvcc cannot be told of a host compiler whose path has a space in it.",
            seen=path,
            hint="%env COLABMAGIC_HOME=/a/folder/without/spaces\n(then run the cell again)",
        )
