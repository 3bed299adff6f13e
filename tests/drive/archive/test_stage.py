"""Staging: an archive on Drive becomes a folder here, once, as a whole."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.archive.stage import Staged, stage
from tests.drive.archive.test_archives import (
    FILES,
    content,
    link,
    seven,
    tar,
    tar_of,
    zipped,
    zst,
)
from tests.drive.transfer.test_transfers import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive

ARCHIVE = "MyDrive/sets/data.tar.gz"


@pytest.fixture
def staged(drive: FakeDrive, files: Files, tmp_path: Path) -> Callable[..., Staged]:
    """Return what stages the archive."""
    folder = drive.store.add_folder("sets")
    drive.store.add_file("data.tar.gz", tar("w:gz"), folder.id)

    def run(**options: Any) -> Staged:  # noqa: ANN401
        return stage(files, ARCHIVE, tmp_path / "data", **options)

    return run


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, hidden things too."""
    return sorted(each.name for each in folder.iterdir())


def test_it_is_unpacked_and_known_the_next_time(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """The second call asks for one resource and downloads nothing."""
    first = staged()
    assert content(tmp_path / "data") == FILES
    assert (first.files, first.size) == (3, sum(map(len, FILES.values())))
    assert first.fetched_bytes == first.archive_bytes == len(tar("w:gz"))
    assert names(tmp_path) == [".data.colabmagic.json", "data"]
    drive.reset_counters()
    second = staged()
    assert second.fetched_bytes == 0
    assert (second.path, second.files, second.md5) == (
        first.path,
        first.files,
        first.md5,
    )
    assert dict(drive.operations) == {"files.get": 1}


def test_a_new_revision_is_taken(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """The old folder goes as a whole."""
    staged()
    (entry,) = (
        e for e in drive.store.files.values() if e.meta["name"] == "data.tar.gz"
    )
    drive.store.set_content(entry.id, tar("w:gz", {"new": b"1"}))
    staged()
    assert content(tmp_path / "data") == {"new": b"1"}
    assert names(tmp_path) == [".data.colabmagic.json", "data"]


@pytest.mark.parametrize(
    "data",
    [tar("w:gz", {"../x": b""}), tar("w:gz")[:-40], b"no archive"],
    ids=["leads out", "cut off", "none"],  # a packed one has the time in it
)
def test_a_bad_archive_leaves_what_was_there(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path, data: bytes
) -> None:
    """The folder of before, and no half one."""
    staged()
    (entry,) = (
        e for e in drive.store.files.values() if e.meta["name"] == "data.tar.gz"
    )
    drive.store.set_content(entry.id, data)
    with pytest.raises(errors.ArchiveError):
        staged()
    assert content(tmp_path / "data") == FILES
    kept = {".data.colabmagic-archive"}  # for a run with another option
    assert set(names(tmp_path)) <= {".data.colabmagic.json", "data"} | kept


def test_a_folder_of_the_users_is_not_replaced(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """Said before anything is downloaded."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("x")
    with pytest.raises(errors.TargetFullError, match="not made by this magic"):
        staged()
    assert (tmp_path / "data" / "mine").read_text() == "x"


def kept_aside(tmp_path: Path) -> dict[str, bytes]:
    """Return the files that were moved out of the way."""
    (aside,) = tmp_path.glob("data.local-*")
    return content(aside)


def later(tmp_path: Path) -> None:
    """Wait until the clock of the disk has gone on."""
    begin = (tmp_path / ".data.colabmagic.json").stat().st_ctime_ns
    clock = tmp_path / "clock"
    while not clock.exists() or clock.stat().st_ctime_ns <= begin:
        clock.write_text("")
    clock.unlink()


@pytest.mark.parametrize("how", ["refresh", "revision", "another archive"])
def test_files_of_the_users_are_kept(
    drive: FakeDrive,
    files: Files,
    staged: Callable[..., Staged],
    tmp_path: Path,
    how: str,
) -> None:
    """Written, changed or moved in since: they go aside, alone, and that is said."""
    staged()
    later(tmp_path)
    old = tmp_path / "old"
    old.write_text("moved")
    os.utime(old, (1e9, 1e9))
    old.rename(tmp_path / "data" / "moved")
    (tmp_path / "data" / "sub" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "mine" / "x").write_text("new")
    victim = next(iter(FILES))
    (tmp_path / "data" / victim).write_text("edited")
    (entry,) = (
        e for e in drive.store.files.values() if e.meta["name"] == "data.tar.gz"
    )
    if how == "another archive":
        drive.store.add_file("data.zip", zipped())
        done = stage(files, "MyDrive/data.zip", tmp_path / "data")
        assert "held MyDrive/sets/data.tar.gz before" in done.notes[1]
    else:
        if how == "revision":
            drive.store.set_content(entry.id, tar("w:gz", {"new": b"1"}))
        done = staged(refresh=how == "refresh")
    mine = {"moved": b"moved", "sub/mine/x": b"new", victim: b"edited"}
    assert kept_aside(tmp_path) == mine
    assert "data.local-" in done.notes[0]
    assert content(tmp_path / "data") in (FILES, {"new": b"1"})
    assert len(names(tmp_path)) == 3
    staged(refresh=True)  # untouched since: nothing more goes aside
    assert len(list(tmp_path.glob("data.local-*"))) == 1


def test_a_folder_made_anew_is_not_replaced(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """The note about the one before it says nothing about this one."""
    staged()
    later(tmp_path)
    (tmp_path / "data").rename(tmp_path / "away")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("x")
    for refresh in (False, True):
        with pytest.raises(errors.TargetFullError, match="made anew") as caught:
            staged(refresh=refresh)
    assert "--to" in caught.value.hint
    assert (tmp_path / "data" / "thesis.tex").read_text() == "x"
    shutil.rmtree(tmp_path / "away")


def test_a_folder_made_anew_under_the_old_number(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """Many file systems use it again: what is in there still is the user's."""
    staged()
    later(tmp_path)
    for each in (tmp_path / "data").iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    (tmp_path / "data" / "thesis.tex").write_text("x")
    staged()
    assert content(tmp_path / "data") == FILES
    assert kept_aside(tmp_path) == {"thesis.tex": b"x"}


@pytest.mark.parametrize(
    ("change", "said"),
    [("none", ""), ("more", "1 file more"), ("other", "1 file no longer as unpacked")],
)
def test_a_folder_that_is_here_is_looked_at(
    staged: Callable[..., Staged], tmp_path: Path, change: str, said: str
) -> None:
    """What the user did stays, and is said; how much was looked at is known."""
    first = staged()
    later(tmp_path)
    name = "results.csv" if change == "more" else next(iter(FILES))
    if change != "none":
        (tmp_path / "data" / name).write_text("mine")
    again = staged()
    assert (first.source, again.source) == ("drive", "here")
    assert again.checked_files == 3 + (change == "more")
    assert said in " ".join(again.notes)
    assert bool(again.notes) == bool(said)


def test_files_that_are_missing_deep_down(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """Is no hit, also if their folder is there."""
    staged()
    deep = next(name for name in FILES if "/" in name)
    (tmp_path / "data" / deep).unlink()
    assert staged().source == "drive"
    assert content(tmp_path / "data") == FILES


def test_under_faults(
    drive: FakeDrive, staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """A wrong byte and broken answers change nothing."""
    drive.faults.load([fault("corrupt"), fault("truncate", times=2), fault("reset")])
    staged(keep_archive=True)
    assert content(tmp_path / "data") == FILES
    assert names(tmp_path) == [".data.colabmagic.json", "data", "data.tar.gz"]


def test_by_default_it_goes_where_one_is(
    drive: FakeDrive,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder of the archive's name; what is no archive is refused."""
    monkeypatch.setattr("colabmagic.drive.archive.request._COLAB", tmp_path / "none")
    drive.store.add_file("set.zip", zipped())
    outer = Path.cwd()
    os.chdir(tmp_path)
    try:
        done = stage(files, "MyDrive/set.zip")
    finally:
        os.chdir(outer)
    assert done.path == tmp_path / "set"
    with pytest.raises(errors.CorruptArchiveError, match="no archive"):
        stage(files, "MyDrive/data.csv", tmp_path / "x")


# --- while it comes ---------------------------------------------------------------

PART = 64 * 1024
LARGE = {
    f"d{number // 10}/m{number}": random.Random(number).randbytes(20_000)  # noqa: S311
    for number in range(60)
}


class Told:
    """Notes what a front end would show, and calls back."""

    def __init__(self, then: Callable[[float], object] = float) -> None:
        self.steps: list[list[Any]] = []
        self.threads: set[int] = set()
        self.then = then

    def start(self, what: str, total: float | None = None) -> None:
        """Begin a step."""
        self.steps.append([what, total, 0, False])

    def advance(self, amount: float = 1) -> None:
        """Note an amount."""
        self.threads.add(threading.get_ident())
        self.steps[-1][2] += amount
        self.then(self.steps[-1][2])

    def finish(self, summary: str = "") -> None:
        """End it."""
        del summary
        self.steps[-1][3] = True


@functools.cache
def archives() -> dict[str, bytes]:
    """Return the large files in each kind of archive, packed once."""
    return {
        "set.tar.gz": tar("w:gz", LARGE), "set.tar.zst": zst(tar(members=LARGE)),
        "set.zip": zipped(LARGE), "set.7z": seven(LARGE),
    }  # fmt: skip


@pytest.fixture
def large(drive: FakeDrive, files: Files, tmp_path: Path) -> Callable[..., Staged]:
    """Return what stages a tar of 1.2 MB in 20 ranges."""
    for name, data in archives().items():
        drive.store.add_file(name, data)

    def run(name: str = "set.tar.gz", **options: Any) -> Staged:  # noqa: ANN401
        return stage(
            files, f"MyDrive/{name}", tmp_path / "set",
            **{"part_bytes": PART, "workers": 3, **options},
        )  # fmt: skip

    return run


def unpacked_beside(folder: Path) -> int:
    """Return how many files are in folders that are not ready."""
    found = 0
    for each in folder.glob(".set.colabmagic-partial-*"):
        with contextlib.suppress(OSError):
            found += sum(one.is_file() for one in each.rglob("*"))
    return found


@pytest.mark.parametrize("name", ["set.tar.gz", "set.tar.zst"])
def test_a_tar_is_unpacked_while_it_comes(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path, name: str
) -> None:
    """Files are there long before the last byte has come; the folder only at the end."""
    drive.bytes_per_second = 600_000
    seen: list[tuple[float, int]] = []

    def look(done: float) -> None:
        assert not (tmp_path / "set").exists()
        seen.append((done, unpacked_beside(tmp_path)))

    told = Told(look)
    result = large(name, progress=told)
    size = result.archive_bytes
    before_the_end = max(count for done, count in seen if done < size)
    assert before_the_end > 5, seen
    assert content(tmp_path / "set") == LARGE
    assert told.steps == [
        [f"download {name}", size, size, True],
        [f"unpack {name}", size, size, True],
    ]
    assert told.threads == {threading.get_ident()}


@pytest.mark.parametrize("name", ["set.zip", "set.7z"])
def test_others_are_unpacked_afterwards(
    large: Callable[..., Staged], tmp_path: Path, name: str
) -> None:
    """Their directories are at their ends."""
    told = Told()
    result = large(name, progress=told)
    assert content(tmp_path / "set") == LARGE
    assert [each[0] for each in told.steps] == [f"download {name}", f"unpack {name}"]
    assert told.steps[1][1:] == [result.archive_bytes, result.archive_bytes, True]


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_wrong_bytes_are_thrown_away(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path, fraction: float
) -> None:
    """What was unpacked of them too; the progress goes back, and all is right at the end."""
    drive.faults.load([fault("corrupt", fraction=fraction, skip=4)])
    told = Told()
    result = large(progress=told)
    assert drive.faults.left == 0
    assert content(tmp_path / "set") == LARGE
    assert told.steps[0][2] == result.archive_bytes
    assert names(tmp_path) == [".set.colabmagic.json", "set"]


def test_a_file_that_changes_meanwhile(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """The content that Drive has at the end, as a whole."""
    drive.store.add_file("x.tar", tar(members=LARGE))
    drive.faults.load([fault("change_file", skip=5)])
    with pytest.raises(errors.ArchiveError):  # the double's new bytes are no archive
        stage(files, "MyDrive/x.tar", tmp_path / "set", part_bytes=PART, workers=1)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("step", [0, 1])
def test_a_callback_that_raises(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path,
    error: type[BaseException], step: int,
) -> None:  # fmt: skip
    """Nothing half is left, and what has come is not fetched again."""
    told = Told()

    def fail(done: float) -> None:
        if len(told.steps) > step and done > 5 * PART:
            raise error

    told.then = fail
    drive.bytes_per_second = 2_000_000
    with pytest.raises(error):
        large(progress=told)
    assert unpacked_beside(tmp_path) == 0
    assert not [each for each in names(tmp_path) if "partial" in each or each == "set"]
    drive.bytes_per_second = None
    again = large()
    assert again.fetched_bytes <= (again.archive_bytes - 3 * PART) * (1 - step)
    assert content(tmp_path / "set") == LARGE


def test_interrupted_at_any_moment(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path
) -> None:
    """Ctrl-C, for real, at 12 moments: no half folder, no thread, and the next run ends it."""
    drive.bytes_per_second = 4_000_000
    main = threading.get_ident()
    outcomes = set()
    for number in range(12):
        after = 0.25 * number / 12
        timer = threading.Timer(after, signal.pthread_kill, (main, signal.SIGINT))
        try:
            timer.start()
            large(refresh=True)
            outcomes.add("ended")
            timer.cancel()
            timer.join()
        except KeyboardInterrupt:
            outcomes.add("interrupted")
        timer.join()
        folder = tmp_path / "set"
        assert not folder.exists() or content(folder) == LARGE
    drive.bytes_per_second = None
    large()
    assert content(tmp_path / "set") == LARGE
    assert names(tmp_path) == [".set.colabmagic.json", "set"]
    assert "interrupted" in outcomes


def test_what_an_interrupt_has_left_is_removed(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path
) -> None:
    """Of a folder that is made anew: the next run takes the one that is here."""
    large()

    def stop(done: float) -> None:
        if done > 5 * PART:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        large(refresh=True, progress=Told(stop))
    assert [each for each in names(tmp_path) if "archive" in each]
    assert large().source == "here"
    assert names(tmp_path) == [".set.colabmagic.json", "set"]
    assert drive.operations["files.get media"] > 0


def test_links_on_request(drive: FakeDrive, files: Files, tmp_path: Path) -> None:
    """Refused with the option's name; the next run, with it, fetches nothing."""
    drive.store.add_file("l.tar", tar_of(("a", b"1"), link("l", "a")))
    with pytest.raises(errors.UnsafeMemberError, match="link") as caught:
        stage(files, "MyDrive/l.tar", tmp_path / "l")
    assert "--links" in caught.value.hint
    done = stage(files, "MyDrive/l.tar", tmp_path / "l", links="inside")
    assert (tmp_path / "l" / "l").read_bytes() == b"1"
    assert done.fetched_bytes == 0
    assert names(tmp_path) == [".l.colabmagic.json", "l"]
    with pytest.raises(ValueError, match="inside"):
        stage(files, "MyDrive/l.tar", tmp_path / "l", links="all")  # type: ignore[arg-type]


# --- room on the disk -------------------------------------------------------------


@pytest.mark.parametrize("name", ["set.tar.gz", "set.zip", "set.7z"])
def test_no_room(
    drive: FakeDrive,
    large: Callable[..., Staged],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Said before anything is downloaded: room for the archive alone is not enough."""
    size = 1_250_000
    usage = type("Usage", (), {"free": int(size * 1.5)})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(errors.TargetFullError, match="no room"):
        large(name)
    assert drive.operations["files.get media"] <= 2  # a directory at the end
    assert names(tmp_path) == []


def test_a_disk_that_becomes_full(
    drive: FakeDrive, files: Files, small_disk: Path
) -> None:
    """In the midst of unpacking: nothing half; the download stops as well."""
    drive.store.add_file("z.tar.gz", tar("w:gz", {"a": b"1", "z": bytes(6 * 2**20)}))
    with pytest.raises(errors.TargetFullError, match="cannot be written"):
        stage(files, "MyDrive/z.tar.gz", small_disk / "z")
    assert set(names(small_disk)) <= {".z.colabmagic-archive"}
    drive.store.add_file("r.tar", tar(members={"r": bytes(3 * 2**20)}))
    with pytest.raises(errors.TargetFullError, match="no room"):
        stage(files, "MyDrive/r.tar", small_disk / "r")
    assert not (small_disk / "r").exists()


# --- others at the same time ------------------------------------------------------

OTHER = """
import sys
from pathlib import Path
from google.oauth2.credentials import Credentials
from colabmagic.drive.api.files import Files
from colabmagic.drive.api.http import Transport
from colabmagic.drive.archive.stage import stage
url, token, folder = sys.argv[1:]
files = Files(Transport(Credentials(token), url))
done = stage(files, "MyDrive/set.tar.gz", Path(folder), part_bytes=65536, workers=3)
print(done.fetched_bytes)
"""


def test_two_processes_at_once(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path
) -> None:
    """One of them fetches it, the other waits and takes what is there."""
    drive.bytes_per_second = 150_000
    command = [sys.executable, "-c", OTHER, drive.url, drive.token, tmp_path / "set"]
    root = Path(__file__).parents[3]
    told = Told()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    ) as other:  # fmt: skip
        end = time.monotonic() + 60
        while (
            not list(tmp_path.glob(".*.colabmagic-part.json"))
            and time.monotonic() < end
        ):
            time.sleep(0.02)
        mine = large(progress=told)
        assert other.stdout is not None
        theirs = int(other.stdout.read())
    assert other.returncode == 0
    assert (mine.fetched_bytes, theirs) == (0, mine.archive_bytes)
    assert told.steps == [["wait for who is making set", None, 0, True]]
    assert content(tmp_path / "set") == LARGE
    assert names(tmp_path) == [".set.colabmagic.json", "set"]


def test_a_folder_that_was_emptied(
    large: Callable[..., Staged], tmp_path: Path
) -> None:
    """Is no hit: it is staged again."""
    large()
    shutil.rmtree(tmp_path / "set" / "d3")
    large()
    assert content(tmp_path / "set") == LARGE


def test_names_that_clash_are_told(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """Each time: also by a hit."""
    drive.store.add_file("c.tar", tar(members={"Ä": b"1", "a\u0308": b"2"}))
    for _ in range(2):
        done = stage(files, "MyDrive/c.tar", tmp_path / "c")
        assert [note for note in done.notes if "case or accents" in note]


def test_a_name_that_would_write_on_the_screen(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """Escapes of terminals are taken out of steps and errors."""
    name = "\x1b[31mred\u202e.tar"
    drive.store.add_file(name, b"no archive")
    told = Told()
    with pytest.raises(errors.CorruptArchiveError) as caught:
        stage(files, f"MyDrive/{name}", tmp_path / "x", progress=told)
    shown = str(caught.value) + "".join(each[0] for each in told.steps)
    assert "red" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_hit_is_quick(drive: FakeDrive, large: Callable[..., Staged]) -> None:
    """One request for facts, and no more than 0.1 s."""
    large()
    drive.reset_counters()
    again = [large().seconds for _ in range(5)]
    assert min(again) <= 0.1
    assert dict(drive.operations) == {"files.get": 5}


def test_another_file_under_the_name(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path
) -> None:
    """The old one was renamed: the path leads elsewhere now."""
    large()
    (entry,) = (e for e in drive.store.files.values() if e.meta["name"] == "set.tar.gz")
    entry.meta["name"] = "old.tar.gz"
    drive.store.add_file("set.tar.gz", tar("w:gz", {"n": b"1"}))
    large()
    assert content(tmp_path / "set") == {"n": b"1"}


def test_an_archive_that_stays(
    drive: FakeDrive, large: Callable[..., Staged], tmp_path: Path
) -> None:
    """Beside the folder; one of the user's is not replaced, one that fits is used."""
    (tmp_path / "set.tar.gz").write_text("mine")
    with pytest.raises(errors.TargetFullError, match="another file"):
        large(keep_archive=True)
    assert (tmp_path / "set.tar.gz").read_text() == "mine"
    (tmp_path / "set.tar.gz").write_bytes(archives()["set.tar.gz"])
    (entry,) = (e for e in drive.store.files.values() if e.meta["name"] == "set.tar.gz")
    assert large(keep_archive=True).fetched_bytes == 0
    drive.store.set_content(entry.id, tar("w:gz", {"new": b"1"}))
    assert large(keep_archive=True).fetched_bytes > 0
    assert content(tmp_path / "set") == {"new": b"1"}
    assert names(tmp_path) == [".set.colabmagic.json", "set", "set.tar.gz"]


def test_the_longest_names_of_a_folder(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """What lies beside it while it is made gets a name that the disk can have."""
    name = "\u5b57" * 81 + ".tar"
    drive.store.add_file(name, tar())
    folder = tmp_path / ("\u5b57" * 85)
    assert stage(files, f"MyDrive/{name}", folder).fetched_bytes
    assert content(folder) == FILES
    assert stage(files, f"MyDrive/{name}", folder).fetched_bytes == 0
    assert len(names(tmp_path)) == 2


def test_links_in_place_of_our_own_files(
    drive: FakeDrive, files: Files, tmp_path: Path
) -> None:
    """Are not followed: the user's file that they lead to stays."""
    drive.store.add_file("a.tar", tar())
    (tmp_path / "mine").write_text("mine")
    for name in (".a.colabmagic.json.new", ".a.colabmagic.json"):
        (tmp_path / name).symlink_to("mine")
    stage(files, "MyDrive/a.tar", tmp_path / "a")
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_archive_that_the_user_made_anew(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """Under the name of one that was kept: it is his, and is not replaced."""
    staged(keep_archive=True)
    later(tmp_path)
    (tmp_path / "data.tar.gz").write_text("mine")
    with pytest.raises(errors.TargetFullError, match="another file"):
        staged(keep_archive=True, refresh=True)
    assert (tmp_path / "data.tar.gz").read_text() == "mine"


def test_a_folder_of_very_many_files(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """A hit is quick all the same; it is said how many files were looked at."""
    staged()
    later(tmp_path)
    folder = tmp_path / "data" / "many"
    folder.mkdir()
    (folder / "0").write_text("")
    for number in range(40_000):
        os.link(folder / "0", folder / f"f{number}")
        if (number + 2) % 20_000 == 0:  # a file system has a bound of names for one
            (folder / "0").unlink()
            (folder / "0").write_text("")
    began = time.monotonic()
    done = staged()
    assert time.monotonic() - began < 0.3  # the bound is a third of it
    assert done.source == "here"
    assert 3 < (done.checked_files or 0) < 40_000


def test_a_mountpoint_is_no_place(
    drive: FakeDrive, files: Files, small_disk: Path
) -> None:
    """It cannot be replaced: said before anything is fetched, and nothing is left."""
    drive.store.add_file("a.tar", tar())
    with pytest.raises(errors.TargetFullError, match="mounted") as caught:
        stage(files, "MyDrive/a.tar", small_disk)
    assert str(small_disk / "a") in caught.value.hint
    assert drive.operations["files.get media"] == 0
    assert names(small_disk.parent) == ["disk"]
    stage(files, "MyDrive/a.tar", small_disk / "a")
    assert content(small_disk / "a") == FILES


def test_a_place_that_cannot_be_taken(
    staged: Callable[..., Staged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last step: no record of what is not there stays."""

    def busy(*_: object) -> None:
        raise errors.TargetFullError("busy", hint="another")

    with monkeypatch.context() as patch:
        patch.setattr("colabmagic.drive.archive.partial.put_in_place", busy)
        with pytest.raises(errors.TargetFullError):
            staged()
        assert ".data.colabmagic.json" not in names(tmp_path)
    staged()
    assert content(tmp_path / "data") == FILES


@pytest.mark.parametrize(
    ("data", "stays"),
    [
        (tar_of(("a", b"1"), link("l", "a")), True),
        (tar(members={"../a": b"1"}), False),
    ],
    ids=["link", "leads out"],
)
def test_what_is_left_of_a_refused_archive(
    drive: FakeDrive, files: Files, tmp_path: Path, data: bytes, stays: bool  # noqa: FBT001 (a case)
) -> None:  # fmt: skip
    """Nothing, unless an option could unpack it: then the error tells where it is."""
    drive.store.add_file("r.tar", data)
    with pytest.raises(errors.UnsafeMemberError) as caught:
        stage(files, "MyDrive/r.tar", tmp_path / "r")
    left = [".r.colabmagic-archive"] if stays else []
    assert names(tmp_path) == left
    assert all(name in (caught.value.seen or "") for name in left)


def test_a_pipe_of_the_archives_name(
    staged: Callable[..., Staged], tmp_path: Path
) -> None:
    """It is not waited for, and not replaced."""
    os.mkfifo(tmp_path / "data.tar.gz")
    with pytest.raises(errors.TargetFullError, match="is another file"):
        staged(keep_archive=True)
    assert names(tmp_path) == ["data.tar.gz"]
