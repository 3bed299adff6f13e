"""Drive by Colab's own means: reuse, refusals, failures, against a double of Colab."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive.errors import (
    ConsentDeclinedError,
    DriveError,
    MountFailedError,
    MountpointError,
    MountPolicyError,
    MountUnsupportedError,
)
from colabmagic.drive.mounting import colab, standing
from tests.fakes.colab import PROFILES, REFUSAL, Machine, Page, importable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_S = 1.0  # the shortest that Colab can wait
STALE = "2026-01-01T00:00:00.000Z QueryManager timed out"


class Session:
    """A machine, the page of its user, and what we ask for there."""

    def __init__(self, machine: Machine, message: Any) -> None:  # noqa: ANN401
        self.machine = machine
        self.message = message
        self.told: list[str] = []

    def use(self, page: Page | str) -> None:
        """Exchange the page."""
        self.message.page = PROFILES[page]() if isinstance(page, str) else page

    @property
    def asked(self) -> list[str]:
        """The kinds of what the page was asked."""
        return [kind for kind, _ in self.message.asked]

    def mount(self, path: Path | None = None, **options: Any) -> colab.Mounted:  # noqa: ANN401
        """Mount Drive here."""
        return colab.mount(
            path or self.machine.mountpoint,
            sysroot=self.machine.root,
            notify=self.told.append,
            **options,
        )

    def fail(
        self,
        kind: type[DriveError],
        path: Path | None = None,
        **options: Any,  # noqa: ANN401
    ) -> DriveError:
        """Mount Drive, which must fail with one error of ours."""
        with pytest.raises(kind) as caught:
            self.mount(path, **options)
        assert caught.type is kind
        assert caught.value.hint
        return caught.value


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Yield a machine with the web page in front of it."""
    machine = Machine(tmp_path / "vm")
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VERTEX_PRODUCT", raising=False)
    machine.behave(pad_s=0)
    with importable(Page()) as message:
        yield Session(machine, message)


# --- mounting ---------------------------------------------------------------------


def test_a_mount_is_there_and_says_nothing(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """One question, a folder with Drive in it, nothing printed by Google's code."""
    found = session.mount()
    assert found == colab.Mounted(
        path=session.machine.mountpoint,
        root=session.machine.mountpoint / "MyDrive",
        reused=False,
        readonly=False,
    )
    assert found.root.is_dir()
    assert session.asked == ["request_auth"]
    assert capsys.readouterr().out == ""


def test_a_mount_that_works_is_used_again_without_a_question(session: Session) -> None:
    """The second call asks nobody."""
    session.mount()
    session.message.asked.clear()
    again = session.mount()
    assert again.reused
    assert again.notes == ()
    assert session.asked == []


def test_a_mount_elsewhere_is_used_and_named(session: Session) -> None:
    """A second mount would end the first: the first is used, and the user told."""
    session.mount()
    other = session.machine.root / "content/other"
    found = session.mount(other)
    assert (found.path, found.reused) == (session.machine.mountpoint, True)
    assert "would end the first" in found.notes[0]
    assert session.asked == ["request_auth"]
    assert not other.exists()


def test_force_moves_the_mount(session: Session) -> None:
    """Asked for explicitly, the new place works and the old one is gone."""
    session.mount()
    other = session.machine.root / "content/other"
    found = session.mount(other, force=True)
    assert (found.path, found.reused) == (other, False)
    assert (other / "MyDrive").is_dir()
    assert session.machine.mounted() == [str(other)]
    assert list(session.machine.mountpoint.iterdir()) == []


def test_what_a_killed_mount_leaves_is_taken_away(session: Session) -> None:
    """A mount that is dead needs no --force: nothing can be lost with it any more."""
    session.mount()
    sys.modules["google.colab._machine"].kill_program()  # type: ignore[attr-defined]
    assert session.machine.mounted() == [str(session.machine.mountpoint)]
    found = session.mount(session.machine.root / "content/other")
    assert not found.reused
    assert found.root.is_dir()
    assert session.machine.mounted() == [str(found.path)]


def test_readonly_reaches_colab_and_is_told_when_reused(session: Session) -> None:
    """A mount for reading is one; asking for the other kind later gets a note."""
    assert session.mount(readonly=True).readonly
    again = session.mount()
    assert again.readonly
    assert "cannot be written to" in again.notes[0]
    session.mount(force=True)
    assert "can be written to" in session.mount(readonly=True).notes[0]


def test_an_open_file_does_not_keep_a_new_mount_away(session: Session) -> None:
    """Colab's umount fails while a file is open; ours takes the dead mount away."""
    session.mount()
    session.machine.behave(busy=True, pad_s=0)
    assert session.mount(force=True).root.is_dir()
    assert len(session.machine.mounted()) == 1


def test_the_working_directory_is_left_and_found_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that works in Drive works there after a new mount."""
    root = session.mount().root
    (root / "project").mkdir()
    monkeypatch.chdir(root / "project")
    session.mount(force=True)
    assert Path.cwd() == root / "project"
    assert session.told == []


def test_files_not_uploaded_are_named_before_the_old_mount_ends(
    session: Session,
) -> None:
    """With --force the user hears what may be lost, while it is still there."""
    root = session.mount().root
    new = root / "ckpt-100.pt"
    new.write_bytes(b"x")
    os.setxattr(new, "user.drive.id", b"local-1")
    there: list[bool] = []
    colab.mount(
        session.machine.mountpoint,
        force=True,
        sysroot=session.machine.root,
        grace_s=0,
        notify=lambda text: there.append(new.exists() and "ckpt-100.pt" in text),
    )
    assert there == [True, True]


def test_uploads_get_some_time(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is uploaded meanwhile is not lost, and nobody says it were."""
    monkeypatch.setattr(standing, "_POLL_S", 0.05)
    new = session.mount().root / "a.pt"
    new.write_bytes(b"x")
    os.setxattr(new, "user.drive.id", b"local-1")
    upload = threading.Timer(0.3, os.setxattr, [new, "user.drive.id", b"1AbC"])
    upload.start()
    session.mount(force=True, grace_s=5)
    upload.join()
    assert session.told[-1] == "they are uploaded now"


# --- refused before anybody is asked ----------------------------------------------


def _space(machine: Machine) -> Path:
    return machine.root / "content/my disk"


def _inside_drive(machine: Machine) -> Path:
    return machine.root / "content/drive/MyDrive"


def _shell(machine: Machine) -> Path:
    return machine.root / "content/d;touch x"


def _link(machine: Machine) -> Path:
    path = machine.root / "content/link"
    path.symlink_to("elsewhere")
    return path


def _file(machine: Machine) -> Path:
    machine.mountpoint.write_text("x")
    return machine.mountpoint


def _files(machine: Machine) -> Path:
    machine.mountpoint.mkdir()
    (machine.mountpoint / "lost.csv").write_text("x")
    return machine.mountpoint


def _no_parent(machine: Machine) -> Path:
    return machine.root / "content/a/b"


def _no_hostname(machine: Machine) -> Path:
    (machine.root / "var/colab/hostname").unlink()
    return machine.mountpoint


def _foreign(machine: Machine) -> Path:
    machine.add_mount(machine.mountpoint, "tmpfs", "tmpfs")
    return machine.mountpoint


@pytest.mark.parametrize(
    ("arrange", "kind", "words"),
    [
        (_space, MountpointError, "a space"),
        (_inside_drive, MountpointError, "MyDrive is a folder inside of Drive"),
        (_shell, MountpointError, "sign of the shell"),
        (_link, MountpointError, "is a link"),
        (_file, MountpointError, "is a file"),
        (_files, MountpointError, "'lost.csv'"),
        (_no_parent, MountpointError, "mkdir -p"),
        (_no_hostname, MountUnsupportedError, "/var/colab/hostname"),
        (_foreign, MountpointError, "something else is mounted"),
    ],
)
def test_it_is_refused_before_anybody_is_asked(
    session: Session,
    arrange: Callable[[Machine], Path],
    kind: type[DriveError],
    words: str,
) -> None:
    """Each cause that can be known is told without a pop-up, and nothing is changed."""
    error = session.fail(kind, arrange(session.machine))
    assert words in str(error)
    assert session.asked == []


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        (
            {"VERTEX_PRODUCT": "COLAB_ENTERPRISE"},
            MountPolicyError,
            "Enterprise does not mount",
        ),
        (
            {"TBE_EPHEM_CREDS_ADDR": ""},
            MountUnsupportedError,
            "TBE_EPHEM_CREDS_ADDR is not set",
        ),
    ],
)
def test_the_machine_is_refused_before_anybody_is_asked(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    kind: type[DriveError],
    words: str,
) -> None:
    """Enterprise and a machine without credentials are known by their variables."""
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert words in str(session.fail(kind))
    assert session.asked == []


def test_a_path_inside_of_a_mount_is_refused(session: Session) -> None:
    """Even with --force: the mount would end under its own mountpoint."""
    session.mount()
    session.message.asked.clear()
    inside = session.machine.mountpoint / "Shareddrives"
    assert "lies inside of Drive" in str(
        session.fail(MountpointError, inside, force=True)
    )
    assert session.asked == []


# --- moving aside -----------------------------------------------------------------


@pytest.mark.parametrize("arrange", [_files, _file, _link])
def test_what_is_in_the_way_is_moved_aside_on_request(
    session: Session, arrange: Callable[[Machine], Path]
) -> None:
    """It is renamed as a whole, nothing is deleted, and its new name told."""
    path = arrange(session.machine)
    before = os.lstat(path).st_ino
    found = session.mount(path, move_aside=True)
    (aside,) = found.moved_aside
    assert aside.name.startswith(f"{path.name}.local-")
    assert os.lstat(aside).st_ino == before
    assert found.root.is_dir()


def test_it_is_put_back_when_the_mount_comes_to_nothing(session: Session) -> None:
    """After a refusal everything is where it was."""
    path = _files(session.machine)
    session.use("refusing")
    error = session.fail(ConsentDeclinedError, path, move_aside=True)
    assert (path / "lost.csv").exists()
    assert ".local-" not in str(error)


# --- failures ---------------------------------------------------------------------


def test_a_refusal_names_what_to_click(session: Session) -> None:
    """The words of Google, and the causes that are known for them."""
    session.use("refusing")
    text = str(session.fail(ConsentDeclinedError))
    assert REFUSAL in text
    for cause in ("tick every box", "own account", "pop-ups", "third-party cookies"):
        assert cause in text
    assert not session.machine.mounted()


def test_no_answer_is_told_from_a_failed_mount(session: Session) -> None:
    """Google says `mount failed`; the time shows that nobody answered."""
    session.use("silent")
    text = str(session.fail(ConsentDeclinedError, timeout_s=SHORT_S))
    assert "nobody answered" in text
    assert "VS Code" in text
    assert "--timeout 900" in text


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"mount": "exits"}, MountFailedError, "mount failed"),
        (
            {"mount": "exits", "log": ["ERROR out of fuel", "ERROR gone"]},
            MountFailedError,
            "its log: ERROR out of fuel / ERROR gone",
        ),
        (
            {"mount": "exits", "log": ["QueryManager timed out"]},
            MountFailedError,
            "first folder in time",
        ),
        (
            {"mount": "exits", "log": ["status: QUOTA_EXCEEDED daily"]},
            MountFailedError,
            "QUOTA_EXCEEDED",
        ),
        ({"mount": "refuses"}, MountPolicyError, "administrator"),
    ],
)
def test_a_failed_mount_gets_its_cause(
    session: Session, how: dict[str, Any], kind: type[DriveError], words: str
) -> None:
    """What Google's program says, or else what it wrote into its log for this mount."""
    session.machine.behave(pad_s=0, **how)
    assert words in str(session.fail(kind))


def test_an_old_log_names_no_new_failure(session: Session) -> None:
    """Google's code is misled by an old line; we say so, and do not follow."""
    session.machine.log.parent.mkdir(parents=True)
    session.machine.log.write_text(f"{STALE}\n")
    session.machine.behave(pad_s=0, mount="exits")
    error = session.fail(MountFailedError)
    assert "ended at once" in error.what
    assert "old line" in str(error.seen)


def test_a_hang_ends_and_asks_for_more_time(session: Session) -> None:
    """The TIMEOUT of pexpect is known by its name."""
    session.machine.behave(pad_s=0, mount="hangs")
    error = session.fail(MountFailedError, timeout_s=SHORT_S)
    assert "in time" in error.what
    assert "--timeout 900" in error.hint


def test_a_mount_without_end_ends(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own limit ends what Google's does not; no thread and no alarm is left."""
    monkeypatch.setattr(colab, "_MOUNT_SPARE_S", -1.5)
    session.machine.behave(pad_s=600, mount="hangs")
    session.fail(MountFailedError, timeout_s=SHORT_S)


def test_success_without_a_mount_is_none(session: Session) -> None:
    """A word of success is not believed where nothing answers."""
    session.mount()
    sys.modules["google.colab.drive"].mount = lambda *_, **__: print("Mounted at x")  # type: ignore[attr-defined] # noqa: T201
    other = session.machine.root / "content/other"
    error = session.fail(MountFailedError, other, force=True)
    assert "does not answer" in error.what


def test_another_thread_may_print_meanwhile(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what Google's code prints is held back."""
    session.machine.behave(pad_s=0, mount="hangs")
    timer = threading.Timer(0.3, print, ["epoch 3"])
    timer.start()
    session.fail(MountFailedError, timeout_s=SHORT_S)
    timer.join()
    assert capsys.readouterr().out == "epoch 3\n"


# --- flush, secrets, log-in -------------------------------------------------------


def test_flush_and_unmount(session: Session) -> None:
    """Drive is gone afterwards; a second time there is nothing to do."""
    session.mount()
    root = session.machine.root
    assert colab.flush_and_unmount(10, sysroot=root) == ()
    assert session.machine.mounted() == []
    assert "not mounted" in colab.flush_and_unmount(10, sysroot=root)[0]


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_flush_that_fails_says_what_to_do(
    session: Session, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Files may be missing on Drive; --sync finds them. It ends in any case."""
    monkeypatch.setattr(colab, "_FLUSH_SPARE_S", 0.2)
    session.mount()
    session.machine.behave(flush=how)
    with pytest.raises(MountFailedError, match="may be missing") as caught:
        colab.flush_and_unmount(0.1, sysroot=session.machine.root)
    assert "--sync" in caught.value.hint


def test_a_machine_that_cannot_flush(session: Session) -> None:
    """It is known before it is tried."""
    (session.machine.root / "var/colab/mp").touch()
    with pytest.raises(MountUnsupportedError, match="cannot upload"):
        colab.flush_and_unmount(10, sysroot=session.machine.root)


def test_no_package_of_colabs(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that looks like Colab, without its package."""
    monkeypatch.setitem(sys.modules, "google.colab.drive", None)
    assert "ModuleNotFoundError" in str(session.fail(MountUnsupportedError))
