"""What is in an archive is written, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import ChecksumError, CudaError
from colabmagic.cuda.unpacking.unpack import unpack
from tests.cuda.unpacking.hostile import (
    REFUSED,
    ZIP_REFUSED,
    corrupt,
    cut,
    make_tar,
    make_zip,
    plain,
    special,
)
from tests.fakes.nvidia.archive import make_deb
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.trees import tiny_trees, write_tree
from tests.fakes.nvidia.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

needs_dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="install dpkg: no dpkg-deb"
)


def tree(root: Path) -> dict[str, str]:
    """Return what lies below a folder: path → mode and content, or the link."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = (
                f"{path.stat().st_mode & 0o7777:o} {path.read_text('latin-1')}"
            )
    return found


def everything(folder: Path) -> set[str]:
    """Return all paths, to see that none came where it must not."""
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("packing", ["xz", "gz", "bz2"])
def test_a_tar_archive_loses_its_top_folder(packing: str, tmp_path: Path) -> None:
    """Modes are 755 or 644, whatever was set; links stay links."""
    archive = make_tar(
        tmp_path / "a",
        [
            special("top", tarfile.DIRTYPE),
            plain("top/bin/nvcc", b"#!", mode=0o4755),
            plain("./top/lib/libx.so.1", b"lib", mode=0o600),
            special("top/lib/libx.so", tarfile.SYMTYPE, "libx.so.1"),
            special("top/bin/same", tarfile.LNKTYPE, "top/bin/nvcc"),
            special("top/lib64", tarfile.SYMTYPE, "lib"),
            plain("top/lib64/through", b"link"),
        ],
        packing,
    )
    assert unpack(archive, tmp_path / "out", name="a.tar", kind="redist") == 4
    assert tree(tmp_path / "out") == {
        "bin/nvcc": "755 #!",
        "bin/same": "755 #!",
        "lib/libx.so": "-> libx.so.1",
        "lib/libx.so.1": "644 lib",
        "lib/through": "644 link",
        "lib64": "-> lib",
    }


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_tar_archive_is_refused(case: str, tmp_path: Path) -> None:
    """One error; nothing lies outside of the folder, and no link leads there."""
    archive = make_tar(tmp_path / "a", REFUSED[case])
    (tmp_path / "box").mkdir()
    before = everything(tmp_path) | {str(tmp_path / "box" / "out")}
    with pytest.raises(ChecksumError, match="write where it may not") as caught:
        unpack(archive, tmp_path / "box" / "out", name="a.tar", kind="redist")
    assert caught.value.code == "E10"
    out = str(tmp_path / "box" / "out") + os.sep
    assert {path for path in everything(tmp_path) if not path.startswith(out)} <= before
    for path in (tmp_path / "box" / "out").rglob("*"):
        assert path.resolve().is_relative_to((tmp_path / "box" / "out").resolve())


@pytest.mark.parametrize("case", ZIP_REFUSED)
def test_a_hostile_wheel_is_refused(case: str, tmp_path: Path) -> None:
    """As for tar; a wheel holds no links at all."""
    archive = make_zip(tmp_path / "a.whl", [ZIP_REFUSED[case]])
    with pytest.raises(ChecksumError, match="write where it may not"):
        unpack(archive, tmp_path / "box" / "out", name="a.whl", kind="wheels")
    assert not tree(tmp_path / "box")


def test_a_link_that_was_there_does_not_lead_out(tmp_path: Path) -> None:
    """A folder that is a link to somewhere else is not written through."""
    (tmp_path / "out").mkdir()
    (tmp_path / "else").mkdir()
    (tmp_path / "out" / "lib").symlink_to(tmp_path / "else")
    archive = make_tar(tmp_path / "a", [plain("top/lib/evil")])
    with pytest.raises(ChecksumError):
        unpack(archive, tmp_path / "out", name="a.tar", kind="redist")
    assert not list((tmp_path / "else").iterdir())


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    """Patterns are of the paths as they are written; ``skip`` wins."""
    names = ["top/bin/nvcc", "top/lib/libx.so.1", "top/lib/libx_static.a", "top/doc/x"]
    archive = make_tar(tmp_path / "a", [plain(name) for name in names])
    written = unpack(
        archive,
        tmp_path / "out",
        name="a.tar",
        kind="redist",
        only=["bin/*", "lib/*"],
        skip=["*_static.a"],
    )
    assert written == 2
    assert set(tree(tmp_path / "out")) == {"bin/nvcc", "lib/libx.so.1"}


def test_parts_are_put_together(tmp_path: Path) -> None:
    """A folder in one part may be a link in another; nothing is lost, in either order."""
    link = [
        special("top/include", tarfile.SYMTYPE, "targets/include"),
        plain("top/targets/include/b.h"),
    ]
    folder = [plain("top/include/a.h"), plain("top/include/crt/c.h")]
    one = make_tar(tmp_path / "one", link)
    two = make_tar(tmp_path / "two", folder)
    for order in ((one, two), (two, one)):
        out = tmp_path / f"out-{order[0].name}"
        for part in order:
            unpack(part, out, name=part.name, kind="redist")
        assert tree(out) == {
            "include": "-> targets/include",
            "targets/include/a.h": "644 x",
            "targets/include/b.h": "644 x",
            "targets/include/crt/c.h": "644 x",
        }


def test_a_wheel_keeps_what_can_be_run(tmp_path: Path) -> None:
    """Paths are those in the wheel."""
    wheel = make_wheel(
        tmp_path,
        "nvidia-tiny",
        "1.0",
        {"nvidia/cu13/bin/nvcc": b"#!", "nvidia/cu13/include/a.h": b"//"},
        executable=("nvidia/cu13/bin/nvcc",),
    )
    unpack(wheel, tmp_path / "out", name=wheel.name, kind="wheels", only=["nvidia/*"])
    assert tree(tmp_path / "out") == {
        "nvidia/cu13/bin/nvcc": "755 #!",
        "nvidia/cu13/include/a.h": "644 //",
    }


@needs_dpkg
@pytest.mark.parametrize("packing", ["xz", "gzip", "zstd"])
def test_a_debian_package_is_unpacked_as_dpkg_does(
    packing: str, tmp_path: Path
) -> None:
    """The same files as ``dpkg-deb -x``; absolute links mean the folder."""
    source = write_tree(
        tmp_path / "tree", {"bin/nvcc": b"#!/bin/sh\n", "lib/libx.so.1": b"lib"}
    )
    (source / "lib/libx.so").symlink_to("libx.so.1")
    (source / "bin/gcc").symlink_to("/usr/bin/gcc-11")
    deb = make_deb(tmp_path, "tiny", "1.0", {"usr/lib/cuda": source}, packing=packing)
    unpack(deb, tmp_path / "ours", name=deb.name, kind="deb")
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "theirs"], check=True)  # noqa: S607
    ours, theirs = tree(tmp_path / "ours"), tree(tmp_path / "theirs")
    assert theirs.pop("usr/lib/cuda/bin/gcc") == "-> /usr/bin/gcc-11"
    assert ours.pop("usr/lib/cuda/bin/gcc") == "-> ../../../../usr/bin/gcc-11"
    assert ours == theirs
    assert ours["usr/lib/cuda/lib/libx.so"] == "-> libx.so.1"


@needs_dpkg
def test_dpkg_reads_zstd_where_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine with Ubuntu's packages and without a module of zstd."""
    source = write_tree(tmp_path / "tree", {"bin/nvcc": b"#!/bin/sh\n"})
    deb = make_deb(tmp_path, "tiny", "1.0", {"usr": source}, packing="zstd")
    monkeypatch.setattr("colabmagic.cuda.unpacking.deb.is_readable", lambda: False)
    unpack(deb, tmp_path / "out", name=deb.name, kind="deb")
    assert tree(tmp_path / "out") == {"usr/bin/nvcc": "755 #!/bin/sh\n"}
    cut(deb, 0.8)
    with pytest.raises(ChecksumError, match="no whole archive"):
        unpack(deb, tmp_path / "out", name=deb.name, kind="deb")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CudaError, match="packed by zstd"):
        unpack(deb, tmp_path / "out", name=deb.name, kind="deb")


@pytest.mark.parametrize("version", ["9.2.148", "10.2.89", "11.1.1"])
def test_the_toolkit_of_a_runfile_is_unpacked_and_nothing_is_run(
    version: str, tmp_path: Path
) -> None:
    """Whatever form it has inside; neither the driver nor an installer comes along."""
    run = make_runfile(tmp_path / "cuda.run", version, tiny_trees(tmp_path / "trees"))
    unpack(run, tmp_path / "out", name="cuda.run", kind="runfile", skip=["LICENSE"])
    found = tree(tmp_path / "out")
    assert found["bin/nvcc"].startswith("755 #!/bin/sh")
    assert (tmp_path / "out" / "include" / "cuda_runtime.h").exists()
    lib = "lib" if version.startswith("11") else "lib64"
    assert (tmp_path / "out" / lib / "stubs" / "libcuda.so").exists()
    assert not [name for name in found if "NVIDIA" in name or "install" in name]
    assert "LICENSE" not in found
    assert not list(tmp_path.rglob("driver-was-run"))
    assert not list((tmp_path / "out").glob(".inner-*"))


def damaged_cases(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Return archives that are not whole, with their kinds."""
    many = [plain(f"top/{number}", os.urandom(3000)) for number in range(20)]
    wheel = make_wheel(tmp_path, "w", "1", {"a": os.urandom(20_000)})
    trees = tiny_trees(tmp_path / "trees")
    found = {
        "tar.xz cut": (cut(make_tar(tmp_path / "1", many, "xz"), 0.5), "redist"),
        "tar.gz cut": (cut(make_tar(tmp_path / "2", many, "gz"), 0.5), "redist"),
        "tar.xz changed": (
            corrupt(make_tar(tmp_path / "3", many, "xz"), lambda n: n // 2),
            "redist",
        ),
        "tar.gz without its end": (
            cut(make_tar(tmp_path / "4", many, "gz"), 0.9999),
            "redist",
        ),
        "no tar": (write_tree(tmp_path, {"5": b"<html>"}) / "5", "redist"),
        "empty": (write_tree(tmp_path, {"6": b""}) / "6", "redist"),
        "wheel cut": (cut(shutil.copy(wheel, tmp_path / "7"), 0.5), "wheels"),
        "wheel changed": (
            corrupt(shutil.copy(wheel, tmp_path / "8"), lambda _: 5000),
            "wheels",
        ),
        "no deb": (write_tree(tmp_path, {"9": b"<html>"}) / "9", "deb"),
        "runfile cut": (
            cut(make_runfile(tmp_path / "10", "10.2.89", trees), 0.9),
            "runfile",
        ),
        "runfile changed": (
            corrupt(make_runfile(tmp_path / "11", "10.2.89", trees), lambda n: n - 9),
            "runfile",
        ),
        "no runfile": (write_tree(tmp_path, {"12": b"#!/bin/sh\n"}) / "12", "runfile"),
        "a page": (write_tree(tmp_path, {"13": b"<html>"}) / "13", "runfile"),
    }
    if shutil.which("dpkg-deb"):
        deb = make_deb(tmp_path, "tiny", "1", {"usr": trees["cuda_nvcc"]})
        found["deb cut"] = cut(deb, 0.8), "deb"
    return found


def test_a_damaged_archive_is_one_error(tmp_path: Path) -> None:
    """Cut, changed, or a page of a proxy: always the same class, and what to do."""
    for case, (path, kind) in damaged_cases(tmp_path).items():
        with pytest.raises(ChecksumError, match="no whole archive") as caught:
            unpack(path, tmp_path / "out", name="the file", kind=kind)
        assert "--mirror" in caught.value.hint, case
        assert caught.value.seen, case


def test_a_runfile_with_another_md5_is_refused(tmp_path: Path) -> None:
    """The sum in its script is of the whole archive."""
    run = make_runfile(tmp_path / "r", "10.2.89", tiny_trees(tmp_path / "trees"))
    content = run.read_bytes()
    at = content.index(b'MD5="') + 5
    run.write_bytes(content[:at] + b"0123456789abcdef" * 2 + content[at + 32 :])
    with pytest.raises(ChecksumError, match="MD5"):
        unpack(run, tmp_path / "out", name="r", kind="runfile")


CHILD = """
import json, sys
from pathlib import Path
from colabmagic.cuda.unpacking.unpack import unpack
from colabmagic.errors import ColabMagicError
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]) / "out", name="a", kind="redist")
except ColabMagicError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def test_a_full_disk_while_unpacking_is_one_error(tmp_path: Path) -> None:
    """It says that what was downloaded is kept."""
    from tests.cuda.fetching.test_together import small_disk

    archive = make_tar(tmp_path / "a", [plain("top/big", bytes(3_000_000))])
    (tmp_path / "disk").mkdir()
    argv = [*small_disk(), str(tmp_path / "disk"), sys.executable, "-c", CHILD]
    done = subprocess.run(
        [*argv, str(archive), str(tmp_path / "disk")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kind, text = json.loads(done.stdout)
    assert kind == "DiskFullError"
    assert "what was downloaded is kept" in text


def test_no_setuid_bit_comes_through(tmp_path: Path) -> None:
    """Neither from tar nor from zip."""
    tar = make_tar(tmp_path / "t", [plain("top/su", mode=0o6755)])
    wheel = make_zip(tmp_path / "w", [("su2", b"x", stat.S_IFREG | 0o6755)])
    unpack(tar, tmp_path / "out", name="t", kind="redist")
    unpack(wheel, tmp_path / "out", name="w", kind="wheels")
    assert tree(tmp_path / "out") == {"su": "755 x", "su2": "755 x"}
