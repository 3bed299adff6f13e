"""``%colab_setup`` in a terminal, and its parts one by one; kernels are tested elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError

from colabmagic.cuda.errors import BadVersionError
from colabmagic.cuda.switching import environment
from colabmagic.keepalive.errors import KeepaliveOptionError
from colabmagic.magics import MAGICS, _setup_folder, setup
from colabmagic.magics._completion import Completion
from colabmagic.magics._config import ColabMagic
from colabmagic.magics._lazy import LazyMagic
from colabmagic.magics._setup_parts import SetupParts
from colabmagic.magics.setup import SetupMagics
from colabmagic.report.progress import SILENT
from colabmagic.setup.errors import SetupRequiredError, SetupValueError
from tests.magics.test_gpu import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder; afterwards nothing is remembered of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "ours"))
    monkeypatch.setattr(_setup_folder, "_MEMORY", _setup_folder._Memory())
    yield tmp_path
    environment.deactivate()


@pytest.fixture
def parts() -> SetupParts:
    """Return the parts in a terminal."""
    return SetupParts(InteractiveShell(), SILENT)


def run(line: str) -> Any:  # noqa: ANN401 (a report)
    """Run the magic in a terminal of its own."""
    return SetupMagics(InteractiveShell()).colab_setup(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--drvie", "did you mean --drive"),
        ("--mount /x", "did you mean --drive"),
        ("--keep-alive 4h", "did you mean --keepalive"),
        ("--drive --no-drive", "--drive or --no-drive, not both"),
        ("--no-train --train cpu", "--train or --no-train, not both"),
        ("--require much", "not 'much'"),
        ("--require", "--require needs a value"),
        ("--cd", "--cd needs a value"),
        ('--cd " "', "--cd is empty"),
        ("t4", "'t4' is one word too many"),
        ("t4", "did you mean --require t4"),
        ("--gpu t4", "'t4' is one word too many; did you mean --require t4"),
        ("--gpu=A100 --drive", "did you mean --require A100"),
        ("--gpu all", "'all' is one word too many"),
        ("gpu drive", "did you mean --gpu --drive"),
        ("keepalive 4h", "did you mean --keepalive 4h"),
    ],
)
def test_a_wrong_line_does_nothing(line: str, words: str) -> None:
    """It is refused before any part runs."""
    with pytest.raises(UsageError) as caught:
        run(line)
    assert words in str(caught.value)


def test_values_may_be_left_out(place: Path) -> None:
    """An option that stands alone takes its default, also before another option."""
    (place / "a b").mkdir()
    report = run('--keepalive --cd "a b" -q')
    assert [each.name for each in report.parts] == ["cd", "keepalive"]
    assert report.ok
    assert Path.cwd() == place / "a b"
    assert "nothing to do" in report["keepalive"].what  # in a terminal


def test_a_terminal_shows_it_once(place: Path) -> None:
    """Alone on its line as ``Out``, else by the magic itself; quiet, not at all."""
    alone, bound, quiet, *_ = terminal(
        ["%colab_setup --gpu", "r = %colab_setup --gpu", "q = %colab_setup --gpu -q"],
        place,
    )
    assert [text.count("Setup: ") for text in (alone, bound, quiet)] == [1, 1, 0]


def test_tab() -> None:
    """Options, and the values that some take; each may stand alone too."""
    shell = InteractiveShell()
    magic = LazyMagic(shell, "colab_setup", MAGICS["colab_setup"])
    completion = Completion(shell, {"colab_setup": magic})
    word, found = completion.candidates("%colab_setup --keep")
    assert (word, found) == ("--keep", ["--keepalive"])
    _, found = completion.candidates("%colab_setup --train ")
    assert {"cuda", "cpu", "--drive"} <= set(found)
    _, found = completion.candidates("r = %colab_setup --cuda 12")
    assert "12.4" in found
    _, found = completion.candidates("%colab_setup --train cuda --d")
    assert found == ["--drive"]


def test_a_setting_is_checked_when_it_is_made() -> None:
    """One line: what is wrong; a secret is not repeated."""
    settings = ColabMagic()
    settings.setup = {"drive": True, "keepalive": "4h"}
    for wrong, words in (
        ({"drvie": True}, "did you mean drive"),
        ({"drive": 3}, "drive cannot be a number"),
        ({"token": "s3cret"}, "does not belong in a file"),
    ):
        with pytest.raises(TraitError) as caught:
            settings.setup = wrong
        assert words in str(caught.value)
        assert "s3cret" not in str(caught.value)
    assert settings.setup == {"drive": True, "keepalive": "4h"}


def test_cd_is_relative_to_the_notebook(parts: SetupParts, place: Path) -> None:
    """The second time it does not go deeper, and files are found where they were."""
    (place / "work/work").mkdir(parents=True)
    first, second = parts.cd("work"), parts.cd("work")
    assert (first.is_new, second.is_new) == (True, False)
    assert Path.cwd() == place / "work"
    assert _setup_folder.notebook_folder() == place
    (place / "other").mkdir()
    assert parts.cd("other").what == str(place / "other")


def test_cd_after_the_user_went_elsewhere(parts: SetupParts, place: Path) -> None:
    """His own %cd is where the next one begins."""
    (place / "a/b").mkdir(parents=True)
    parts.cd("a")
    os.chdir(place / "a/b")
    assert _setup_folder.notebook_folder() == place / "a/b"
    with pytest.raises(SetupValueError, match="there is no folder"):
        parts.cd("a")


def test_a_folder_of_drive_needs_drive(parts: SetupParts, place: Path) -> None:
    """Unless a folder of that name is here."""
    cd = parts.all()["cd"]
    assert cd.needs("MyDrive/x") == "drive"
    assert cd.needs("x") is None
    for folder in ("My Drive/x", "/content/drive/My Drive/x"):
        assert cd.needs(folder) == "drive"
        with pytest.raises(SetupValueError, match="Drive is not mounted") as caught:
            cd.act(folder)
        # A folder that is made there would be in the way of Drive.
        assert caught.value.hint == f'%colab_setup --drive --cd "{folder}"'
    (place / "MyDrive").mkdir()
    assert cd.needs("MyDrive/x") is None
    assert cd.act("MyDrive").what == str(place / "MyDrive")


def test_no_working_directory(parts: SetupParts, place: Path) -> None:
    """It may have been deleted under the notebook; all that needs none is done."""
    gone = place / "gone"
    gone.mkdir()
    parts.cd("gone")
    gone.rmdir()
    with pytest.raises(SetupValueError, match="the working directory is gone"):
        parts.cd("other")
    (place / "colabmagic.toml").write_text("gpu = true")
    os.chdir(place)
    magic = SetupMagics(InteractiveShell())  # which needs a folder to begin in
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    report = magic.colab_setup(f"--train cpu --cd {place} -q")
    assert [each.state for each in report.parts] == ["done", "already"]
    (problem,) = report.problems
    assert problem.startswith("the working directory is gone. No file there was read.")
    assert Path.cwd() == place
    assert run("-q").parts[0].source == "colabmagic.toml"  # it lies beside it again


def test_a_time_that_cannot_be(parts: SetupParts) -> None:
    """The option is called as the user has called it."""
    with pytest.raises(KeepaliveOptionError) as caught:
        parts.keepalive("100h")
    assert caught.value.what == "--keepalive cannot be 100h"


def test_a_setup_in_a_file_that_breaks_the_reader(place: Path) -> None:
    """It is one line, and the parts of the line are done."""
    (place / "colabmagic.toml").write_text("x = " + "[" * 100_000)
    report = run("--cd . -q")
    assert report.problems == (
        "colabmagic.toml is no TOML: its brackets are nested too deep",
    )
    assert report["cd"].ok


def test_what_is_required_is_told_in_full_where_nothing_was_shown() -> None:
    """With --quiet there is nothing above."""
    with pytest.raises(SetupRequiredError) as caught:
        run("--require 999 -q")
    assert caught.value.hint != "see above"
    assert len(caught.value._render_traceback_()) >= 3


def test_a_version_that_there_is_not(parts: SetupParts) -> None:
    """As %cuda_install says it."""
    with pytest.raises(BadVersionError):
        parts.cuda("3.9")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs a CUDA toolkit")
def test_a_toolkit_that_is_here(parts: SetupParts) -> None:
    """It is proven and used; the second time it is in use already, and not tried again."""
    from colabmagic.cuda import service

    found = [each for each in service.overview().others if each.has_compiler]
    if not found:
        pytest.skip("no toolkit of this machine can be reused")
    version = found[0].minor
    first, second = parts.cuda(version), parts.cuda(version)
    assert (first.is_new, second.is_new) == (True, False)
    assert second.what == f"CUDA {version}: {environment.active_root()}"


def test_ctrl_c_while_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is read all the same, and the cell says in one line what now."""
    shown: list[Any] = []

    def show(report: Any) -> None:  # noqa: ANN401 (a report)
        signal.raise_signal(signal.SIGINT)
        shown.append(report)

    monkeypatch.setattr(setup, "display", show)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match="run the cell again"):
            run("--cd .")
    finally:
        signal.signal(signal.SIGINT, before)
    assert [each["cd"].state for each in shown] == ["already"]
