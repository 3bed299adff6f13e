"""``%colab_setup`` in a terminal, and its parts one by one; kernels are tested elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError

from colabmagic.cuda.errors import BadVersionError
from colabmagic.cuda.switching import environment
from colabmagic.magics import MAGICS, _setup_folder
from colabmagic.magics._completion import Completion
from colabmagic.magics._config import ColabMagic
from colabmagic.magics._lazy import LazyMagic
from colabmagic.magics._setup_parts import SetupParts
from colabmagic.magics.setup import SetupMagics
from colabmagic.report.progress import SILENT
from colabmagic.setup.errors import SetupValueError
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
        ("--gpu t4", "'t4' is one word too many"),
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
    import os

    os.chdir(place / "a/b")
    assert _setup_folder.notebook_folder() == place / "a/b"
    with pytest.raises(SetupValueError, match="there is no folder"):
        parts.cd("a")


def test_a_folder_of_drive_needs_drive(parts: SetupParts, place: Path) -> None:
    """Unless a folder of that name is here."""
    cd = parts.all()["cd"]
    assert cd.needs("MyDrive/x") == "drive"
    assert cd.needs("x") is None
    with pytest.raises(SetupValueError) as caught:
        cd.act("My Drive/x")
    assert caught.value.hint == '%colab_setup --drive --cd "My Drive/x"'
    (place / "MyDrive").mkdir()
    assert cd.needs("MyDrive/x") is None
    assert cd.act("MyDrive").what == str(place / "MyDrive")


def test_no_working_directory(parts: SetupParts, place: Path) -> None:
    """It may have been deleted under the notebook."""
    gone = place / "gone"
    gone.mkdir()
    parts.cd("gone")
    gone.rmdir()
    with pytest.raises(SetupValueError, match="the working directory is gone"):
        _setup_folder.notebook_folder()


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
