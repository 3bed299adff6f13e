"""What goes wrong in an installation, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from colabmagic.cuda import errors

if TYPE_CHECKING:
    from collections.abc import Callable


from tests.cuda.fault_bench import NVCC, PASSWORD, RUN, USER, WHEEL, Bench
from tests.cuda.faults_here import (
    SAYS,
    apt_held,
    basic,
    called,
    cut_journal,
    emptied,
    filled,
    filled_before_publish,
    held,
    index,
    interrupted,
    kept_again,
    kept_as,
    kept_bomb,
    kept_is_gone,
    later_journal,
    no_journal,
    nvcc,
    open_later_journal,
    padded,
    read_only,
    released,
    remount,
    right_nvcc,
    tmp_is_gone_when_verified,
    without_tmp,
)
from tests.cuda.faults_sent import (
    another_runfile,
    archive_of,
    bomb,
    both,
    cut,
    expired,
    http,
    lacks_nvcc,
    large_runfile,
    listed,
    members,
    right_archive,
    right_list,
    right_runfile,
    right_wheel,
    row,
    signed_again,
    signed_by_another,
    unknown_header,
    unsigned,
    wrong_md5,
    wrong_record,
    wrong_wheel,
)


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes
    ----------
    name
        In words.
    prepare
        Brings it about.
    ends
        What an installation ends with; None: it completes all the same.
    way
        How the toolkit comes.
    mend
        Takes it away, beside what `run` takes away itself.
    words
        What the error must say.
    disk
        Options of a file system of its own for our folder.
    slow
        Takes seconds.
    """

    name: str
    prepare: Callable[[Bench], object]
    ends: type[BaseException] | None
    way: str = "redist"
    mend: Callable[[Bench], object] = lambda _: None
    words: str = ""
    disk: str = ""
    slow: bool = False
    requires: str = ""


def cases() -> list[Case]:
    """Return all cases."""
    unreachable, checksum = errors.SourceUnreachableError, errors.ChecksumError
    full, failed = errors.DiskFullError, errors.VerifyFailedError
    always = {"times": -1}
    refused = [
        Case(f"archive: {name}", archive_of(members(name)), checksum, mend=right_archive)
        for name in ("an absolute path", "a way up", "an absolute link", "a link out",
                     "a write through a link", "a hard link out", "a device", "a pipe")
    ]  # fmt: skip
    stopped = [
        Case(f"Ctrl-C after step {step}", interrupted(step), KeyboardInterrupt)
        for step in range(6)
    ]
    apt = {"way": "deb", "requires": "apt"}
    kept = {"way": "archive", "mend": kept_again}
    return [
        Case("404", http("status", code=404, **always), unreachable, words="404"),
        Case("403", http("status", code=403, **always), unreachable, words="403"),
        Case("500 twice", http("status", code=500, times=2), None, slow=True),
        Case("500 always", http("status", code=500, **always), unreachable, slow=True),
        Case("503, Retry-After 1", http("status", code=503, retry_after=1), None),
        Case("503 always", http("status", code=503, **always, retry_after=1),
             unreachable, words="503", slow=True),
        Case("reset in the body", http("reset"), None),
        Case("the body ends early", http("truncate"), None),
        Case("slow", http("slow", bytes=200, seconds=0.02), None),
        Case("wrong bytes once", http("corrupt"), None),
        Case("wrong bytes always", http("corrupt", **always), checksum),
        Case("wrong length", http("length", more=7, **always), checksum,
             words="bytes, and should have"),
        Case("no length", http("no_length"), None),
        Case("no ranges", both(http("truncate"), http("no_range")), None),
        Case("another range", both(http("truncate"), http("wrong_range")), None,
             slow=True),
        Case("the file changes meanwhile", large_runfile, KeyboardInterrupt,
             way="runfile", mend=another_runfile),
        Case("redirects in a circle", lambda b: b.server.fail(
            "redirect", NVCC, times=-1, to=f"{b.url}/x/{NVCC}"), unreachable,
            words="in a circle"),
        Case("redirect to a file", http("redirect", to="file:///etc/passwd", **always),
             unreachable, words="not safe"),
        Case("list: a log-in page", listed("<html>log in</html>"), checksum,
             mend=right_list),
        Case("list: no part", lacks_nvcc, unreachable, mend=right_list,
             words="has no cuda_nvcc"),
        Case("list: wrong hash", row(sha256="0" * 64), checksum, mend=right_list),
        Case("list: no hash", row(sha256=""), checksum, mend=right_list),
        Case("list: a way up", row(relative_path="../../../../etc/passwd"), unreachable,
             mend=right_list, words="leads out"),
        Case("list: absurd size", row(size="9" * 30), full, mend=right_list),
        Case("list: negative size", row(size="-5"), None, mend=right_list),
        Case("archive: ends early", archive_of(cut), checksum, mend=right_archive),
        Case("archive: a bomb", archive_of(bomb), full, mend=right_archive,
             disk="size=24m"),
        *refused,
        Case("wheel: another hash", wrong_wheel, checksum, way="wheels",
             mend=right_wheel),
        # As for pip: the index's hash of the whole counts.
        Case("wheel: not what its RECORD says", wrong_record, None, way="wheels",
             mend=right_wheel),
        Case("wheel: wrong bytes", http("corrupt", ".whl", **always), checksum,
             way="wheels"),
        Case("pip: no such version", lambda b: setattr(
            b, "requirement", f"{WHEEL}==99.9"), errors.CudaError, way="wheels"),
        Case("pip: the index is gone", index(
            f"http://{USER}:{PASSWORD}@127.0.0.1:9/simple"), unreachable, way="wheels"),
        Case("pip: an index with a login", lambda b: (
            setattr(b.server, "login", basic()),
            b.environment.update(PIP_INDEX_URL=f"{b.url}/simple")), None, way="wheels"),
        Case("pip: a wrong login", lambda b: (
            setattr(b.server, "login", "Basic no"),
            b.environment.update(PIP_INDEX_URL=f"{b.url}/simple")), unreachable,
            way="wheels", mend=lambda b: setattr(b.server, "login", "")),
        Case("deb: wrong bytes", http("corrupt", "cuda-nvcc-11-1", **always), checksum,
             **apt),
        Case("deb: lists unsigned", unsigned, checksum, mend=signed_again, **apt),
        Case("deb: lists signed by another", signed_by_another, checksum,
             mend=signed_again, **apt),
        Case("deb: lists expired", expired, checksum, mend=signed_again, **apt),
        Case("apt is busy", apt_held, errors.AptBusyError, mend=released, **apt),
        Case("runfile: unknown header", unknown_header, errors.CudaError, way="runfile",
             mend=right_runfile),
        Case("runfile: a byte changed on the way", http("corrupt", RUN), checksum,
             way="runfile"),
        Case("runfile: wrong MD5", wrong_md5, checksum, way="runfile",
             mend=right_runfile),
        Case("disk full: journal", filled(0), full, mend=emptied, disk="size=4m"),
        Case("disk full: download", filled(12_000), full, mend=emptied, disk="size=4m"),
        Case("disk full: unpack", lambda b: (
            padded(b), filled(100_000)(b)), full, mend=emptied, disk="size=8m"),
        Case("disk full: publish", filled_before_publish, full, mend=emptied,
             disk="size=4m"),
        Case("our folder is read-only", read_only, errors.NeedsRootError,
             mend=lambda b: remount(b, "rw"), disk="size=4m"),
        Case("blanks and letters in the path", called("mein Ördner 資料 'x'"),
             None),
        Case("blanks in the path, by apt", called("mein Ördner 資料"), None, **apt),
        Case("blanks in the path, by pip", called("mein Ördner 資料"), None,
             way="wheels"),
        Case("TMPDIR is gone", without_tmp, None, way="wheels"),
        Case("TMPDIR is gone, verify", tmp_is_gone_when_verified, failed,
             words="TMPDIR", mend=lambda b: setattr(b, "extra", ())),
        Case("the lock is held", held, errors.BusyError, mend=released),
        Case("journal of a later version", later_journal, None),
        Case("a later version was killed", open_later_journal, None),
        Case("journal ends in a line", cut_journal, None),
        Case("journal is rubbish", no_journal, None),
        Case("nvcc does not compile", nvcc(SAYS + "echo 'fatal: no' >&2; exit 1\n"),
             failed, mend=right_nvcc, words="fatal: no"),
        Case("nvcc is killed", nvcc(SAYS + "kill -9 $$\n"), failed, mend=right_nvcc),
        Case("nvcc hangs", both(
            nvcc(SAYS + "case $* in *--list*) echo sm_75; exit;; esac; sleep 60\n"),
            lambda b: setattr(b, "longest_s", 1.0)), failed, mend=right_nvcc),
        Case("nvcc is of another version", nvcc(SAYS.replace("11.1", "10.2")), failed,
             mend=right_nvcc, words="10.2"),
        Case("nvcc is no program", nvcc("\x00\x01"), errors.PlatformUnsupportedError,
             mend=right_nvcc),
        Case("offline, and nothing is here", lambda b: setattr(b, "offline", True),
             unreachable, words="--offline"),
        Case("offline by pip", lambda b: setattr(b, "offline", True), unreachable,
             words="--offline", way="wheels"),
        *stopped,
        Case("Ctrl-C in the download", lambda b: (
            b.server.fail("slow", NVCC, bytes=100, seconds=0.05),
            setattr(b, "interrupt_at", "download 3")), KeyboardInterrupt),
        Case("kept: ends early", kept_as(lambda data: data[: len(data) // 2]), checksum,
             **kept, words="no whole archive"),
        Case("kept: more behind its end", kept_as(lambda data: data + bytes(9)), checksum,
             **kept, words="not the archive that was kept"),
        Case("kept: is gone", kept_is_gone, unreachable, **kept),
        Case("kept: a bomb", kept_bomb, checksum, **kept, words="more than was"),
        Case("kept: disk full", filled(12_000), full, way="archive", mend=emptied,
             disk="size=4m"),
        Case("kept: Ctrl-C in unpacking", lambda b: setattr(b, "interrupt_at", "unpack"),
             KeyboardInterrupt, **kept),
        Case("Ctrl-C in unpacking", lambda b: setattr(b, "interrupt_at", "unpack"),
             KeyboardInterrupt),
    ]  # fmt: skip
