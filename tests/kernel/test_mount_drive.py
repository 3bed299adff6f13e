"""``%mount_drive`` in real kernels, with a Drive on loopback."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.support import Kernel

TOKEN = "valid-token"  # noqa: S105 (of the fake)
# What must not be printed anywhere.
SECRETS = (TOKEN, "SECRET-R", "SECRET-C")

WRONG: dict[str, str] = {
    '%mount_drive ""': "PATH is empty",
    "%mount_drive --mode best": "--mode takes auto, colab, api or fuse, not 'best'",
    "%mount_drive --mode colabb": "did you mean --mode colab",
    "%mount_drive a b": "'b' is one word too many",
    "%mount_drive --to x": "--to goes with --stage: add --stage",
    "%mount_drive --status --sync": "--status and --sync are two things: write two lines",
    "%mount_drive /content/drive --unmount": "PATH (/content/drive) and --unmount are two",
    '%mount_drive --stage x --save a "MyDrive/"': "--stage and --save are two things",
    "%mount_drive --stage x --workers abc": "--workers: needs a whole number from 1 to 64",
    "%mount_drive --stage x --workers -1": "not '-1'",
    "%mount_drive --stage x --workers 0": "not '0'",
    "%mount_drive --stage x --max-size huge": "needs a size such as 50GB, not 'huge'",
    "%mount_drive --stage x --max-ratio nan": "needs a number above 0, not 'nan'",
    "%mount_drive --stage x --force": "--force goes with mounting, not with --stage",
    "%mount_drive --save ckpt.pt": "--save",
    '%mount_drive --save "" "MyDrive/"': "a path of --save is empty",
    "%mount_drive --stage": "--stage needs a value",
    '%mount_drive --stage ""': "--stage is empty",
    "%mount_drive --timeout 0": "needs a number of seconds, not '0'",
    "%mount_drive --login": "--login needs --client FILE",
    "%mount_drive --login me.json": "did you mean --client me.json",
    "%mount_drive --no-watch --status": "--watch goes with mounting, not with --status",
    "%mount_drive --drive http://x": "--drive takes the id of a shared drive",
    "%mount_drive --statuss": "there is no option --statuss; did you mean --status",
}


@pytest.fixture
def drive() -> Iterator[FakeDrive]:
    """Yield a running Drive; whatever was asked it keeps to Google's document."""
    with FakeDrive() as running:
        yield running
        assert running.violations == []


@pytest.fixture
def connected(kernel: Kernel, drive: FakeDrive, tmp_path: Path) -> Iterator[Kernel]:
    """Yield the kernel with a login for that Drive, in a folder of the test."""
    login = {
        "type": "authorized_user",
        "refresh_token": "SECRET-R",
        "token_uri": f"{drive.url}/token",
        "client_id": "an-id",
        "client_secret": "SECRET-C",
    }
    (tmp_path / "login.json").write_text(json.dumps(login))
    variables = {
        "COLABMAGIC_DRIVE_API_ROOT": drive.url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "login.json"),
    }
    reply = kernel.run(
        "import os\nhome, folder = dict(os.environ), os.getcwd()\n"
        f"os.environ.update({variables!r}); os.chdir({str(tmp_path)!r})"
    )
    assert reply.status == "ok", reply.shown
    yield kernel
    reply = kernel.run(
        "r = %mount_drive --unmount -q\n"
        "import os\nos.environ.clear(); os.environ.update(home); os.chdir(folder)"
    )
    assert reply.status == "ok", reply.shown


def shown(kernel: Kernel, cell: str) -> str:
    """Run a cell that must succeed; return all that a person sees, without secrets."""
    reply = kernel.run(cell)
    text = "\n".join([reply.shown, *reply.displays])
    assert reply.status == "ok", text
    everything = text + str(reply.outputs)
    assert not [each for each in SECRETS if each in everything]
    return text


def refused(kernel: Kernel, cell: str) -> str:
    """Run a cell that must fail; return the three lines that a person sees."""
    reply = kernel.run(cell)
    assert reply.status == "error", reply.shown
    (error,) = reply.errors
    assert len(error.splitlines()) <= 3, error
    assert not [each for each in SECRETS if each in error + reply.traceback]
    return error


def test_a_wrong_line_is_one_line(kernel: Kernel) -> None:
    """What is wrong is said in one line, before anything is done."""
    for line, expected in WRONG.items():
        reply = kernel.run(line)
        assert reply.ename == "UsageError", (line, reply.shown)
        assert expected in reply.shown, line
        assert len(reply.shown.strip().splitlines()) == 1, line
        assert reply.shown.strip().startswith("UsageError: %mount_drive: "), line


def test_connect_look_save(connected: Kernel, tmp_path: Path) -> None:
    """Without a folder: who is logged in, what to type; listing; a file that is safe."""
    text = shown(connected, "%mount_drive /content/drive --mode api")
    assert text.count("Drive: CONNECTED") == 1  # once, though it is the value too
    for part in ("--stage", "--save", "--ls", "Account", "Used"):
        assert part in text
    (tmp_path / "ckpt.pt").write_bytes(b"weights" * 1000)
    saved = shown(connected, 'r = %mount_drive --save ckpt.pt "MyDrive/my runs/"')
    assert "Drive --save: ON DRIVE" in saved
    assert "MyDrive/my runs/ckpt.pt: 1 file, 7.0 KB" in " ".join(saved.split())
    values = connected.value("[r.path, r.files, r.bytes, r.retries, len(r.md5)]")
    assert values == ["MyDrive/my runs/ckpt.pt", 1, 7000, 0, 32]
    listed = shown(connected, '%mount_drive --ls "MyDrive/my runs"')
    assert "ckpt.pt" in listed
    assert "7.0 KB" in listed
    assert "r.path" not in shown(connected, "r = %mount_drive --ls MyDrive -q")
    assert connected.value("r.names") == ["my runs"]
    status = shown(connected, "%mount_drive --status")
    assert "Drive: CONNECTED" in status
    assert "user@example.com" in status
    assert "DISCONNECTED" in shown(connected, "%mount_drive --unmount")
    assert "NOT MOUNTED" in shown(connected, "%mount_drive --status")


def test_stage_and_pack(connected: Kernel, drive: FakeDrive, tmp_path: Path) -> None:
    """A folder goes up as one archive, and comes back; the second time is at once."""
    for number in range(20):
        (tmp_path / "many").mkdir(exist_ok=True)
        (tmp_path / "many" / f"{number}.txt").write_text(f"file {number}")
    packed = shown(connected, '%mount_drive --pack many "MyDrive/sets/many.tar.gz"')
    assert "PACKED, ON DRIVE" in packed
    assert "20 files" in packed
    cell = 'r = %mount_drive --stage "MyDrive/sets/many.tar.gz" --to back --workers 2'
    assert "Drive --stage: UNPACKED" in shown(connected, cell)
    assert (tmp_path / "back" / "7.txt").read_text() == "file 7"
    assert connected.value("r.files") == 20
    again = shown(connected, cell)
    assert "HERE ALREADY" in again
    assert connected.value("r.seconds") < 0.1
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../x"))
    for _ in range(2):
        drive.store.add_file("bad.tar", (tmp_path / "bad.tar").read_bytes())
    error = refused(connected, '%mount_drive --stage "MyDrive/bad.tar" --to bad')
    assert "AmbiguousPathError" in error
    error = refused(
        connected, '%mount_drive --stage "MyDrive/bad.tar" --to bad --newest'
    )
    assert "UnsafeMemberError" in error
    assert not (tmp_path / "bad").exists()


def test_errors_are_three_lines(connected: Kernel, tmp_path: Path) -> None:
    """What happened, what was seen, what to type; nothing is half done."""
    (tmp_path / "folder").mkdir()
    cases = {
        '%mount_drive --ls "MyDrive/none"': "DriveFileNotFoundError",
        "%mount_drive --ls none": "does not say where it begins",
        '%mount_drive --save none.pt "MyDrive/"': "there is no file none.pt",
        '%mount_drive --save folder "MyDrive/"': "%mount_drive --pack",
        '%mount_drive --pack none "MyDrive/x.tar"': "there is no folder none",
        "%mount_drive --mode api --creds none.json": "'none.json' cannot be read",
        "%mount_drive --mode api --cd x": "--cd needs Drive as a folder",
        "%mount_drive --mode colab": "works on Colab alone",
        "%mount_drive --sync": "there is no folder of Drive here",
    }
    for cell, expected in cases.items():
        assert expected in refused(connected, cell), cell


def test_a_drive_that_does_not_answer(connected: Kernel) -> None:
    """An unsafe address is refused before the login goes anywhere."""
    cell = (
        "os.environ['COLABMAGIC_DRIVE_API_ROOT'] = 'http://drive.example'\n"
        "%mount_drive --mode api"
    )
    assert "unencrypted" in refused(connected, cell)


def test_tab_offers_options_and_values(kernel: Kernel) -> None:
    """As with the other magics."""
    assert "--stage" in kernel.complete("%mount_drive --st")[0]
    assert set(kernel.complete("%mount_drive --mode ")[0]) == {
        "auto", "colab", "api", "fuse",
    }  # fmt: skip
