"""Drive for fsspec: pandas, torch and many others open ``drive://MyDrive/a.csv`` by it.

::

    import pandas as pd

    pd.read_csv("drive://MyDrive/a.csv")

Credentials are found as by `colabmagic.drive.connect`, or given as
``storage_options={"credentials": ...}``; a credentials object never gets into what fsspec
shows, saves or pickles.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.drive.api.remote import SHORTCUT
from colabmagic.drive.archive.pack import count_hint
from colabmagic.drive.errors import (
    DriveFileNotFoundError,
    DrivePathError,
    MissingPackageError,
)
from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.reader import open_ranges
from colabmagic.drive.transfer.upload import upload
from colabmagic.drive.words import remote as remote_path
from colabmagic.drive.writer import DriveWriter, PackedOf, TextOf
from colabmagic.report.text import clean

try:
    import fsspec
    from fsspec.compression import compr
    from fsspec.core import get_compression
except ImportError:
    raise MissingPackageError(
        "fsspec is not here", seen="no module of that name", hint="%pip install fsspec"
    ) from None

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files, RemoteFile

_ROOTS: Final = ("MyDrive", "Shareddrives")
_OF_TEXT: Final = ("encoding", "errors", "newline")


class DriveFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Google Drive as a file system of fsspec.

    Parameters
    ----------
    credentials
        Any of google-auth, or what `colabmagic.drive.connect` takes; found by default.
    api_root
        Where Drive is; Google's own by default.
    **options
        Of fsspec.
    """

    protocol: ClassVar[str] = "drive"
    root_marker = ""

    def __init__(
        self,
        *,
        credentials: Any = None,  # noqa: ANN401 (of google-auth, or a text)
        api_root: str | None = None,
        **options: Any,  # noqa: ANN401 (of fsspec)
    ) -> None:
        if self._cached:
            return
        super().__init__(**options)
        from colabmagic.drive.client import connect  # noqa: PLC0415 (reads files)

        self._drive = connect(credentials=credentials, api_root=api_root)

    def __repr__(self) -> str:
        """Say where it leads; credentials are never shown."""
        return f"<DriveFileSystem at {self._files.transport.api_root}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without a credentials object: the other process finds its own."""
        return _made, (type(self), self.storage_options)

    @property
    def storage_options(self) -> dict[str, Any]:
        """What fsspec remembers of the options: nothing that is secret."""
        return dict(self.__dict__.get("_options", {}))

    @storage_options.setter
    def storage_options(self, options: dict[str, Any]) -> None:
        """Remember options, but no credentials object."""
        self.__dict__["_options"] = {
            key: value
            for key, value in options.items()
            if key != "credentials" or value is None or isinstance(value, str)
        }

    @property
    def _files(self) -> Files:
        """Paths and ids."""
        return self._drive.files

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:  # noqa: ANN401 (one or several)
        """Return the path as Drive has it."""
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return remote_path(path).removeprefix("drive://").strip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: ANN401, FBT001, FBT002 (fsspec's)
        """List a folder.

        Parameters
        ----------
        path
            Of the folder; nothing for the roots.
        detail
            All facts of each, or names.
        """
        path = self._strip_protocol(path)
        if not path:
            found = [_folder_facts(name) for name in _ROOTS]
        else:
            one = self._files.stat(path)
            if one.is_folder:
                children = self._files.children(one)
                found = [self._facts(each, f"{path}/{each.name}") for each in children]
            else:
                found = [self._facts(one, path)]
        return found if detail else [each["name"] for each in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the facts of one file or folder.

        Parameters
        ----------
        path
            Of it.
        """
        path = self._strip_protocol(path)
        if path in {"", *_ROOTS}:
            return _folder_facts(path)
        return self._facts(self._files.stat(path), path)

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ANN401
        """Tell whether something is there; what else goes wrong is raised.

        Parameters
        ----------
        path
            Of it.
        """
        return self._type(path) is not None

    def isdir(self, path: str) -> bool:
        """Tell whether a folder is there."""
        return self._type(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Tell whether a file is there."""
        return self._type(path) == "file"

    def _type(self, path: str) -> str | None:
        """Return what kind of thing is there, as fsspec calls it; None where nothing is."""
        try:
            found: str = self.info(path)["type"]
        except DriveFileNotFoundError:
            return None
        return found

    def checksum(self, path: str) -> str | None:
        """Return the MD5 that the server has of a file."""
        md5: str | None = self.info(path).get("md5")
        return md5

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 (fsspec's)
        """Make a folder, with those above it.

        Parameters
        ----------
        path
            Of the folder.
        exist_ok
            It may be there.
        """
        path = self._strip_protocol(path)
        if not exist_ok and self.exists(path):
            raise FileExistsError(path)
        self._files.folder(path)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: ANN401, FBT001, FBT002 (fsspec's)
        """Make a folder, with those above it."""
        del create_parents
        self.makedirs(path)

    def get_file(self, rpath: str, lpath: Any, **_: Any) -> None:  # noqa: ANN401
        """Download a file in parallel ranges; its MD5 is the server's.

        Parameters
        ----------
        rpath
            On Drive.
        lpath
            Here.
        """
        rpath = self._strip_protocol(rpath)
        if self.isdir(rpath):
            Path(lpath).mkdir(parents=True, exist_ok=True)
        elif hasattr(lpath, "write"):
            with self.open(rpath, "rb") as source:
                while data := source.read(2**20):
                    lpath.write(data)
        else:
            download(self._files, self._files.stat(rpath), Path(lpath))

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:  # noqa: ANN401
        """Upload a file; its MD5 is the server's.

        Parameters
        ----------
        lpath
            Here.
        rpath
            On Drive.
        """
        rpath = self._strip_protocol(rpath)
        if Path(lpath).is_dir():
            self.makedirs(rpath, exist_ok=True)
        else:
            self._upload(Path(lpath), rpath)

    def count_hint(self, path: str) -> str | None:
        """Return what to tell of a folder with very many files; None for others."""
        return count_hint(path, len(self.ls(path, detail=False)))

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **options: Any,  # noqa: ANN401 (fsspec's)
    ) -> Any:  # noqa: ANN401 (a file of some kind)
        """Open a file; one to write is saved when it is closed, or not at all.

        Parameters
        ----------
        path
            On Drive.
        mode
            ``r`` or ``w``, with ``b`` for bytes.
        block_size, cache_options, compression, **options
            Of fsspec.
        """
        given = {"block_size": block_size, "cache_options": cache_options, **options}
        if mode.strip("bt") != "w":
            return super().open(path, mode, compression=compression, **given)
        text = {name: given.pop(name, None) for name in _OF_TEXT if "b" not in mode}
        packing = get_compression(path, compression)
        opened = super().open(path, "wb", **given)
        if packing is not None:
            opened = PackedOf(compr[packing](opened, mode="w"), opened)
        return opened if "b" in mode else TextOf(opened, **text)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:  # noqa: ANN401
        """Open a file: to read in place, or to write a new revision at its close."""
        path = self._strip_protocol(path)
        if mode == "rb":
            return open_ranges(self._files, self._files.stat(path))
        if mode != "wb":
            raise DrivePathError(
                f"{clean(path)} cannot be opened as {mode!r}",
                seen="Drive cannot append to a file",
                hint="'rb' or 'wb': write the file as a whole",
            )
        self._files._begin(path)  # noqa: SLF001 (one package: a wrong path is told now)
        return DriveWriter(path, self._upload)

    def _upload(self, source: Path, path: str) -> None:
        """Give a path new content."""
        parent, _, name = path.rpartition("/")
        upload(self._files, source, self._files.folder(parent), name)

    def _facts(self, found: RemoteFile, path: str) -> dict[str, Any]:
        """Return what fsspec wants to know of a file."""
        one = found
        if one.mime_type == SHORTCUT and one.target_id is not None:
            with contextlib.suppress(DriveFileNotFoundError):  # it may lead to nothing
                one = self._files.by_id(one.target_id)
        # A shortcut may lead to a folder above it: who walks must not follow it.
        folder = "link" if one is not found else "directory"
        kind = folder if one.is_folder else "file"
        return {
            "name": path,
            "type": "other" if one.mime_type == SHORTCUT else kind,
            "size": one.size or 0,
            "md5": one.md5,
            "id": one.id,
            "mime_type": one.mime_type,
            "modified": one.modified,
        }


def _made(kind: type[DriveFileSystem], options: dict[str, Any]) -> DriveFileSystem:
    """Make a file system anew from its options."""
    return kind(**options)


def _folder_facts(name: str) -> dict[str, Any]:
    """Return the facts of a folder that is always there."""
    return {"name": name, "type": "directory", "size": 0}
