"""The table of faults: what is injected, what becomes of it, and what must never happen.

``python -m tests.drive.fault_table`` prints it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from colabmagic.drive import errors
from colabmagic.drive.transfer.download import download
from colabmagic.drive.transfer.upload import upload
from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

from tests.drive.fault_cases import (
    BODY,
    CHUNK,
    DATA,
    ITEMS,
    OLD,
    ON_SMALL_DISK,
    PART,
    SECRETS,
    Bench,
    Case,
    cases,
    mount,
)

HEADS = (
    "fault", "on", "injected", "detected", "healed", "retries", "bytes lost",
    "wrong bytes undetected", "duplicates", "files outside", "half files", "tokens leaked",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What came of a case; the last six are to be zero."""

    name: str
    on: str
    injected: int
    detected: int
    healed: str
    retries: int
    lost: int
    wrong: int
    duplicates: int
    outside: int
    half: int
    leaked: int
    problems: tuple[str, ...] = ()

    @property
    def zeros(self) -> tuple[int, ...]:
        """The six counts that are to be zero."""
        return (
            self.lost, self.wrong, self.duplicates, self.outside, self.half, self.leaked,
        )  # fmt: skip


# --- what is done ----------------------------------------------------------------------


def _download(bench: Bench) -> object:
    """Download over a file that is there."""
    remote = bench.files.stat(f"MyDrive/{bench.remote}/data.bin")
    return download(
        bench.files, remote, bench.folder / "data.bin",
        workers=1, part_bytes=PART, progress=bench.progress,
    )  # fmt: skip


def _upload(bench: Bench) -> object:
    """Upload a file."""
    folder = bench.files.folder(f"MyDrive/{bench.remote}")
    return upload(
        bench.files, bench.folder.parent / "ckpt.pt", folder, "ckpt.pt",
        chunk_bytes=CHUNK, progress=bench.progress,
    )  # fmt: skip


def _list(bench: Bench) -> object:
    """List a folder of several pages."""
    return [each.name for each in bench.files.ls(f"MyDrive/{bench.remote}/many")]


WORK: dict[str, Callable[[Bench], object]] = {
    "download": _download,
    "upload": _upload,
    "overwrite": _upload,
    "list": _list,
}


def _lay_out(bench: Bench, case: Case) -> None:
    """Make what a case begins with."""
    store = bench.drive.store
    (bench.folder.parent / "ckpt.pt").write_bytes(BODY)
    if case.on == "download":
        store.add_file("data.bin", DATA, bench.place.id)
        (bench.folder / "data.bin").write_bytes(OLD)
    if case.on == "overwrite":
        store.add_file("ckpt.pt", OLD, bench.place.id)
    if case.on == "list":
        store.add_many(ITEMS, store.add_folder("many", bench.place.id).id)


# --- trying and judging ----------------------------------------------------------------


def attempt(drive: FakeDrive, case: Case, folder: Path) -> Row | None:
    """Try a case; None where this machine cannot make the trouble.

    Parameters
    ----------
    drive
        Is used for one case after the other.
    case
        What goes wrong.
    folder
        An empty one.
    """
    target = folder / "target"
    target.mkdir()
    small = case.prepare in ON_SMALL_DISK
    if small and not mount(target, "size=1m"):
        return None
    drive.reset_counters()
    drive.faults.clear()
    drive.store.storage_limit = drive.bytes_per_second = None
    drive.store.access_tokens[drive.token] = float("inf")
    bench = Bench(drive, target, folder.name)
    try:
        return _tried(bench, case)
    finally:
        drive.faults.clear()
        bench.files.transport.close()
        if small:
            subprocess.run(["umount", "-l", str(target)], check=False)  # noqa: S607


def _tried(bench: Bench, case: Case) -> Row:
    """Run the work under the fault, then again without it, and judge both."""
    _lay_out(bench, case)
    if case.prepare is not None:
        case.prepare(bench)
    bench.drive.faults.load(case.faults)
    with _listening() as log:
        result, error = _run(bench, case)
    injected = sum(bench.drive.faults.injected.values()) or 1
    retries = bench.files.transport.retries
    broken = bench.drive.operations["broken"]
    judged = _judge(bench, case, result, failed=error is not None)
    leaked = _leaks(bench, log.getvalue() + _told(error, result))
    problems = list(_expected(bench, case, error, broken, retries))
    healed = "at once"
    if error is not None:
        healed = "at the next call" if _again(bench, case) else "never"
    if case.unseen:
        healed, judged = f"no: {case.unseen}", (0, 0, *judged[2:])
    if healed == "never":
        problems.append("not even the next call without faults was right")
    return Row(
        case.name, case.on, injected, 0 if case.unseen else injected, healed, retries,
        *judged, leaked, tuple(problems),
    )  # fmt: skip


def _run(bench: Bench, case: Case) -> tuple[object, BaseException | None]:
    """Do the work; return what it gave and what it raised."""
    try:
        return WORK[case.on](bench), None
    except Exception as error:  # noqa: BLE001 (judged afterwards)
        return None, error


def _expected(
    bench: Bench, case: Case, error: BaseException | None, broken: int, retries: int
) -> Iterator[str]:
    """Yield what is not as the case says."""
    if type(error) is not (case.ends or type(None)):
        yield f"ended with {error!r} instead of {case.ends}"
    strikes = any(rule.get("code") == 403 for rule in case.faults)
    if strikes and case.ends is not None and (broken, retries) != (1, 0):
        yield f"what stays refused was asked {broken} times"
    if not case.ends and bench.drive.faults.left:
        yield "the fault did not strike"
    if sum(bench.waited) < case.at_least_s - 2 * bool(case.at_least_s):
        yield f"waited {sum(bench.waited):.1f} s, asked for {case.at_least_s} s"
    yield from bench.drive.violations


def _judge(
    bench: Bench, case: Case, result: object, *, failed: bool
) -> tuple[int, int, int, int, int]:
    """Count what was lost, wrong, doubled, outside and half."""
    if case.on == "list":
        names = result if isinstance(result, list) else []
        missing = 0 if failed else ITEMS - len(set(names))
        return (
            missing,
            missing,
            len(names) - len(set(names)),
            _outside(bench, failed),
            0,
        )
    if case.on == "download":
        target = bench.folder / "data.bin"
        found = target.read_bytes() if target.exists() else b""
        (truth,) = bench.of_name("data.bin") or [DATA]
        copies = 1
    else:
        there = bench.of_name("ckpt.pt")
        copies = len(there)
        found = there[0] if there else b""
        truth = (bench.folder.parent / "ckpt.pt").read_bytes()
    old = b"" if case.on == "upload" else OLD
    right = old if failed else truth
    # An upload over a file whose bytes stay wrong is told, and the old revision is kept.
    told = failed and case.on == "overwrite" and case.ends is errors.IntegrityError
    lost = (
        0
        if told
        else sum(a != b for a, b in zip(found, right, strict=False))
        + max(0, len(right) - len(found))
    )
    wrong = 0 if failed or found == truth else 1
    half = 0 if told or found in (old, truth) else 1
    return lost, wrong, max(0, copies - 1), _outside(bench, failed), half


def _outside(bench: Bench, failed: bool) -> int:  # noqa: FBT001 (inside)
    """Count the files that lie where none belongs, here and there."""
    expected = {"data.bin", "filler"}
    if failed:  # what has come is kept for the next call
        expected |= {".data.bin.colabmagic-part", ".data.bin.colabmagic-part.json"}
    here = {each.name for each in bench.folder.iterdir()} - expected
    beside = {each.name for each in bench.folder.parent.iterdir()} - {
        "target",
        "ckpt.pt",
    }
    there = [
        each
        for each in bench.drive.store.children(bench.place.id)
        if each.meta["name"] not in {"data.bin", "ckpt.pt", "many"}
    ]
    root = [
        e for e in bench.drive.store.children(bench.drive.store.ROOT) if not e.is_folder
    ]
    return len(here) + len(beside) + len(there) + len(root)


def _again(bench: Bench, case: Case) -> bool:
    """Tell whether the same call, without faults, ends with the right bytes."""
    drive = bench.drive
    drive.faults.clear()
    drive.store.storage_limit = drive.bytes_per_second = None
    bench.progress = lambda _: None
    if case.prepare in ON_SMALL_DISK:
        mount(bench.folder, "remount,rw,size=1m")
        (bench.folder / "filler").unlink(missing_ok=True)
    if case.on == "download" and not bench.of_name("data.bin"):
        drive.store.add_file("data.bin", DATA, bench.place.id)
    bench.files.transport.credentials = bench.login(drive.store.issue_token())
    bench.files.transport.close()
    result, error = _run(bench, case)
    return error is None and not any(_judge(bench, case, result, failed=False))


@contextlib.contextmanager
def _listening() -> Iterator[io.StringIO]:
    """Collect what all loggers say, down to debugging."""
    root, text = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def _told(error: BaseException | None, result: object) -> str:
    """Return all that can be read of an error, and of those behind it, and of a result."""
    texts = [repr(result)]
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None:
            texts += [
                str(one),
                repr(one),
                repr(vars(one)),
                *traceback.format_exception(one),
            ]
            todo += [one.__cause__, one.__context__]
    return "\n".join(texts)


def _leaks(bench: Bench, text: str) -> int:
    """Count the secrets that a text, a name or a file shows: tokens and keys of uploads."""
    store = bench.drive.store
    for path in bench.folder.rglob("*.json"):
        text += path.read_text("utf-8")
    text += repr(bench.files) + repr(bench.files.transport)
    secret = {*SECRETS.values(), *store.access_tokens, *store.sessions}
    return sum(each in text for each in secret)


def run_all(folder: Path) -> tuple[list[Row], list[str]]:
    """Try all cases; return the rows, and the names of those that cannot be tried here.

    Parameters
    ----------
    folder
        An empty one.
    """
    rows, skipped = [], []
    with FakeDrive() as drive:
        for number, case in enumerate(cases()):
            own = folder / f"case{number}"
            own.mkdir()
            row = attempt(drive, case, own)
            if row is None:
                skipped.append(f"{case.name}: no file system can be mounted here")
            else:
                rows.append(row)
    return rows, skipped


def as_text(rows: Sequence[Row], skipped: Sequence[str] = ()) -> str:
    """Return the table in Markdown, with the sums.

    Parameters
    ----------
    rows
        Of `run_all`.
    skipped
        What could not be tried.
    """
    table = [HEADS, tuple("---" for _ in HEADS)]
    for row in rows:
        counts = (row.injected, row.detected, row.healed, row.retries, *row.zeros)
        table.append((row.name, row.on, *(str(each) for each in counts)))
    sums = [sum(each) for each in zip(*(row.zeros for row in rows), strict=True)]
    injected, detected = (
        sum(getattr(r, n) for r in rows) for n in ("injected", "detected")
    )
    retries = sum(row.retries for row in rows)
    table.append(
        (f"all {len(rows)}", "", *map(str, (injected, detected, "", retries, *sums)))
    )
    lines = ["| " + " | ".join(each) + " |" for each in table]
    lines += [f"skipped: {each}" for each in skipped]
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if a count is not zero, or an outcome not the expected one."""
    with tempfile.TemporaryDirectory() as folder:
        rows, skipped = run_all(Path(folder))
    sys.stdout.write(as_text(rows, skipped) + "\n")
    bad = [row for row in rows if any(row.zeros) or row.problems]
    for row in bad:
        sys.stdout.write(f"{row.name} on {row.on}: {row.zeros} {row.problems}\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
