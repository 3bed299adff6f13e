"""Fetch a file, and unpack what was fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.cuda.fetching.address import shown
from colabmagic.cuda.steps.base import InFolder
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from colabmagic.cuda.steps.base import Work

_WHAT: Final = {  # formats, in words
    "wheels": "the wheels",
    "redist": "the archives",
    "deb": "the packages",
    "runfile": "the installer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(InFolder):
    """Fetch one file into the cache.

    Attributes
    ----------
    url
        Where it is.
    name
        What later steps call it, and its ending tells what it is.
    sha256, size
        What is announced of it, where something is.
    """

    kind: ClassVar[str] = "fetch"

    url: str = field(repr=False)  # it may hold a password
    name: str
    sha256: str | None = None
    size: int | None = None

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        size = f" ({in_words(self.size)})" if self.size is not None else ""
        return (f"download {shown(self.url)}{size}",)

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data, without a login in the address."""
        return {**InFolder.to_dict(self), "url": shown(self.url)}

    def do(self, work: Work) -> None:
        """Fetch it; `Work.files` has its path then."""
        from colabmagic.cuda.fetching.download import Wanted  # noqa: PLC0415 (lazy)

        fetch_into(
            work,
            [Wanted(url=self.url, name=self.name, sha256=self.sha256, size=self.size)],
        )


def fetch_into(
    work: Work,
    wanted: Sequence[Any],
    session: Any = None,  # noqa: ANN401 (requests has no types)
) -> None:
    """Fetch files, several at a time; `Work.files` has their paths then.

    Parameters
    ----------
    work
        What steps share.
    wanted
        `colabmagic.cuda.fetching.download.Wanted` each.
    session
        A ``requests.Session``; that of the work where left out.

    Raises
    ------
    CudaError
        One of them does not come.
    """
    from colabmagic.cuda.fetching.together import fetch_all  # noqa: PLC0415 (lazy)

    def count(fetched: int) -> None:
        work.fetched_bytes += fetched

    paths = fetch_all(
        wanted,
        cache=work.cache,
        session=session or work.session,
        progress=work.progress,
        offline=work.offline,
        on_fetched=count,
    )
    for each, path in zip(wanted, paths, strict=True):
        work.files[each.name] = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpack(InFolder):
    """Unpack what was fetched, each kind below ``parts/<format>`` of the staging folder.

    Attributes
    ----------
    format
        As `Assemble` calls it: ``wheels`` (``*.whl``), ``redist`` (``*.tar.xz``,
        ``*.tar.gz``; their top folder is left out), ``deb`` or ``runfile`` (only the
        toolkit in it, so that ``bin/nvcc`` is where it is in a toolkit).
    only
        Patterns of paths that are wanted, as `fnmatch` knows them (``*`` goes through
        folders); nothing: all.
    skip
        Patterns of paths that are not wanted.
    """

    kind: ClassVar[str] = "unpack"

    format: str
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def lines(self) -> Sequence[str]:
        """Return what a person sees."""
        only = f", only {' '.join(self.only)}" if self.only else ""
        what = _WHAT.get(self.format, "what came")
        return (f"unpack {what} into the staging folder{only}",)

    def do(self, work: Work) -> None:
        """Unpack; the files in the cache stay as they are.

        But for a runfile that is no whole archive: its bytes may have changed on the
        way, and the server would say for ever that it has no newer one.
        """
        from colabmagic.cuda.errors import ChecksumError  # noqa: PLC0415 (lazy)
        from colabmagic.cuda.unpacking.unpack import unpack  # noqa: PLC0415 (lazy)

        target = work.staging / "parts" / self.format
        chosen = [
            (name, path)
            for name, path in work.files.items()
            if format_of(name) == self.format
        ]
        work.progress.start(f"unpack {len(chosen)} files", len(chosen))
        try:
            for name, path in chosen:
                unpack(
                    path,
                    target,
                    name=name,
                    kind=self.format,
                    only=self.only,
                    skip=self.skip,
                )
                work.progress.advance()
        except ChecksumError:
            if (
                self.format == "runfile"
            ):  # nobody announced its hash: it is fetched anew
                path.unlink(missing_ok=True)
            raise
        finally:
            work.progress.finish()


_ENDINGS = (
    (".whl", "wheels"),
    (".deb", "deb"),
    (".run", "runfile"),
    (".tar.xz", "redist"),
    (".tar.gz", "redist"),
)


def format_of(name: str) -> str | None:
    """Return how a file is packed, by its name; None where it is no archive.

    Parameters
    ----------
    name
        Of the file. Runfiles of CUDA 9 end in ``_linux``.
    """
    for ending, kind in _ENDINGS:
        if name.endswith(ending):
            return kind
    return "runfile" if name.endswith("_linux") else None
