"""What a toolkit consisted of is remembered, and each change is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.rooting.manifest import (
    NAME,
    differences,
    read_manifest,
    write_manifest,
)
from tests.cuda.rooting.trees import fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with files and a link, listed."""
    fill(tmp_path, {"bin/nvcc": "12345", "lib64/a.so": "a", "lib": "->lib64"})
    fill(tmp_path, {"toolkit.json": "{}"})
    write_manifest(tmp_path)
    return tmp_path


def changed(root: Path, *, hashes: bool = True) -> list[str]:
    """Return what is not as it was, in words."""
    manifest = read_manifest(root)
    assert manifest is not None
    return [str(each) for each in differences(root, manifest, hashes=hashes)]


def test_it_comes_back(root: Path) -> None:
    """The list holds files and links, and not itself nor the card that others write."""
    manifest = read_manifest(root)
    assert manifest is not None
    assert set(manifest.files) == {"bin/nvcc", "lib64/a.so"}
    assert manifest.links == {"lib": "lib64"}
    assert manifest.size_bytes == 6
    assert changed(root) == []
    fill(root, {"toolkit.json": "{1}", "more": "x"})
    assert changed(root) == []


def test_each_change_is_named(root: Path) -> None:
    """Gone, another size, another content, another link."""
    (root / "lib").unlink()
    (root / "lib").symlink_to("elsewhere")
    (root / "lib64" / "a.so").write_text("b", "utf-8")
    assert changed(root, hashes=False) == ["lib leads to elsewhere now"]
    assert changed(root) == ["lib leads to elsewhere now", "lib64/a.so has changed"]
    (root / "bin" / "nvcc").write_text("123", "utf-8")
    (root / "lib64" / "a.so").unlink()
    (root / "lib").unlink()
    assert changed(root) == [
        "bin/nvcc has 3 bytes, was 5",
        "lib is gone",
        "lib64/a.so is gone",
    ]
    (root / "lib").mkdir()
    assert "lib is no link now" in changed(root)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"files": {"a": 1}, "links": {}}', '{"files": 1}', "[" * 100_000],
)
def test_a_list_that_cannot_be_read(root: Path, text: str) -> None:
    """It counts as none."""
    (root / NAME).write_text(text, "utf-8")
    assert read_manifest(root) is None
