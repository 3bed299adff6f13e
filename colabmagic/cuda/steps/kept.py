"""The steps that keep a finished toolkit as one archive, and take one out of it."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from colabmagic.cuda.errors import ChecksumError, SourceUnreachableError
from colabmagic.cuda.keeping.label import FOLDER
from colabmagic.cuda.steps.base import InFolder
from colabmagic.report.size import in_words
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from colabmagic.cuda.machine.facts import Kept
    from colabmagic.cuda.steps.base import Work

_FOLDER: Final = (
    "toolkits"  # `colabmagic.cuda.keeping.label.FOLDER`, imported when used
)
_OF_DISTRIBUTION: Final = "deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackKept(InFolder):
    """Unpack a kept toolkit into the staging folder.

    Attributes
    ----------
    path
        Of the archive.
    sha256, size, files, unpacked_bytes
        As its label announces them.
    arch
        Of the machine.
    compiler
        Major version of the g++ in it that nvcc shall use; None: another one.
    """

    kind: ClassVar[str] = "unpack-kept"

    path: str
    sha256: str
    size: int
    files: int
    unpacked_bytes: int
    arch: str
    compiler: int | None = None

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        from colabmagic.cuda.rooting.host import FOLDER as HOST  # noqa: PLC0415 (lazy)

        told = [
            f"unpack {clean(self.path)} ({in_words(self.size)}) into the staging folder",
            f"check meanwhile that its sha256 is {self.sha256[:16]}…",
        ]
        if self.compiler is not None:
            told.append(f"NVCC_PREPEND_FLAGS='-ccbin {HOST}/bin/g++-{self.compiler}'")
        return told

    def do(self, work: Work) -> None:
        """Unpack it; `Work.environment` has then what the toolkit wants.

        Raises
        ------
        CudaError
            It cannot be read, is not what was kept, or its g++ does not run here.
        """
        from colabmagic.cuda.keeping.unpack import unpack_archive  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.keeping.write import system_folder  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.rooting.host import FOLDER as HOST  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.rooting.profile import append_flags  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.steps.compiler import (  # noqa: PLC0415 (lazy)
            choose,
            try_compiler,
        )

        path, hint = Path(self.path), f"!rm {shlex.quote(self.path)}"
        if not self.path.isprintable():  # nor can it be pasted
            hint = "delete that archive, then run the cell again"
        work.progress.start("unpack the archive", self.size)
        try:
            unpack_archive(
                path,
                work.staging,
                sha256=self.sha256,
                size=self.size,
                files=self.files,
                unpacked_bytes=self.unpacked_bytes,
                system=system_folder(self.arch),
                advance=work.progress.advance,
            )
        except ChecksumError as error:
            raise ChecksumError(error.what, seen=error.seen, hint=hint) from None
        except OSError as error:
            if isinstance(error, RuntimeError):  # one of ours, of the disk
                raise
            raise SourceUnreachableError(
                f"{clean(path.name)} cannot be read",
                seen=f"{clean(self.path)}: {error.strerror or type(error).__name__}",
                hint="see whether that folder is still mounted, then run the cell again",
            ) from None
        finally:
            work.progress.finish()
        flags = append_flags(work.staging)
        if flags:
            work.environment["NVCC_APPEND_FLAGS"] = flags
        if self.compiler is not None:
            launcher = work.staging / HOST / "bin" / f"g++-{self.compiler}"
            try_compiler(work, launcher, self.compiler)
            choose(work, str(launcher))


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep(InFolder):
    """Write the finished toolkit as one archive into the folder of ``--cache``.

    It is done when all else is done, and nothing depends on it.

    Attributes
    ----------
    folder
        Of ``--cache``.
    release
        Of the toolkit.
    arch, system
        Of the machine.
    """

    kind: ClassVar[str] = "keep"

    folder: str
    release: str
    arch: str
    system: str

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        name = f"{FOLDER}/{self.release}-{self.arch}-….tar.gz"
        return (f"keep it as one archive: {clean(self.folder)}/{name}",)

    def do(self, work: Work) -> None:
        """Write it; `Work.notes` says where, or why not.

        Raises
        ------
        KeyboardInterrupt
            It was stopped; nothing is left of it.
        """
        from colabmagic.cuda.keeping.write import write_archive  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.store.inventory import read_card  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.store.layout import expanded  # noqa: PLC0415 (lazy)

        assert work.root is not None, "publish comes before keep"
        folder, began = expanded(self.folder) / FOLDER, time.monotonic()
        card = read_card(work.root)
        work.progress.start(
            "keep it as one archive", None if card is None else card.size_bytes
        )
        try:
            made = write_archive(
                work.root, folder, self._of(work.root), advance=work.progress.advance
            )
        except ValueError as error:
            work.notes.append(f"It is not kept as an archive: {error}.")
        except OSError as error:
            why = error.strerror or type(error).__name__
            work.notes.append(
                f"It is not kept as an archive: {clean(str(folder))}: {why}."
            )
        else:
            size, seconds = in_words(made.size), time.monotonic() - began
            work.notes.append(
                f"It is kept as one archive: {clean(made.path)} ({size}, {seconds:.1f} s)."
            )
        finally:
            work.progress.finish()

    def _of(self, root: Path) -> Kept:
        """Return what the toolkit is, as its own files tell.

        Raises
        ------
        ValueError
            They do not.
        """
        from colabmagic.cuda.machine.facts import Kept  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.machine.toolkits import parts_of  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.rooting.host import FOLDER as HOST  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.store.inventory import read_card  # noqa: PLC0415 (lazy)

        card = read_card(root)
        if card is None:
            raise ValueError("its card cannot be read")
        launchers = (root / HOST / "bin").glob("g++-*")
        majors = [each.name.removeprefix("g++-") for each in launchers]
        compiler = next((int(each) for each in majors if each.isdecimal()), None)
        is_bound = compiler is not None or card.method == _OF_DISTRIBUTION
        return Kept(
            path="",
            release=self.release,
            build=card.build,
            method=card.method,
            arch=self.arch,
            system=self.system if is_bound else "",
            compiler=compiler,
            parts=parts_of(root),
        )
