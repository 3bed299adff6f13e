"""What goes wrong in an installation: how it is brought about, and how it ends."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colabmagic.cuda import errors
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.debs import FetchDebs
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.redist import FetchRedist
from colabmagic.cuda.steps.runfile import FetchRunfile
from colabmagic.cuda.steps.verify import Verify
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.cuda.store.layout import Home
from tests.cuda.unpacking import hostile
from tests.fakes.nvidia.archive import REPO, Archive, make_archive
from tests.fakes.nvidia.redist import FOLDER, make_redist, spoil, sums
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.server import FileServer
from tests.fakes.nvidia.trees import tiny_trees, tool
from tests.fakes.nvidia.wheels import make_index, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.cuda.steps.base import Step

USER, PASSWORD = "colab-user", "s3cret-Tok3n"  # noqa: S105 (a double's)
NAME = "11.1.1"
RUN = "compute/cuda_11.1.1_455.32.00_linux.run"
NVCC = "cuda_nvcc-linux"
WHEEL = "nvidia-cuda-nvcc"
_MEGABYTE = 2**20


def trees(folder: Path, version: str = "11.1.105") -> dict[str, Path]:
    """Write the parts of a toolkit that is whole, tiny, and compiles nothing."""
    parts = tiny_trees(folder, version)
    for name in ("fatbinary", "nvlink", "cudafe++"):
        program = parts["cuda_nvcc"] / "bin" / name
        program.write_text(tool(name, version), "utf-8")
        program.chmod(0o755)
    return parts


@dataclass(eq=False)
class Bench:
    """A folder of ours, NVIDIA's double, and what is installed from it."""

    folder: Path
    server: FileServer
    way: str
    home_name: str = "home"
    environment: dict[str, str | None] = field(default_factory=dict)
    offline: bool = False
    interrupt_after: int | None = None
    interrupt_at: str = ""
    extra: tuple[Step, ...] = ()
    archive: Archive | None = None
    mounted: bool = False
    holder: Any = None
    keyring: str = ""
    requirement: str = f"{WHEEL}==11.1.105"
    longest_s: float = 600.0  # that a program may take

    @property
    def home(self) -> Home:
        """Return our folder."""
        return Home(self.folder / self.home_name)

    @property
    def url(self) -> str:
        """Return the server's address with a login in it."""
        return self.server.url.replace("://", f"://{USER}:{PASSWORD}@")

    @property
    def manifest(self) -> Path:
        """Return NVIDIA's list."""
        return self.server.root / FOLDER / f"redistrib_{NAME}.json"

    @property
    def runfile(self) -> Path:
        """Return the installer."""
        return self.server.root / RUN

    def lay_out(self) -> None:
        """Make what the server serves."""
        root, parts = self.server.root, trees(self.folder / "trees")
        if self.way == "redist":
            make_redist(root, NAME, parts)
        elif self.way == "runfile":
            self.runfile.parent.mkdir(parents=True)
            make_runfile(self.runfile, NAME, parts)
        elif self.way == "deb":
            self.archive = make_archive(root, self.folder / "gpg", parts)
            self.keyring = str(self.archive.keyring)
        else:
            files = {
                f"nvidia/cu11/{path.relative_to(parts[part])}": path.read_bytes()
                for part in parts
                for path in parts[part].rglob("*")
                if path.is_file()
            }
            programs = tuple(name for name in files if "/bin/" in name)
            make_wheel(root / "simple", WHEEL, "11.1.105", files, executable=programs)
            make_index(root, "simple")

    def fetching(self) -> tuple[Step, ...]:
        """Return the steps that fetch."""
        if self.way == "redist":
            url = f"{self.url}/{FOLDER}/redistrib_{NAME}.json"
            parts = ("cuda_nvcc", "cuda_cudart", "cuda_cccl")
            return (FetchRedist(manifest_url=url, parts=parts),)
        if self.way == "runfile":
            return (FetchRunfile(url=f"{self.url}/{RUN}"),)
        if self.way == "deb":
            packages = ("cuda-nvcc-11-1", "cuda-cudart-dev-11-1")
            suite = f"{self.server.url}/{REPO} ./"
            return (
                FetchDebs(suites=(suite,), packages=packages, keyring=self.keyring),
            )
        return (FetchWheels(requirements=(self.requirement,)),)

    def making(self) -> tuple[Step, ...]:
        """Return the steps that make the toolkit's folder."""
        made = [*self.fetching(), Unpack(format=self.way)]
        if self.way != "deb":  # NVIDIA's packages are only installed, by apt
            made.append(Assemble(layout=self.way, build="11.1.105"))
        return (*made, *self.extra)


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


# --- the server ------------------------------------------------------------------------


def http(kind: str, match: str = NVCC, **options: Any) -> Callable[[Bench], object]:  # noqa: ANN401
    """Let the server do something."""
    return lambda bench: bench.server.fail(kind, match, **options)


def both(*parts: Callable[[Bench], object]) -> Callable[[Bench], object]:
    """Do one after the other."""

    def all_of(bench: Bench) -> None:
        for part in parts:
            part(bench)

    return all_of


def listed(text: str) -> Callable[[Bench], object]:
    """Let the list be something else."""

    def prepare(bench: Bench) -> None:
        bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
        bench.manifest.write_text(text, "utf-8")

    return prepare


def row(**changes: object) -> Callable[[Bench], object]:
    """Let the list say something else of the compiler."""

    def prepare(bench: Bench) -> None:
        bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
        spoil(bench.manifest, "cuda_nvcc", **changes)

    return prepare


def lacks_nvcc(bench: Bench) -> None:
    """Let the list have no compiler."""
    text = json.loads(bench.manifest.read_text("utf-8"))
    bench.manifest.with_suffix(".right").write_bytes(bench.manifest.read_bytes())
    del text["cuda_nvcc"]
    bench.manifest.write_text(json.dumps(text), "utf-8")


def right_list(bench: Bench) -> None:
    """Serve the right list again."""
    right = bench.manifest.with_suffix(".right")
    if right.exists():
        bench.manifest.unlink()
        right.rename(bench.manifest)


def changed_on_the_server(bench: Bench) -> None:
    """Stop in the middle, and let the server have another file then."""
    bench.server.fail("slow", RUN, bytes=4096, seconds=0.05)
    bench.interrupt_at = "download"


def another_runfile(bench: Bench) -> None:
    """Serve another installer under the same address."""
    parts = trees(bench.folder / "newer", "11.1.106")
    (parts["cuda_nvcc"] / "newer.bin").write_bytes(os.urandom(_MEGABYTE))
    bench.runfile.unlink()
    make_runfile(bench.runfile, NAME, parts)


def large_runfile(bench: Bench) -> None:
    """Serve an installer that takes a while."""
    another_runfile(bench)
    changed_on_the_server(bench)


# --- what it sends ---------------------------------------------------------------------


def archive_of(make: Callable[[Path], object]) -> Callable[[Bench], object]:
    """Serve another archive of the compiler, with a list that is right about it."""

    def prepare(bench: Bench) -> None:
        (old,) = bench.server.root.rglob(f"{NVCC}*.tar.xz")
        old.with_suffix(".kept").write_bytes(old.read_bytes())
        make(old)
        row(**sums(old))(bench)

    return prepare


def right_archive(bench: Bench) -> None:
    """Serve the right one again."""
    right_list(bench)
    for kept in bench.server.root.rglob("*.kept"):
        kept.rename(kept.with_suffix(".xz"))


def members(name: str) -> Callable[[Path], object]:
    """Write an archive with members that no honest server sends."""
    return lambda path: hostile.make_tar(path, hostile.REFUSED[name], "xz")


def bomb(path: Path) -> None:
    """Write an archive of a few kilobytes that unpacks to a gigabyte."""
    info = tarfile.TarInfo("top/bin/zeros")
    info.size = 2**30
    with lzma.open(path, "wb", preset=0) as out:
        out.write(info.tobuf())
        for _ in range(2**10):
            out.write(bytes(_MEGABYTE))


def cut(path: Path) -> None:
    """Write an archive that ends in its middle."""
    hostile.cut(path, 0.5)


def unknown_header(bench: Bench) -> None:
    """Serve an installer that says of itself nothing that we know."""
    right = bench.runfile.read_bytes()
    bench.runfile.with_suffix(".kept").write_bytes(right)
    bench.runfile.write_bytes(b"#!/bin/sh\n# another packer\nexit 0\n" + right[-900:])


def wrong_md5(bench: Bench) -> None:
    """Serve an installer of which a byte has changed."""
    bench.runfile.with_suffix(".kept").write_bytes(bench.runfile.read_bytes())
    hostile.corrupt(bench.runfile, lambda size: size - 200)


def right_runfile(bench: Bench) -> None:
    """Serve the right one again."""
    bench.runfile.with_suffix(".kept").replace(bench.runfile)


def unsigned(bench: Bench) -> None:
    """Serve lists that nobody signed."""
    assert bench.archive is not None
    (bench.archive.folder / "InRelease").unlink()


def signed_by_another(bench: Bench) -> None:
    """Trust another key."""
    other = bench.folder / "other.gpg"
    home = bench.folder / "other-gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    who = "Another <another@example.invalid>"
    for words in (["--passphrase", "", "--quick-gen-key", who, "ed25519"],
                  ["--export", "-o", str(other)]):  # fmt: skip
        subprocess.run([*gpg, *words], check=True, capture_output=True)
    kill = ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"]
    subprocess.run(kill, check=True, capture_output=True)
    bench.keyring = str(other)


def expired(bench: Bench) -> None:
    """Serve lists that were good until yesterday."""
    assert bench.archive is not None
    folder, gnupg = bench.archive.folder, bench.archive.gnupg
    # Whatever the apt of this machine thinks of old lists.
    settings = bench.folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::main "/dev/null"; Dir::Etc::parts "{bench.folder}/none";\n'
    )
    bench.environment["APT_CONFIG"] = str(settings)
    release = folder / "Release"
    release.write_text(
        "Valid-Until: Thu, 01 Jan 2015 00:00:00 UTC\n" + release.read_text("utf-8")
    )
    (folder / "InRelease").unlink()
    gpg = ["gpg", "--batch", "--homedir", str(gnupg), "--yes", "--clearsign"]
    subprocess.run(
        [*gpg, "-o", "InRelease", "Release"],
        check=True, cwd=folder, capture_output=True,
    )  # fmt: skip
    kill = ["gpgconf", "--homedir", str(gnupg), "--kill", "gpg-agent"]
    subprocess.run(kill, check=True, capture_output=True)


def signed_again(bench: Bench) -> None:
    """Sign the lists as they should be."""
    assert bench.archive is not None
    bench.archive.sign()
    bench.keyring = str(bench.archive.keyring)


def wrong_wheel(bench: Bench) -> None:
    """Let the index announce another hash."""
    page = bench.server.root / "simple" / WHEEL / "index.html"
    (wheel,) = bench.server.root.rglob("*.whl")
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page.write_text(page.read_text("utf-8").replace(right, "0" * 64))


def wrong_record(bench: Bench) -> None:
    """Let a file of the wheel be another than its own list says."""
    import zipfile  # noqa: PLC0415 (only here)

    (wheel,) = bench.server.root.rglob("*.whl")
    with zipfile.ZipFile(wheel) as old:
        content = [(info, old.read(info)) for info in old.infolist()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for info, data in content:
            is_nvcc = info.filename.endswith("bin/nvcc")
            new.writestr(
                info, data.replace(b"A double", b"A traitor") if is_nvcc else data
            )
    wheel.write_bytes(out.getvalue())
    make_index(bench.server.root, "simple")


def right_wheel(bench: Bench) -> None:
    """Make wheel and index anew."""
    for path in bench.server.root.rglob("*.whl"):
        path.unlink()
    bench.lay_out()


# --- this machine ----------------------------------------------------------------------


def environment(name: str, value: str | None) -> Callable[[Bench], object]:
    """Set a variable for the installation."""
    return lambda bench: bench.environment.__setitem__(name, value)


def called(name: str) -> Callable[[Bench], object]:
    """Let our folder have another name."""

    def prepare(bench: Bench) -> None:
        bench.home.root.rename(bench.folder / name)
        bench.home_name = name

    return prepare


def without_tmp(bench: Bench) -> None:
    """Name a folder for temporary files that does not exist."""
    bench.environment["TMPDIR"] = str(bench.folder / "gone")


def tmp_is_gone_when_verified(bench: Bench) -> None:
    """The same, for a toolkit that is to be proven."""
    without_tmp(bench)
    bench.extra = (Verify(build="11.1"),)


def filled(spare: int) -> Callable[[Bench], object]:
    """Fill the disk of our folder but for so many bytes."""

    def prepare(bench: Bench) -> None:
        filler = bench.home.root / "filler"
        free = os.statvfs(bench.home.root)
        with filler.open("wb") as file:
            left = free.f_bavail * free.f_bsize - spare
            while left > 0:
                left -= file.write(bytes(min(left, _MEGABYTE)))

    return prepare


def filled_before_publish(bench: Bench) -> None:
    """Fill the disk when all but the card is written."""
    bench.extra = (
        Command(
            argv=("sh", "-c", f"cat /dev/zero > '{bench.home.root}/filler'; true"),
            what="fill the disk",
        ),
    )


def emptied(bench: Bench) -> None:
    """Take away what fills the disk."""
    bench.extra = ()
    (bench.home.root / "filler").unlink(missing_ok=True)


def read_only(bench: Bench) -> None:
    """Let our folder lie on a disk that takes nothing."""
    remount(bench, "ro")


def remount(bench: Bench, option: str) -> None:
    """Mount our folder's disk anew."""
    subprocess.run(
        ["mount", "-o", f"remount,{option}", str(bench.home.root)],  # noqa: S607
        check=True, capture_output=True,
    )  # fmt: skip


def held(bench: Bench) -> None:
    """Let another process change our folder."""
    code = (
        "import fcntl, os, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.write(f'{os.getpid()}\\n'); file.flush()\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    bench.holder = subprocess.Popen(
        [sys.executable, "-c", code, str(bench.home.lock)], stdout=subprocess.PIPE
    )
    bench.holder.stdout.readline()


def apt_held(bench: Bench) -> None:
    """Let another process use our state of apt."""
    from tests.cuda.steps.working import make_work  # noqa: PLC0415 (only here)

    cache = Cache(bench.home.cache)
    bench.fetching()[0].do(make_work(bench.folder / "x", cache=cache))
    (state,) = (cache.root / "apt").iterdir()
    (state / "updated").unlink()
    code = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    bench.holder = subprocess.Popen(
        [sys.executable, "-c", code, str(state / "lists" / "lock")],
        stdout=subprocess.PIPE,
    )
    bench.holder.stdout.readline()


def released(bench: Bench) -> None:
    """End that process."""
    bench.holder.kill()
    bench.holder.communicate()


def later_journal(bench: Bench) -> None:
    """Let a later version have written the journal, too."""
    with bench.home.journal.open("a") as file:
        for record in (
            {"id": "a1", "event": "begin", "what": "x", "staging": ".staging-a1",
             "time": 1.0, "shape": {"new": True}},
            {"id": "a1", "event": "pledge", "of": ["nobody", "knows"]},
            {"id": "a1", "event": "step", "kind": "teleport",
             "undo": [{"kind": "teleport-back", "to": "1999"}]},
            {"id": "a1", "event": "commit", "details": {"name": NAME, "root": "/x"}},
            {"event": "epoch", "schema": 9},
        ):  # fmt: skip
            file.write(json.dumps(record) + "\n")


def open_later_journal(bench: Bench) -> None:
    """Let a later version have been killed in a step that we do not know."""
    with bench.home.journal.open("a") as file:
        for record in (
            {"id": "a1", "event": "begin", "what": "x", "staging": ".staging-a1",
             "time": 1.0},
            {"id": "a1", "event": "step", "kind": "teleport",
             "undo": [{"kind": "teleport-back", "to": "1999"}]},
        ):  # fmt: skip
            file.write(json.dumps(record) + "\n")


def cut_journal(bench: Bench) -> None:
    """Let the journal end in the middle of a line."""
    with bench.home.journal.open("a") as file:
        file.write('{"id": "0123", "event": "beg')


def no_journal(bench: Bench) -> None:
    """Let the journal be bytes of anything."""
    with bench.home.journal.open("ab") as file:
        file.write(b"\n\xff\x00\xfe[1,2]\n{}\n5\nnull\n")


def nvcc(script: str) -> Callable[[Bench], object]:
    """Let the compiler of the toolkit be another program."""

    def prepare(bench: Bench) -> None:
        (tree,) = bench.server.root.rglob(f"{NVCC}*.tar.xz")
        tree.with_suffix(".kept").write_bytes(tree.read_bytes())
        parts = trees(bench.folder / "broken")
        (parts["cuda_nvcc"] / "bin" / "nvcc").write_text(script, "utf-8")
        make_redist(bench.server.root, NAME, parts)
        bench.extra = (Verify(build="11.1"),)

    return prepare


def right_nvcc(bench: Bench) -> None:
    """Serve the right toolkit again, which is not proven: it does not compile."""
    make_redist(bench.server.root, NAME, trees(bench.folder / "again"))
    bench.extra = ()


def interrupted(step: int) -> Callable[[Bench], object]:
    """Press Ctrl-C after so many steps."""

    def prepare(bench: Bench) -> None:
        bench.interrupt_after = step

    return prepare


def index(url: str) -> Callable[[Bench], object]:
    """Let pip ask another index."""
    return environment("PIP_INDEX_URL", url)


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
             words="bytes there"),
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
            setattr(b.server, "login", _basic()),
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
            _padded(b), filled(100_000)(b)), full, mend=emptied, disk="size=8m"),
        Case("disk full: publish", filled_before_publish, full, mend=emptied,
             disk="size=4m"),
        Case("our folder is read-only", read_only, errors.NeedsRootError,
             mend=lambda b: remount(b, "rw"), disk="size=4m"),
        Case("blanks and letters in the path", called("mein Ördner – 資料 'x' $HOME"),
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
        Case("nvcc does not compile", nvcc(_SAYS + "echo 'fatal: no' >&2; exit 1\n"),
             failed, mend=right_nvcc, words="fatal: no"),
        Case("nvcc is killed", nvcc(_SAYS + "kill -9 $$\n"), failed, mend=right_nvcc),
        Case("nvcc hangs", both(
            nvcc(_SAYS + "case $* in *--list*) echo sm_75; exit;; esac; sleep 60\n"),
            lambda b: setattr(b, "longest_s", 1.0)), failed, mend=right_nvcc),
        Case("nvcc is of another version", nvcc(_SAYS.replace("11.1", "10.2")), failed,
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
        Case("Ctrl-C in unpacking", lambda b: setattr(b, "interrupt_at", "unpack"),
             KeyboardInterrupt),
    ]  # fmt: skip


_SAYS = """#!/bin/sh
case "$*" in *--version*) echo 'Cuda compilation tools, release 11.1, V11.1.105'; exit 0;;
esac
"""


def _basic() -> str:
    """Return the header of the login."""
    import base64  # noqa: PLC0415 (only here)

    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def _padded(bench: Bench) -> None:
    """Let the compiler's archive hold zeros: small to fetch, large to unpack."""
    parts = trees(bench.folder / "padded")
    (parts["cuda_nvcc"] / "zeros.bin").write_bytes(bytes(4 * _MEGABYTE))
    make_redist(bench.server.root, NAME, parts)
