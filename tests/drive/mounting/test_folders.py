"""Which way there is to a folder, and what both ways share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.mounting import colab, folders, fuse
from colabmagic.drive.plan import Plan
from tests.fakes.colab import Machine, Page, importable

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN: dict[str, str] = {}
needs_fuse = pytest.mark.skipif(
    fuse.can_mount() is not None, reason=f"no folder of Drive: {fuse.can_mount()}"
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Yield a machine of Colab that this process is on, with the web page."""
    machine = Machine(tmp_path / "vm")
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(folders, "SYSROOT", machine.root)
    with importable(Page()):
        yield machine


def test_the_mode_is_chosen_before_anything_is_done(tmp_path: Path) -> None:
    """What cannot work here is refused; where there is no folder, the reason is told."""
    assert folders.choose("api", tmp_path, PLAIN) == ("api", ())
    assert folders.choose("fuse", tmp_path, PLAIN) == ("fuse", ())
    with pytest.raises(errors.MountUnsupportedError, match="on Colab alone"):
        folders.choose("colab", tmp_path, PLAIN)
    blocked = tmp_path / "file"
    blocked.write_text("")
    mode, notes = folders.choose("auto", blocked / "drive", PLAIN)
    assert mode == "api"
    assert notes[0].startswith("no folder: ")


def test_where_the_folder_is_if_nobody_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colab's place there, one's home elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert folders.default_path(PLAIN) == tmp_path / "me" / "drive"
    monkeypatch.setattr(folders, "SYSROOT", tmp_path)
    (tmp_path / "var/colab").mkdir(parents=True)
    (tmp_path / "var/colab/hostname").write_text("x")
    env = {"COLAB_RELEASE_TAG": "release-colab"}
    assert str(folders.default_path(env)) == "/content/drive"


@needs_fuse
def test_a_path_that_will_not_do(tmp_path: Path) -> None:
    """Named by the user it is refused; as a default, or as Colab's, there is no folder."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(errors.MountpointError, match="cannot be a folder") as caught:
        folders.choose("auto", blocked / "drive", PLAIN, wanted=True)
    assert caught.value.hint == "%mount_drive ~/drive"
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "mine").write_text("")
    mode, notes = folders.choose("auto", tmp_path / "drive", PLAIN)
    assert mode == "api"
    assert "has files in it" in notes[0]
    given = folders.choose("auto", tmp_path / "drive", PLAIN, wanted=True)
    assert given == ("fuse", ())  # which says how they get out of the way


def test_colab_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own mount there; Colab Enterprise has none."""
    monkeypatch.setattr(folders, "SYSROOT", tmp_path)
    (tmp_path / "var/colab").mkdir(parents=True)
    (tmp_path / "var/colab/hostname").write_text("x")
    env = {"COLAB_RELEASE_TAG": "release-colab"}
    assert folders.choose("auto", tmp_path, env) == ("colab", ())
    enterprise = {**env, "VERTEX_PRODUCT": "COLAB_ENTERPRISE"}
    assert folders.choose("auto", tmp_path / "d", enterprise)[0] != "colab"


def test_what_an_old_mount_loses_is_told_though_the_new_one_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: the error that ends the line does not know of it."""
    monkeypatch.setitem(colab.mount.__kwdefaults__, "grace_s", 0.0)
    plan = Plan(path=machine.mountpoint, timeout_s=1)
    done = folders.mount_colab(plan)
    new = machine.mountpoint / "MyDrive/ckpt.pt"
    new.write_bytes(b"x")
    os.setxattr(new, "user.drive.id", b"local-1")
    machine.behave(mount="exits")
    told: list[str] = []
    forced = Plan(path=done.path, timeout_s=1, force=True)
    with pytest.raises(errors.MountFailedError):
        folders.mount_colab(forced, told.append)
    assert "the old mount ends with 1 file (ckpt.pt) not uploaded" in told


def test_a_folder_below_the_mount_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is named on any side; what leads out, or nowhere, is refused."""
    monkeypatch.chdir(tmp_path)
    inner = tmp_path / "MyDrive/proj"
    inner.mkdir(parents=True)
    for name in ("MyDrive/proj", "/MyDrive/proj", "My Drive/proj", f"{inner}"):
        if name == "/MyDrive/proj":  # absolute, and elsewhere
            with pytest.raises(errors.DrivePathError, match="leads out of"):
                folders.enter(tmp_path, name)
            continue
        assert folders.enter(tmp_path, name) == inner
        assert Path.cwd() == inner
    with pytest.raises(errors.DrivePathError, match="leads out of"):
        folders.enter(tmp_path, "MyDrive/../..")
    with pytest.raises(errors.DrivePathError, match="no folder"):
        folders.enter(tmp_path, "MyDrive/none")
    assert Path.cwd() == inner


def test_an_unmount_that_fails_leaves_one_where_one_was(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory was left for it, and is found again."""
    folders.mount_colab(Plan(path=machine.mountpoint, timeout_s=1))
    monkeypatch.chdir(machine.mountpoint / "MyDrive")
    machine.behave(flush="fails")
    with pytest.raises(errors.MountFailedError, match="not be unmounted"):
        folders.unmount(machine.mountpoint, "colab", 1)
    assert Path.cwd() == machine.mountpoint / "MyDrive"
    machine.behave(flush="works")
    (note,) = folders.unmount(machine.mountpoint, "colab", 1)
    assert str(machine.mountpoint.parent) in note
    assert Path.cwd() == machine.mountpoint.parent
