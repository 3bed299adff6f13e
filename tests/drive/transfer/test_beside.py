"""Hidden names beside a target, and where it may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from colabmagic.drive import errors
from colabmagic.drive.transfer.beside import PART, fresh_file, hidden, place_of


def test_a_hidden_name() -> None:
    """Beside the target, told apart by its ending."""
    path = Path("/a/b/c.tar")
    assert hidden(path, PART) == Path("/a/b/.c.tar.colabmagic-part")
    assert hidden(path, ".x") != hidden(path, ".y")


@pytest.mark.parametrize("letter", ["n", "\u00e4", "\u5b57", "\U0001f600"])
def test_a_long_name_is_cut_as_bytes_are_counted(letter: str) -> None:
    """Room for a further ending is left; names that differ at their ends stay apart."""
    count = 255 // len(letter.encode())
    one, other = (
        Path("/a") / (letter * count),
        Path("/a") / (letter * (count - 1) + "x"),
    )
    names = [hidden(path, PART).name for path in (one, other)]
    assert names[0] != names[1]
    for name in names:
        assert len(os.fsencode(name + ".json.new")) <= 255
        assert name.endswith(PART)
        assert "\ufffd" not in name
    assert hidden(one, PART) == hidden(one, PART)


def test_where_a_file_will_be(tmp_path: Path) -> None:
    """Where nothing is, where a file is with its mode, and behind a link to either."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("x")
    old.chmod(0o640)
    assert place_of(new) == (new, None)
    assert place_of(old) == (old, 0o640)
    for name, there, mode in (("a", old, 0o640), ("b", new, None)):
        (tmp_path / name).symlink_to(there)
        assert place_of(tmp_path / name) == (there, mode)
    with pytest.raises(errors.TargetFullError, match="no file") as caught:
        place_of(tmp_path)
    assert caught.value.seen == "a folder"
    with pytest.raises(OSError, match="too long"):
        place_of(tmp_path / ("n" * 256))


def test_a_fresh_file_follows_no_link(tmp_path: Path) -> None:
    """What has the name goes; what a link led to stays."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "x").symlink_to("mine")
    with os.fdopen(fresh_file(tmp_path / "x"), "w") as file:
        file.write("new")
    assert (tmp_path / "x").read_text() == "new"
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "mine").read_text() == "mine"
