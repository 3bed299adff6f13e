"""The link of the system: swapped, restored, never taken for a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.steps.registry import step_from_dict
from colabmagic.cuda.steps.system_link import SystemLink
from tests.cuda.store.scenario import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Give what steps share."""
    return Scene(tmp_path).store.make_work(tmp_path / "staging")


@pytest.mark.parametrize("before", [None, "cuda-12.8", "/etc/alternatives/cuda"])
def test_it_is_swapped_and_restored(
    work: Work, tmp_path: Path, before: str | None
) -> None:
    """The text of the old link comes back letter by letter."""
    link = tmp_path / "cuda"
    if before is not None:
        link.symlink_to(before)
    step = SystemLink(link=str(link), root="/opt/new")
    (inverse,) = step.undo()
    step.do(work)
    assert str(link.readlink()) == "/opt/new"
    for _ in range(2):  # a second time changes nothing
        step_from_dict(inverse.to_dict()).do(work)
        assert (str(link.readlink()) if link.is_symlink() else None) == before
    assert list(tmp_path.iterdir()) == ([link] if before else [])


def test_a_real_folder_is_left_alone(work: Work, tmp_path: Path) -> None:
    """Some images have one in that place."""
    folder = tmp_path / "cuda"
    folder.mkdir()
    step = SystemLink(link=str(folder), root="/opt/new")
    inverse = step.undo()
    with pytest.raises(CudaError, match="real folder"):
        step.do(work)
    for each in inverse:
        each.do(work)
    assert folder.is_dir()
    assert not folder.is_symlink()


@pytest.mark.parametrize("root", ["/opt/new", None])
def test_a_link_that_the_user_has_turned_since_is_left(
    work: Work, tmp_path: Path, root: str | None
) -> None:
    """It is no longer what we have made."""
    link = tmp_path / "cuda"
    link.symlink_to("cuda-12.8")
    work.root = work.home.toolkits / "13.0.3"
    step = SystemLink(link=str(link), root=root)
    (inverse,) = step.undo()
    step.do(work)
    link.unlink()
    link.symlink_to("/the/user's")
    step_from_dict(inverse.to_dict()).do(work)
    assert str(link.readlink()) == "/the/user's"
