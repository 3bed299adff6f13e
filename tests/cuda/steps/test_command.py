"""Programs of the system: run as shown, and their failures told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.errors import AptBusyError, CudaError, NeedsRootError
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.registry import step_from_dict
from tests.cuda.store.scenario import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Give what steps share."""
    return Scene(tmp_path).store.make_work(tmp_path / "staging")


def test_what_is_shown_is_what_runs(work: Work, tmp_path: Path) -> None:
    """The line, given to a shell, does the same."""
    target = tmp_path / "it's; here"
    step = Command(argv=("touch", str(target)), what="touch", env=(("LANG", "C"),))
    step.do(work)
    assert target.exists()
    target.unlink()
    assert os.system(step.lines()[0]) == 0  # noqa: S605 (our own line)
    assert target.exists()


def test_the_inverse_survives_the_journal() -> None:
    """As plain data and back."""
    step = Command(
        argv=("apt-get", "install", "x"), what="x", undo_argv=("apt-get", "remove", "x")
    )
    (inverse,) = step.undo()
    assert step_from_dict(inverse.to_dict()) == inverse
    assert inverse.lines() == ("apt-get remove x",)
    assert Command(argv=("true",), what="x").undo() == ()


@pytest.mark.parametrize(
    ("says", "kind", "hint"),
    [
        (
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7",
            AptBusyError,
            "wait",
        ),
        (
            "E: Unable to correct problems, you have held broken packages.",
            AptBusyError,
            "showhold",
        ),
        ("E: Unable to locate package cuda-nvcc-11-1", CudaError, "--system"),
    ],
)
def test_what_apt_says_is_told(
    work: Work, says: str, kind: type[CudaError], hint: str
) -> None:
    """A lock, a held package, one that does not exist."""
    script = 'echo "Reading package lists..."; echo "$0" >&2; exit 100'
    step = Command(argv=("sh", "-c", script, says), what="install cuda-nvcc-11-1")
    with pytest.raises(kind) as caught:
        step.do(work)
    assert caught.value.seen == says
    assert hint in caught.value.hint


def test_a_program_that_is_not_there(work: Work) -> None:
    """The system's word is shown."""
    with pytest.raises(CudaError, match="look did not work") as caught:
        Command(argv=("no-such-program-here",), what="look").do(work)
    assert "no-such-program-here" in (caught.value.seen or "")


def test_a_program_that_hangs_is_ended(work: Work) -> None:
    """After its time."""
    step = Command(argv=("sleep", "60"), what="sleep", timeout_s=0.2)
    with pytest.raises(CudaError) as caught:
        step.do(work)
    assert caught.value.seen == "no end after 0 s"


def test_a_program_that_prints_without_end_is_ended(work: Work) -> None:
    """Its last lines, cut off in the middle, tell nothing."""
    with pytest.raises(CudaError) as caught:
        Command(argv=("yes", "E: no"), what="yes").do(work)
    assert caught.value.seen == "it printed without end and was stopped"


def test_root_is_asked_for_first(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the program is not started."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NeedsRootError, match="needs root"):
        Command(argv=("false",), what="install x", needs_root=True).do(work)
