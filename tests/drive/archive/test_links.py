"""Links of archives: on request, and only those that stay inside."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from tests.drive.archive.test_archives import content, link, tar, tar_of, zipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.archive.members import Target


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
    ],
)
def test_links_and_devices(
    into: Callable[..., Target], tmp_path: Path, kind: bytes
) -> None:
    """Refused, as they could lead out."""
    with pytest.raises(errors.UnsafeMemberError, match=r"link|device"):
        into(tar(members={"evil": b""}, type=kind, linkname="/etc"))
    with pytest.raises(errors.UnsafeMemberError, match="link"):
        into(zipped({"evil": b"/etc"}, mode=stat.S_IFLNK | 0o777), "x.zip")
    assert content(tmp_path / "target") == {}


def test_a_link_that_is_there_is_not_followed(
    into: Callable[..., Target], tmp_path: Path
) -> None:
    """Whoever puts one into the fresh folder meanwhile gains nothing."""
    (tmp_path / "target" / "deep").symlink_to(tmp_path)
    with pytest.raises(errors.UnsafeMemberError, match="both a file and a folder"):
        into(tar())


def test_links_that_stay_inside(into: Callable[..., Target], tmp_path: Path) -> None:
    """Made on request, by their own texts: also of folders, and of other links."""
    data = tar_of(
        link("deep/up", "../a.txt"), link("first", "second"), link("second", "./deep"),
        ("a.txt", b"one"), ("deep/b", b"two"), link("hard", "a.txt", tarfile.LNKTYPE),
        link("through", "first/../deep/up"), link("top", "."),
    )  # fmt: skip
    target = into(data, links="inside")
    folder = tmp_path / "target"
    assert (folder / "deep" / "up").readlink().as_posix() == "../a.txt"
    assert (folder / "first" / "b").read_bytes() == b"two"
    assert (folder / "through").read_bytes() == b"one"
    assert (folder / "hard").stat().st_ino == (folder / "a.txt").stat().st_ino
    assert target.notes == {}
    assert target.files == 8


OUTSIDE = {
    "absolute": [link("l", "/etc/passwd")],
    "up": [link("l", "../beside")],
    "up from a folder": [("d/f", b""), link("d/l", "../../beside")],
    "up by another": [link("a", "b/.."), link("b", "d/.."), ("d/f", b""), link("c", "a/..")],
    "in a circle": [link("a", "b"), link("b", "a")],
    "itself": [link("a", "a/x")],
    "empty": [link("a", "")],
    "hard, up": [link("l", "../beside", tarfile.LNKTYPE)],
    "hard, absolute": [link("l", "/etc/passwd", tarfile.LNKTYPE)],
    "hard, not there": [link("l", "nothing", tarfile.LNKTYPE)],
    "hard, a folder": [("d/f", b""), link("l", "d", tarfile.LNKTYPE)],
    "hard, of a link": [("f", b""), link("s", "f"), link("l", "s", tarfile.LNKTYPE)],
    "hard, through a link": [link("s", "/etc"), link("l", "s/passwd", tarfile.LNKTYPE)],
    "a file through it": [link("s", ".."), ("s/beside", b"evil")],
    "a folder in its place": [("s/f", b""), link("s", ".")],
}  # fmt: skip


@pytest.mark.parametrize("members", OUTSIDE.values(), ids=OUTSIDE)
def test_links_that_lead_out(
    into: Callable[..., Target], tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    """Refused, and not one link is made."""
    with pytest.raises(errors.UnsafeMemberError):
        into(tar_of(*members), links="inside")
    assert not [each for each in (tmp_path / "target").rglob("*") if each.is_symlink()]


def test_a_folder_in_the_place_of_a_link(into: Callable[..., Target]) -> None:
    """Whichever of both comes first."""
    inner = [("a/x", b""), link("s", "a"), ("s/f", b"1")]
    for members in (inner, [inner[0], inner[2], inner[1]]):
        with pytest.raises(errors.UnsafeMemberError, match="both a"):
            into(tar_of(*members), links="inside")


@pytest.mark.parametrize("first", ["link", "file"])
def test_a_file_in_the_place_of_a_link(
    into: Callable[..., Target], tmp_path: Path, first: str
) -> None:
    """The last one of a name counts."""
    both = [link("s", "a"), ("s", b"mine")]
    into(
        tar_of(("a", b"1"), *(both if first == "link" else both[::-1])), links="inside"
    )
    assert (tmp_path / "target" / "s").is_symlink() is (first == "file")
    assert content(tmp_path / "target")["s"] == (b"1" if first == "file" else b"mine")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files")
@pytest.mark.parametrize("to", ["d/f", "../beside", "gone/x"])
def test_nothing_stays_open(into: Callable[..., Target], to: str) -> None:
    """However it ends: a long run would have no files left to open."""
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone)
    members = [("d/f", b"1"), ("e/f", b"2"), link("d/l", "f"), link("e/l", to)]
    members.append(link("h", "d/f", tarfile.LNKTYPE))
    with contextlib.suppress(errors.UnsafeMemberError):
        into(tar_of(*members), links="inside")
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_links_that_lead_to_nothing(into: Callable[..., Target]) -> None:
    """Left out, and told."""
    target = into(
        tar_of(("a", b"1"), link("l", "gone"), link("m", "l")), links="inside"
    )
    assert [note for note in target.notes if "leads to nothing" in note]
    assert target.files == 1


def test_which_links_lead_to_nothing(into: Callable[..., Target]) -> None:
    """The first of them are named, in the order of the archive; of more, the number."""
    names = [f"l{number}" for number in (5, 3, 9, 1, 7)]
    target = into(tar_of(*(link(name, "gone") for name in names)), links="inside")
    assert list(target.notes) == [
        "the link 'l5' leads to nothing, and was left out",
        "the link 'l3' leads to nothing, and was left out",
        "the link 'l9' leads to nothing, and was left out",
        "2 more links lead to nothing",
    ]


def test_the_option_is_named(into: Callable[..., Target]) -> None:
    """Who wants links is told how."""
    with pytest.raises(errors.UnsafeMemberError) as caught:
        into(tar_of(link("l", "a")))
    assert "--links" in caught.value.hint


@pytest.mark.parametrize("to", ["ok", "../beside"])
def test_links_in_a_zip(into: Callable[..., Target], tmp_path: Path, to: str) -> None:
    """By the same policy."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("ok", "1")
        info = zipfile.ZipInfo("l")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, to)
    if to == "ok":
        into(out.getvalue(), "x.zip", links="inside")
        assert (tmp_path / "target" / "l").read_text() == "1"
    else:
        with pytest.raises(errors.UnsafeMemberError, match="inside"):
            into(out.getvalue(), "x.zip", links="inside")
