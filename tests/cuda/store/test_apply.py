"""A change is there as a whole or not at all, whatever happens in its middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.cuda.errors import (
    BusyError,
    CudaError,
    NeedsRootError,
    NotInstalledError,
)
from colabmagic.cuda.packages.record import PROCESS
from colabmagic.cuda.steps.activate import Deactivate
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.remove import Remove
from colabmagic.cuda.store.apply import bring_back, change_of, set_aside
from colabmagic.cuda.store.inventory import find, installed
from colabmagic.cuda.store.journal import Journal
from colabmagic.cuda.store.lock import locked
from colabmagic.cuda.switching import environment
from tests.cuda.store.scenario import NAME, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
EVERY = 61  # line; all of them take minutes
FEWEST_KILLS = 25


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Give a folder of ours, and the environment back afterwards."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)  # it changes meanwhile
    before = dict(os.environ)
    scene = Scene(tmp_path)
    scene.link.symlink_to("/usr/local/cuda-12.8")
    yield scene
    from colabmagic.cuda.switching.environment import deactivate

    deactivate()
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    assert dict(os.environ) == before


def test_all_steps_are_done(scene: Scene) -> None:
    """The toolkit has its name, the link points to it, this kernel uses it."""
    work = scene.install("new")
    target = scene.home.toolkits / NAME
    assert scene.state() == {
        "toolkit": dict.fromkeys(("fatbinary", "nvcc", "ptxas"), "new"),
        "card": "13.0.88",
        "link": str(target),
        "packages": ["package-new"],
        "left": [],
    }
    assert os.environ["CUDA_HOME"] == str(target)
    assert os.environ["PATH"].split(os.pathsep)[0] == str(target / "bin")
    assert os.environ["CUDAHOSTCXX"] == f"{target}/g++"  # not the staging folder's
    assert work.root == target


@pytest.mark.parametrize("has_older", [False, True])
def test_a_failure_takes_everything_back(scene: Scene, *, has_older: bool) -> None:
    """The folder, the link, the packages, the environment are as before."""
    if has_older:
        scene.install("old")
    scene.home.toolkits.mkdir(parents=True, exist_ok=True)
    before, environment = scene.state(), dict(os.environ)
    with pytest.raises(CudaError, match="it broke"):
        scene.install("new", fails=True)
    assert scene.state() == before
    assert dict(os.environ) == environment


def test_a_failure_of_the_last_step_takes_the_name_away(scene: Scene) -> None:
    """Also what was published already, and the older toolkit has its name again."""
    scene.install("old")
    before = scene.state()
    steps = (
        *scene.steps("new"),
        Command(argv=("false",), what="fail"),
    )
    with pytest.raises(CudaError, match="fail did not work"):
        scene.store.carry_out("install", steps)
    assert scene.state() == before


def test_ctrl_c_takes_everything_back(scene: Scene) -> None:
    """An interrupt in a step is no half a toolkit."""
    scene.home.toolkits.mkdir(parents=True)
    before = scene.state()
    interrupt = Command(argv=("kill", "-INT", str(os.getpid())), what="press Ctrl-C")
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            scene.store.carry_out("install", (*scene.steps("new"), interrupt))
    finally:
        signal.signal(signal.SIGINT, outer)
    assert scene.state() == before


def test_a_kill_at_any_line_leaves_the_state_of_before(tmp_path: Path) -> None:
    """Whoever comes next takes it back, and a second run completes."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.cuda.store.scenario", str(tmp_path), str(EVERY)],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=ROOT,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    told = json.loads(child.stdout)
    assert told["problems"] == {}
    assert told["kills"] >= FEWEST_KILLS


def test_a_line_that_was_cut_off_does_not_spoil_the_journal(scene: Scene) -> None:
    """A kill in the middle of a write leaves half a line."""
    scene.install("new")
    with scene.home.journal.open("a") as file:
        file.write('{"id": "0123", "event": "beg')
    scene.install("newer")
    changes = Journal(scene.home.journal).changes()
    assert [change.state for change in changes] == ["committed", "committed"]


def test_one_kernel_at_a_time(scene: Scene) -> None:
    """The second is told who is at work."""
    with (
        locked(scene.home),
        pytest.raises(BusyError) as caught,
    ):
        scene.install("new")
    assert str(os.getpid()) in (caught.value.seen or "")
    scene.install("new")


def test_rollback_takes_the_last_change_back(scene: Scene) -> None:
    """The toolkit is gone, the link points where it pointed."""
    scene.install("new")
    change = scene.store.take_back_last()
    assert change is not None
    assert change.what == "install"
    state = scene.state()
    assert state["toolkit"] == {}
    assert state["link"] == "/usr/local/cuda-12.8"
    assert state["left"] == []
    assert "CUDA_HOME" not in os.environ or NAME not in os.environ["CUDA_HOME"]
    assert scene.store.take_back_last() is None


def test_uninstalling_is_final(scene: Scene) -> None:
    """What was removed cannot be taken back, and that is said."""
    scene.install("new")
    assert find(scene.home, "13") is not None
    scene.store.carry_out(
        "uninstall CUDA 13.0.3",
        (Remove(name=NAME),),
        details=lambda _: {"name": NAME, "reversible": False},
    )
    assert installed(scene.home) == []
    assert scene.state()["left"] == []
    with pytest.raises(NotInstalledError, match="cannot be taken back"):
        scene.store.take_back_last()


def test_a_toolkit_that_is_set_aside_is_brought_back_once(tmp_path: Path) -> None:
    """By the change that has done it alone; and never over another one."""
    mine, others = tmp_path / ".staging-1a", tmp_path / ".staging-2b"
    target = tmp_path / "13.0.3"
    target.mkdir()
    (target / "nvcc").write_text("old")
    set_aside(mine, target)
    assert [path.name for path in tmp_path.iterdir()] == [".removed-13.0.3-1a"]
    bring_back(others, target)
    assert not target.exists()
    target.mkdir()  # a new one has its name meanwhile
    bring_back(mine, target)
    assert not (target / "nvcc").exists()
    target.rmdir()
    for _ in range(2):
        bring_back(mine, target)
        assert (target / "nvcc").read_text() == "old"
    assert (change_of(mine), change_of(others)) == ("1a", "2b")


def test_a_folder_that_cannot_be_written(scene: Scene) -> None:
    """A file in the place of our folder: one clear error."""
    scene.home.root.write_text("in the way")
    with pytest.raises(CudaError, match="cannot be written") as caught:
        scene.install("new")
    assert "COLABMAGIC_HOME" in caught.value.hint


def recorded(scene: Scene, *records: dict[str, Any]) -> Path:
    """Write a journal as somebody else may have; return a folder outside of ours."""
    outside = scene.folder / "outside"
    outside.mkdir()
    scene.home.toolkits.mkdir(parents=True)
    lines = "".join(f"{json.dumps(record)}\n" for record in records)
    scene.home.journal.write_text(lines)
    scene.home.journal.chmod(0o600)
    return outside


BEGIN = {"id": "a1", "event": "begin", "what": "x", "staging": ".staging-a1", "time": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"staging": "../../outside"},
        {"staging": "/nonexistent"},
        {"staging": 5},
        {"id": 5},
        {"id": "../outside", "staging": ".staging-../outside"},
        {"time": "yesterday"},
        {"time": 1e300},
    ],
)
def test_a_journal_that_makes_no_sense_says_nothing(
    scene: Scene, change: dict[str, Any]
) -> None:
    """Least of all that a folder of others is removed."""
    outside = recorded(scene, {**BEGIN, **change})
    assert scene.store.recover() == []
    assert outside.is_dir()
    assert scene.store.take_back_last() is None


@pytest.mark.parametrize("undo", [3, "abc", ["x"], [3], None])
def test_an_inverse_that_is_none(scene: Scene, undo: Any) -> None:  # noqa: ANN401
    """It says nothing either."""
    step = {"id": "a1", "event": "step", "kind": "x", "undo": undo}
    recorded(scene, BEGIN, step)
    assert [change.id for change in scene.store.recover()] == ["a1"]


def test_a_journal_of_others_is_not_obeyed(scene: Scene) -> None:
    """Who can write it could otherwise have root run what he likes."""
    mark = scene.folder / "mark"
    touch = {"kind": "command", "argv": ["touch", str(mark)], "what": "x"}
    step = {"id": "a1", "event": "step", "kind": "command", "undo": [touch]}
    recorded(scene, BEGIN, step, {"id": "a1", "event": "commit", "details": {}})
    scene.home.journal.chmod(0o666)
    with pytest.raises(CudaError, match="others can write to the journal"):
        scene.store.take_back_last()
    assert not mark.exists()
    scene.home.journal.chmod(0o600)
    scene.store.take_back_last()
    assert mark.exists()


@pytest.mark.parametrize("name", ["lock", "journal.jsonl"])
def test_a_link_in_our_folder_is_not_followed(scene: Scene, name: str) -> None:
    """Somebody who may write there could have a file of ours emptied."""
    victim = scene.home.root.parent / "victim"
    victim.write_text("dear")
    scene.home.toolkits.mkdir(parents=True)
    (scene.home.toolkits / name).symlink_to(victim)
    with pytest.raises(NeedsRootError, match="cannot be written"):
        scene.store.carry_out("nothing", ())
    assert victim.read_text() == "dear"


def test_nobody_else_may_write_to_our_folder(scene: Scene) -> None:
    """Whatever the umask says: programs lie there."""
    before = os.umask(0)
    try:
        scene.install("new")
    finally:
        os.umask(before)
    for folder in (scene.home.root, scene.home.toolkits):
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        {"installed": "yesterday"},
        {"installed": float("nan")},
        {"size_bytes": "big"},
        {"size_bytes": None},
        {"build": ["13"]},
        {"method": None},
        {"environment": None},
        {"environment": [1]},
        {"environment": {"A": 1}},
        {"environment": {"A=B": "x"}},
        {"environment": {"": "x"}},
        {"environment": {"A": "x\0y"}},
    ],
)
def test_a_card_that_makes_no_sense_is_none(
    scene: Scene, change: dict[str, Any]
) -> None:
    """It would fail later, in whatever reads it."""
    scene.install("new")
    card = scene.home.toolkits / NAME / "toolkit.json"
    assert find(scene.home, NAME) is not None
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))
    assert find(scene.home, NAME) is None
    card.write_text("[" * 100_000)
    assert installed(scene.home) == []


def test_another_process_of_the_same_number_is_not_switched(scene: Scene) -> None:
    """A container that is started anew counts from one again."""
    scene.install("old")
    environment.deactivate()
    back_to = str(scene.home.toolkits / "13.0.3")
    stale = Deactivate(pid=os.getpid(), back_to=back_to, process="gone")
    work = scene.store.make_work(scene.home.toolkits)
    stale.do(work)
    assert environment.active_root() is None
    replace(stale, process=PROCESS).do(work)
    assert environment.active_root() is not None
