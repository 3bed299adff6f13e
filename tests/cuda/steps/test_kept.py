"""Tests for `colabmagic.cuda.steps.kept`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import (
    ChecksumError,
    DiskFullError,
    NoHostCompilerError,
    SourceUnreachableError,
)
from colabmagic.cuda.keeping.label import FOLDER
from colabmagic.cuda.keeping.write import system_folder
from colabmagic.cuda.machine.kept import find_kept
from colabmagic.cuda.steps.kept import Keep, UnpackKept
from colabmagic.cuda.store.inventory import read_card, write_card
from colabmagic.host.command import run
from tests.cuda.keeping.trees import WHAT, finished
from tests.cuda.steps.working import make_work
from tests.drive.fault_cases import mount

if TYPE_CHECKING:
    from colabmagic.cuda.machine.facts import Kept
    from colabmagic.cuda.steps.base import Work

LAUNCHER = "#!/bin/sh\necho 11.4.0\n"


def with_compiler(tmp_path: Path, script: str = LAUNCHER) -> Path:
    """Return a toolkit beside which a g++ lies that has this system's libraries."""
    root = finished(tmp_path / "finished")
    launcher = root / "host/bin/g++-11"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(script)
    launcher.chmod(0o755)
    (root / "host/usr/lib").mkdir(parents=True)
    (root / "host/usr/lib/libm.so").symlink_to(f"{system_folder(WHAT.arch)}/libm.so.6")
    return root


def keep(tmp_path: Path, root: Path) -> tuple[Kept, Work]:
    """Keep a toolkit; return what a plan would find of it."""
    work = make_work(tmp_path / "one")
    work.root = root
    step = Keep(
        folder=str(tmp_path / "drive"),
        release="12.4.1",
        arch=WHAT.arch,
        system="ubuntu 22.04",
    )
    step.do(work)
    found = find_kept(tmp_path / "drive", run)
    assert isinstance(found, tuple)
    return found[0], work


def unpack(tmp_path: Path, made: Kept, **changes: object) -> Work:
    """Take a toolkit out of its archive."""
    names = ("path", "sha256", "size", "files", "unpacked_bytes", "arch", "compiler")
    fields = {name: getattr(made, name) for name in names}
    work = make_work(tmp_path / "two")
    UnpackKept(**{**fields, **changes}).do(work)
    return work


def test_with_its_own_compiler(tmp_path: Path) -> None:
    """It is for one system then; on the next machine nvcc uses it from its new place."""
    made, work = keep(tmp_path, with_compiler(tmp_path))
    assert (made.compiler, made.system, made.parts) == (11, "ubuntu 22.04", ())
    assert Path(made.path).name.startswith(f"12.4.1-{WHAT.arch}-g++11-ubuntu22.04-")
    assert len(work.notes) == 1
    taken = unpack(tmp_path, made)
    launcher = taken.staging / "host/bin/g++-11"
    assert taken.environment == {
        "NVCC_PREPEND_FLAGS": f"-ccbin {launcher}",
        "CUDAHOSTCXX": str(launcher),
    }
    other = unpack(tmp_path / "x", made, compiler=None)  # this machine has its own
    assert other.environment == {}


def test_without_any(tmp_path: Path) -> None:
    """NVIDIA's files run on each Linux; what lies in it is told by its headers."""
    root = finished(tmp_path / "finished")
    (root / "include/cudnn.h").write_text("")
    made, _ = keep(tmp_path, root)
    assert (made.compiler, made.system, made.parts) == (None, "", ("cudnn",))
    assert (made.build, made.method) == ("12.4.131", "redist")
    card = read_card(root)
    assert card is not None
    write_card(root, replace(card, method="deb"))
    (tmp_path / "drive" / FOLDER / f"12.4.1-{WHAT.arch}-cudnn.json").unlink()
    made, _ = keep(tmp_path, root)
    assert made.system == "ubuntu 22.04"  # a distribution's packages are in it


def test_flags_are_found_anew(tmp_path: Path) -> None:
    """Without static libraries programs are linked to the shared one, where it is now."""
    root = finished(tmp_path / "finished")
    (root / "lib64/libcudart_static.a").unlink()
    made, _ = keep(tmp_path, root)
    work = unpack(tmp_path, made)
    flags = work.environment["NVCC_APPEND_FLAGS"]
    assert flags.endswith(f"-rpath -Xlinker {work.staging}/lib64")


def test_a_compiler_that_does_not_run_here(tmp_path: Path) -> None:
    """It is told with its own words."""
    made, _ = keep(
        tmp_path, with_compiler(tmp_path, "#!/bin/sh\necho no >&2; exit 1\n")
    )
    with pytest.raises(NoHostCompilerError, match="does not run here"):
        unpack(tmp_path, made)


def test_errors_say_what_to_type(tmp_path: Path) -> None:
    """No mirror helps: the archive is to be deleted, or its folder mounted."""
    made, _ = keep(tmp_path, finished(tmp_path / "finished"))
    with pytest.raises(ChecksumError) as wrong:
        unpack(tmp_path, made, sha256="0" * 64)
    assert wrong.value.hint == f"!rm {made.path}"
    odd = Path(made.path).rename(tmp_path / "a\x1b[1m\n.tar.gz")
    with pytest.raises(ChecksumError) as wrong:
        unpack(tmp_path, made, path=str(odd), sha256="0" * 64)
    assert str(wrong.value).isprintable()
    assert "delete that archive" in wrong.value.hint
    with pytest.raises(SourceUnreachableError) as gone:
        unpack(tmp_path, made)
    assert "still mounted" in gone.value.hint


def test_our_disk_is_full(tmp_path: Path) -> None:
    """That is no fault of the archive."""
    made, _ = keep(tmp_path, finished(tmp_path / "finished"))
    (tmp_path / "two").mkdir()
    if not mount(tmp_path / "two", "size=16k"):
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(DiskFullError):
            unpack(tmp_path, made)
    finally:
        run(["umount", "-l", str(tmp_path / "two")], timeout_s=10)


def test_what_cannot_be_kept_is_a_note(tmp_path: Path) -> None:
    """A toolkit without a card, and one that goes meanwhile."""
    root = finished(tmp_path / "finished")
    (root / "toolkit.json").unlink()
    work = make_work(tmp_path / "one")
    work.root = root
    step = Keep(folder=str(tmp_path / "d"), release="12.4.1", arch="x", system="")
    step.do(work)
    assert work.notes == ["It is not kept as an archive: its card cannot be read."]
    assert not (tmp_path / "d").exists()


def test_the_plan_says_it() -> None:
    """Lines and plain data."""
    step = UnpackKept(
        path="/d/a.tar.gz", sha256="ab" * 32, size=113_000_000, files=1,
        unpacked_bytes=1, arch="x86_64", compiler=11,
    )  # fmt: skip
    assert step.lines() == [
        "unpack /d/a.tar.gz (113.0 MB) into the staging folder",
        "check meanwhile that its sha256 is abababababababab…",
        "NVCC_PREPEND_FLAGS='-ccbin host/bin/g++-11'",
    ]
    assert json.loads(json.dumps(step.to_dict()))["kind"] == "unpack-kept"
    assert (step.undo(), step.outside) == ((), ())
