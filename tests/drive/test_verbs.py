"""The verbs before they reach Drive: what is refused, and what a sync goes by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors, session, verbs
from colabmagic.drive.plan import Access, Plan
from colabmagic.drive.report import MountReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that is mounted in this process, and can be written."""
    root = tmp_path / "drive"
    (root / "MyDrive").mkdir(parents=True)
    session.STATE.mounted = session.Mounted(
        plan=Plan(path=root), mode="colab", path=root, since_s=time.time() - 60,
        report=MountReport(mode="colab", path=root),
    )  # fmt: skip
    yield root
    session.STATE.mounted = session.STATE.client = session.STATE.client_key = None


def test_a_folder_is_not_saved_nor_a_file_packed(tmp_path: Path) -> None:
    """Each names the line that does it."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.DrivePathError) as caught:
        verbs.save(str(tmp_path), "MyDrive/x/")
    assert (
        f'--pack "{tmp_path}" "MyDrive/x/{tmp_path.name}.tar.gz"' in caught.value.hint
    )
    with pytest.raises(errors.DrivePathError) as caught:
        verbs.pack(str(tmp_path / "file"), "MyDrive/x/a.tar")
    assert f'--save "{tmp_path / "file"}" "MyDrive/x/"' in caught.value.hint
    for refused in (verbs.save, verbs.pack):
        with pytest.raises(errors.DrivePathError, match="there is no"):
            refused(str(tmp_path / "none"), "MyDrive/x/a.tar")


def test_a_sync_without_a_folder_that_could_be_written_to(mounted: Path) -> None:
    """Nothing was written into it, and what to type instead is said."""
    assert session.STATE.mounted is not None
    session.STATE.mounted.report = MountReport(mode="fuse", path=mounted, readonly=True)
    with pytest.raises(errors.MountUnsupportedError, match="read-only"):
        verbs.sync()
    session.STATE.mounted.path = None
    with pytest.raises(errors.MountUnsupportedError, match="no folder") as caught:
        verbs.sync()
    assert caught.value.seen == "reached by the API"
    session.STATE.mounted = None
    with pytest.raises(errors.MountUnsupportedError) as caught:
        verbs.sync()
    assert caught.value.seen == "not mounted"


def test_a_sync_with_a_login_that_cannot_be_used(mounted: Path) -> None:
    """Named by the user it is an error; found by ourselves, nothing is claimed."""
    (mounted / "MyDrive/a").write_text("x")
    missing = str(mounted.parent / "none.json")
    with pytest.raises(errors.NoCredentialsError):
        verbs.sync(Access(credentials=missing))
    assert session.STATE.mounted is not None
    session.STATE.mounted.plan = Plan(access=Access(credentials=missing))
    report = verbs.sync()
    assert not report.ok
    assert [each.state for each in report.files] == ["unproven"]
    assert "none.json" in " ".join(report.notes)
