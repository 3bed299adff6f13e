"""Names, links and modes are as compilers and build tools look for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.rooting.tidy import (
    link_library_folder,
    link_nvvm,
    mend_entries,
    name_libraries,
)
from tests.cuda.rooting.trees import fill, links

if TYPE_CHECKING:
    from pathlib import Path


def test_names_without_versions(tmp_path: Path) -> None:
    """The shortest version is what the loader asks for; what has a name keeps it."""
    fill(tmp_path, {
        "libcudart.so.11.8.89": "", "libcudart.so.11.0": "->libcudart.so.11.8.89",
        "libcublas.so.11": "", "libcublas.so": "mine",
        "libnvrtc-builtins.so.13.0": "", "libcufft_static.a": "", "notes.so.txt": "",
    })  # fmt: skip
    assert name_libraries(tmp_path) == ["libcudart.so", "libnvrtc-builtins.so"]
    assert links(tmp_path)["libcudart.so"] == "libcudart.so.11.0"


def test_library_folder(tmp_path: Path) -> None:
    """It is made where it is missing, and made once."""
    link_library_folder(tmp_path)
    link_library_folder(tmp_path)
    assert links(tmp_path) == {"lib": "lib64"}


def test_nvvm_is_left_where_it_is(tmp_path: Path) -> None:
    """A toolkit that has its own library in ``nvvm`` gets no link."""
    fill(tmp_path, {"nvvm/lib64/libnvvm.so": "own", "lib64/libnvvm.so": "other"})
    link_nvvm(tmp_path)
    assert links(tmp_path) == {}


def test_links(tmp_path: Path) -> None:
    """Inside they become relative; those that lead out go, unless they may."""
    root, foreign = tmp_path / "root", fill(tmp_path / "foreign", {"x": ""})
    fill(root, {
        "include/a.h": "a",
        "bin/inside": f"->{root}/include/a.h",
        "bin/up": "->../include/a.h",
        "bin/out": "->../../secret",
        "bin/etc": "->/etc/passwd",
        "bin/foreign": f"->{foreign}/x",
        "host/bin/g++": "->/usr/bin/g++",
    })  # fmt: skip
    assert sorted(mend_entries(root, foreign)) == ["bin/etc", "bin/out"]
    assert links(root) == {
        "bin/inside": "../include/a.h",
        "bin/up": "../include/a.h",
        "bin/foreign": f"{foreign}/x",
        "host/bin/g++": "/usr/bin/g++",  # of another step
    }


def test_modes(tmp_path: Path) -> None:
    """Programs can be run, nothing can be written by others."""
    fill(
        tmp_path,
        {"bin/p": "\x7fELF", "bin/s": "#!/bin/sh", "bin/t": "text", "include/h": ""},
    )
    (tmp_path / "include" / "h").chmod(0o666)
    mend_entries(tmp_path)
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert modes == {"p": 0o755, "s": 0o755, "t": 0o644, "h": 0o644}
