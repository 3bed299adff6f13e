"""Trees are moved into one; what comes later replaces what was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.cuda.rooting.merge import (
    folders_named,
    keep_licenses,
    move_files,
    move_root,
    move_tree,
    remove_tree,
)
from tests.cuda.rooting.trees import fill

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_is_merged(tmp_path: Path) -> None:
    """Files of both stay, and of one name the later."""
    target = fill(tmp_path / "target", {"a/x": "old", "a/y": "kept", "link": "->a"})
    move_tree(
        fill(tmp_path / "source", {"a/x": "new", "b/z": "z", "link/w": "w"}), target
    )
    assert (target / "a" / "x").read_text("utf-8") == "new"
    assert (target / "a" / "y").read_text("utf-8") == "kept"
    assert (target / "b" / "z").is_file()
    assert not (target / "link").is_symlink()  # nothing is written through a link
    assert (target / "link" / "w").is_file()


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    """The folder stays."""
    target = fill(tmp_path / "target", {"a/x": "old"})
    move_tree(fill(tmp_path / "source", {"a": "file"}), target)
    assert (target / "a" / "x").is_file()


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A folder that is a link is not taken for a part of the toolkit."""
    outside = fill(tmp_path / "outside", {"nvcc": "x"})
    source = fill(tmp_path / "source", {"bin": f"->{outside}", "include/a.h": "a"})
    move_root(source, tmp_path / "root")
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["include"]
    assert (outside / "nvcc").is_file()


def test_named_files_only(tmp_path: Path) -> None:
    """What is not named stays, and so do links."""
    source = fill(
        tmp_path / "source", {"nvcc": "n", "crt/a": "a", "g++": "->/usr/bin/g++"}
    )
    move_files(source, tmp_path / "bin", ("nvcc", "crt", "g++", "missing"))
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["crt", "nvcc"]


def test_licences(tmp_path: Path) -> None:
    """Each part's is kept under the part's name."""
    parts = fill(tmp_path / "parts", {
        "wheels/a-1.dist-info/licenses/License.txt": "a",
        "deb/usr/share/doc/b/copyright": "b",
        "redist/LICENSE": "c",
    })  # fmt: skip
    root = tmp_path / "root"
    root.mkdir()
    keep_licenses(parts, root)
    found = {
        path.name: path.read_text("utf-8") for path in (root / "licenses").iterdir()
    }
    assert found == {"a-1.txt": "a", "b.txt": "b", "redist.txt": "c"}


def test_folders_named(tmp_path: Path) -> None:
    """They are found where parts have them, and not at the bottom of a deep tree."""
    fill(tmp_path, {"a/nvidia/x": "", "nvidia/y": "", "1/2/3/4/5/6/7/8/nvidia/z": ""})
    assert folders_named(tmp_path, "nvidia") == [
        tmp_path / "a" / "nvidia",
        tmp_path / "nvidia",
    ]


def test_a_tree_is_removed(tmp_path: Path) -> None:
    """A link is not followed, and what is not there is no error."""
    fill(tmp_path, {"real/x": "x", "link": "->real"})
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "nothing")
    assert (tmp_path / "real" / "x").is_file()
    remove_tree(tmp_path / "real")
    assert not (tmp_path / "real").exists()
