"""Fetch several files at a time: one connection for each, as that is the fastest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.fetching import trouble
from colabmagic.cuda.fetching.download import Downloader, Stopped, Wanted, new_session
from colabmagic.cuda.fetching.patience import Patience
from colabmagic.report.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from colabmagic.cuda.fetching.cache import Cache
    from colabmagic.report.progress import Progress

WORKERS: Final = 4
_TICK_S: Final = 0.1
_LAST_WAIT_S: Final = 2.0  # for a thread whose connection is still being opened


def fetch_all(  # noqa: PLR0913 (by keyword)
    wanted: Sequence[Wanted],
    *,
    cache: Cache,
    session: Any = None,  # noqa: ANN401 (requests publishes no types)
    progress: Progress = SILENT,
    offline: bool = False,
    patience: Patience | None = None,
    workers: int = WORKERS,
    on_fetched: Callable[[int], object] = lambda _: None,
) -> list[Path]:
    """Fetch files into the cache; return their paths, in the order of the files.

    Parameters
    ----------
    wanted
        The files.
    cache
        Where they go; what is there already is not fetched.
    session
        A ``requests.Session``; one is made where it is left out.
    progress
        Told in bytes, in the calling thread.
    offline
        Nothing may be fetched.
    patience
        Time-outs and tries.
    workers
        Files at a time.
    on_fetched
        Told in the end, also of a failure, how many bytes came over the line.

    Raises
    ------
    SourceUnreachableError
        A server does not send a file, or `offline` is set and one is missing.
    ChecksumError
        What came is not what was announced.
    DiskFullError
        They do not fit.
    """
    if offline:
        return _all_here(wanted, cache)
    if not wanted:
        return []
    _refuse_full(wanted, cache)
    job = _Together(wanted, cache, session or new_session(), patience or Patience())
    sizes = [each.size for each in wanted]
    total = None if None in sizes else float(sum(size or 0 for size in sizes))
    progress.start(_title(wanted), total)
    try:
        return job.run(max(1, min(workers, len(wanted))), progress)
    finally:
        if session is None:
            job.downloader.session.close()
        progress.finish()
        on_fetched(job.downloader.fetched)


def _title(wanted: Sequence[Wanted]) -> str:
    """Return what a person reads beside the bar."""
    first = wanted[0].name
    return f"download {first}" if len(wanted) == 1 else f"download {len(wanted)} files"


def _refuse_full(wanted: Sequence[Wanted], cache: Cache) -> None:
    """Raise before anything is fetched if all files together cannot fit."""
    import shutil  # noqa: PLC0415 (rarely wanted)

    todo = {
        each.key: max(0, (each.size or 0) - cache.partial_size(each.key))
        for each in wanted
        if each.sha256 is None or not cache.has(each.sha256)
    }
    try:
        cache.partial.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache.partial).free
    except OSError as error:
        raise trouble.unwritable(cache.partial, error) from None
    if sum(todo.values()) > free:
        names = wanted[0].name if len(wanted) == 1 else f"{len(wanted)} files"
        raise trouble.no_room(names, cache.partial, sum(todo.values()), free)


def _all_here(wanted: Sequence[Wanted], cache: Cache) -> list[Path]:
    """Return the paths of files in the cache; all that are missing are named."""
    found: list[Path] = []
    missing: list[str] = []
    for each in wanted:
        sha256 = each.sha256 or str(cache.note(each.url).get("sha256", ""))
        path = cache.checked(sha256) if sha256 else None
        if path is None:
            missing.append(each.name)
        else:
            found.append(path)
    if missing:
        raise trouble.not_here(missing)
    return found


class _Together:
    """One run over some files."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        cache: Cache,
        session: Any,  # noqa: ANN401 (requests)
        patience: Patience,
    ) -> None:
        self.downloader = Downloader(
            cache=cache, session=session, patience=patience, on_bytes=self._count
        )
        self._todo = list(enumerate(wanted))[::-1]
        self._found: dict[int, Path] = {}
        self._failure: BaseException | None = None
        self._bytes = self._told = 0
        self._lock = threading.Lock()

    def run(self, workers: int, progress: Progress) -> list[Path]:
        """Fetch all; a failure or Ctrl-C ends the others, and what has come stays."""
        threads = [
            threading.Thread(target=self._work, daemon=True, name="colabmagic-fetch")
            for _ in range(workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_TICK_S)
                    self._tell(progress)
        except BaseException:  # Ctrl-C
            self.downloader.cut()
            for thread in threads:
                thread.join(_LAST_WAIT_S)
            raise
        self._tell(progress)
        if self._failure is not None:
            raise self._failure
        return [path for _, path in sorted(self._found.items())]

    def _work(self) -> None:
        """Fetch one file after the other."""
        while not self.downloader.stop.is_set():
            with self._lock:
                if not self._todo:
                    return
                index, wanted = self._todo.pop()
            try:
                self._found[index] = self.downloader.fetch(wanted)
            except Stopped:
                return
            except BaseException as error:  # noqa: BLE001 (raised in the calling thread)
                with self._lock:
                    self._failure = self._failure or error
                self.downloader.cut()

    def _count(self, more: int) -> None:
        """Note bytes that came."""
        with self._lock:
            self._bytes += more

    def _tell(self, progress: Progress) -> None:
        """Say how much has come."""
        with self._lock:
            more, self._told = self._bytes - self._told, self._bytes
        if more:
            progress.advance(more)
