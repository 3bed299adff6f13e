"""``%mount_drive`` in real kernels, with a Drive on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import tarfile
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import nbformat
import pytest

from tests.fakes.colab import Machine
from tests.fakes.colab.frontend import FrontEnd
from tests.fakes.drive import FakeDrive
from tests.kernel.support import ROOT, ours
from tests.repo.project import text_of

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
    "%mount_drive --stage x --dest y": "there is no option --dest; did you mean --to",
    '%mount_drive --download "MyDrive/a.csv"': "drive.connect().download(REMOTE, LOCAL)",
    "%mount_drive --statuss": "there is no option --statuss; did you mean --status",
}


@pytest.fixture
def drive() -> Iterator[FakeDrive]:
    """Yield a running Drive; whatever was asked it keeps to Google's document."""
    with FakeDrive() as running:
        yield running
        assert running.violations == []


def login_for(drive: FakeDrive, folder: Path) -> dict[str, str]:
    """Put a login for a Drive into a folder; return the variables that name both."""
    login = {
        "type": "authorized_user",
        "refresh_token": "SECRET-R",
        "token_uri": f"{drive.url}/token",
        "client_id": "an-id",
        "client_secret": "SECRET-C",
    }
    (folder / "login.json").write_text(json.dumps(login))
    return {
        "COLABMAGIC_DRIVE_API_ROOT": drive.url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "login.json"),
    }


@contextlib.contextmanager
def standing_in(
    kernel: Kernel, folder: Path, variables: dict[str, str]
) -> Iterator[None]:
    """Give a kernel a folder and variables; afterwards it is as it was."""
    reply = kernel.run(
        "import os\nhome, folder = dict(os.environ), os.getcwd()\n"
        f"os.environ.update({variables!r}); os.chdir({str(folder)!r})"
    )
    assert reply.status == "ok", reply.shown
    yield
    reply = kernel.run(
        "r = %mount_drive --unmount -q\n"
        "import os\nos.environ.clear(); os.environ.update(home); os.chdir(folder)"
    )
    assert reply.status == "ok", reply.shown


@pytest.fixture
def connected(kernel: Kernel, drive: FakeDrive, tmp_path: Path) -> Iterator[Kernel]:
    """Yield the kernel with a login for that Drive, in a folder of the test."""
    with standing_in(kernel, tmp_path, login_for(drive, tmp_path)):
        yield kernel


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
    assert len(error.splitlines()) <= 4, error  # what, seen, and one or two to type
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
    assert "u…@example.com" in status
    assert "Drive doctor" in shown(connected, "d = %mount_drive --doctor")
    assert connected.value("d.ok in (True, False)")
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
    error = refused(connected, '%mount_drive --stage "MyDrive/Bad.tgz"')
    assert 'did you mean "MyDrive/bad.tar"?' in error
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


def test_the_steps_of_the_readme(
    kernel: Kernel, drive: FakeDrive, tmp_path: Path
) -> None:
    """From nothing to a dataset outside of Colab, by what is written there alone."""
    section = text_of("README.md").split("### `%mount_drive`\n")[1]
    login, stage = re.findall(r"^\d\. .*?`(%mount_drive [^`]+)`", section, re.MULTILINE)
    made = {
        "client_id": "mine",
        "client_secret": "SECRET-C",
        "auth_uri": f"{drive.url}/auth",
        "token_uri": f"{drive.url}/token",
    }
    (tmp_path / "client.json").write_text(json.dumps({"installed": made}))
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "client.json", "set/one.json")
    drive.store.add_file("data.tar.gz", (tmp_path / "data.tar.gz").read_bytes())
    variables = {
        "COLABMAGIC_DRIVE_API_ROOT": drive.url,
        "COLABMAGIC_HOME": str(tmp_path / "home"),
        "SSH_TTY": "/dev/pts/0",  # the browser is on another machine
    }
    with standing_in(kernel, tmp_path, variables):
        reply = kernel.run(login, answers=(visit,))
        assert reply.status == "ok", reply.shown
        assert "LOGGED IN" in "\n".join([reply.shown, *reply.displays])
        assert "4/code-" not in str(reply.outputs)
        assert "UNPACKED" in shown(kernel, stage)
        assert (tmp_path / "data" / "set" / "one.json").exists()
        (kept,) = (tmp_path / "home").rglob("*.json")
        assert kept.stat().st_mode & 0o777 == 0o600


def visit(printed: str) -> str:
    """Go to the page that a cell names, allow all, and copy the address at the end."""
    page = urlsplit(re.findall(r"http://127.0.0.1:\d+/auth\S+", printed)[-1])
    browser = http.client.HTTPConnection(page.netloc, timeout=10)
    try:
        browser.request("GET", f"{page.path}?{page.query}")
        return browser.getresponse().headers["Location"]
    finally:
        browser.close()


def test_the_example(
    kernel: Kernel, needs_torch: None, drive: FakeDrive, tmp_path: Path
) -> None:
    """The notebook runs as it stands; what it saves is on Drive."""
    del needs_torch
    notebook = nbformat.read(ROOT / "examples" / "drive.ipynb", as_version=4)
    with standing_in(kernel, tmp_path, login_for(drive, tmp_path)):
        said = [
            shown(kernel, cell.source)
            for cell in notebook.cells
            if cell.cell_type == "code"
        ]
    assert "500 files in" in said[5]
    assert "fetched 0 bytes" in said[5]
    assert "y = 3.0 x + 1.0, loss 0.0" in said[6]
    assert "MyDrive/colabmagic example/runs/line.pt" in said[7]
    assert "points.tar.gz" in said[8]
    assert "tensor([[" in said[9]


def test_the_doctor_explains_the_last_error(connected: Kernel) -> None:
    """Also after the error itself is freed, and other cells; not once Drive has answered."""
    for setting in (True, False):
        shown(connected, f"%config ColabMagic.free_after_error = {setting}")
        refused(connected, '%mount_drive --ls "MyDrive/none"')
        shown(connected, "x = 1")
        assert connected.run("1 / 0").status == "error"
        for _ in range(2):
            said = shown(connected, "%mount_drive --doctor")
            assert "DriveFileNotFoundError: MyDrive/none" in said
            assert "[not-found]" in said
        refused(connected, '%mount_drive --ls "MyDrive/none"')
        shown(connected, '%mount_drive --ls "MyDrive"')
        assert "[not-found]" not in shown(connected, "%mount_drive --doctor")
    shown(connected, "%config ColabMagic.free_after_error = True")


def test_who_waits_is_told_why(connected: Kernel, drive: FakeDrive) -> None:
    """In a line of its own, and not where nothing is to be shown."""
    line = "mount_drive: Google's server failed, trying again"
    for options, told in (("", True), (" -q", False)):
        drive.faults.load(
            [{"kind": "status", "match": "/drive/v3/files", "retry_after": 2}]
        )
        assert (line in shown(connected, f"%mount_drive --ls MyDrive{options}")) is told


def test_a_drive_that_does_not_answer(connected: Kernel) -> None:
    """An unsafe address is refused before the login goes anywhere."""
    cell = (
        "os.environ['COLABMAGIC_DRIVE_API_ROOT'] = 'http://drive.example'\n"
        "%mount_drive --mode api"
    )
    assert "unencrypted" in refused(connected, cell)


def test_a_whole_traceback_holds_no_secret(connected: Kernel, drive: FakeDrive) -> None:
    """Also with the values of all names, as ``%xmode Verbose`` shows them."""
    shown(connected, "%mount_drive --mode api")
    drive.faults.load(
        [
            {
                "kind": "status",
                "code": 403,
                "reason": "insufficientPermissions",
                "match": "files",
                "times": 1,
            }
        ]
    )
    connected.run("from colabmagic.drive import service\nfrom datetime import datetime")
    age = "service.client().files.transport.credentials.expiry = datetime(2020, 1, 1)\n"
    failing = {
        "%mount_drive --ls MyDrive": "InsufficientScopeError",
        '%mount_drive --stage "MyDrive/none.tar"': "DriveFileNotFoundError",
        f"{age}%mount_drive --ls MyDrive": "GrantExpiredError",
    }
    try:
        connected.run("%xmode Verbose")
        for cell, kind in failing.items():
            if cell.startswith(age):
                drive.store.revoked_refresh_tokens.add("SECRET-R")
            reply = connected.run(cell)
            text = reply.traceback + reply.shown + str(reply.outputs)
            assert kind in text, cell
            assert "verbs.py" in text  # it is whole
            for secret in (*SECRETS, *drive.store.access_tokens):
                assert secret not in text, cell
    finally:
        connected.run("%xmode Context")


@pytest.mark.parametrize(
    ("line", "slow", "said"),
    [
        (
            '--stage "MyDrive/a.tar" --to d',
            "alt=media",
            "0% (download a.tar); run the line again, it goes on where it stopped",
        ),
        (
            '--save ckpt.pt "MyDrive/"',
            "PUT",
            "on Drive is what was there before; run the line again",
        ),
        ("--ls MyDrive -q", "GET .*files", "stopped; run the line again"),
    ],
    ids=["stage", "save", "ls"],
)
def test_an_interrupt_is_one_line(
    connected: Kernel, drive: FakeDrive, line: str, slow: str, said: str
) -> None:
    """It says what now, shows no frame of ours, and still stops the cell as an interrupt."""
    drive.store.add_file("a.tar", b"x" * 5_000_000)
    drive.faults.load(
        [
            {"kind": "stall", "match": "alt=media", "fraction": 0.0, "seconds": 8.0,
             "times": 9}
            if slow == "alt=media"
            else {"kind": "status", "code": 503, "match": slow, "retry_after": 9}
        ]
    )  # fmt: skip
    connected.run("open('ckpt.pt', 'w').write('weights')")
    cell = f"import signal, threading\n{STOP_SOON}%mount_drive {line}"
    began = time.monotonic()
    reply = connected.run(cell)
    assert time.monotonic() - began < 4
    assert reply.ename == "KeyboardInterrupt"
    assert len(reply.errors) == 1, reply.errors
    error = reply.errors[0]
    assert len(error.splitlines()) == 1
    assert error.startswith("KeyboardInterrupt: stopped")
    assert said in error
    assert ours(reply.shown) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('download("MyDrive/a.tar", "a.tar")', "(download of MyDrive/a.tar); run it"),
        ('open("MyDrive/a.tar").read()', "(reading a.tar); run it again"),
    ],
    ids=["download", "open"],
)
def test_an_interrupt_of_the_library_is_one_line(
    connected: Kernel, drive: FakeDrive, call: str, said: str
) -> None:
    """As that of the magic: the user's own frames would stand above many of ours."""
    drive.store.add_file("a.tar", b"x" * 5_000_000)
    drive.faults.load(
        [{"kind": "stall", "match": "alt=media", "fraction": 0.0, "seconds": 8.0,
          "times": 9}]
    )  # fmt: skip
    connected.run("from colabmagic import drive\nd = drive.connect()\nd.health()")
    cell = f"import signal, threading\n{STOP_SOON}d.{call}"
    reply = connected.run(cell)
    assert reply.ename == "KeyboardInterrupt"
    (error,) = reply.errors
    assert error.startswith(f"KeyboardInterrupt: stopped {said}")
    assert len(error.splitlines()) == 1
    connected.run("%xmode Verbose")
    try:
        whole = connected.run(cell)
    finally:
        connected.run("%xmode Context")
    assert "client.py" in whole.shown  # who asks for it gets all


STOP_SOON = """main = threading.main_thread().ident
threading.Timer(0.7, signal.pthread_kill, [main, signal.SIGINT]).start()
"""


def test_tab_offers_options_and_values(kernel: Kernel) -> None:
    """As with the other magics."""
    assert "--stage" in kernel.complete("%mount_drive --st")[0]
    assert set(kernel.complete("%mount_drive --mode ")[0]) == {
        "auto", "colab", "api", "fuse",
    }  # fmt: skip


def needs_fuse(kernel: Kernel) -> None:
    """Skip a test where no folder can be mounted."""
    reason = kernel.value(
        "fuse.can_mount()", "from colabmagic.drive.mounting import fuse"
    )
    if reason is not None:
        pytest.skip(f"no folder of Drive: {reason}")


def test_a_folder_that_heals(
    connected: Kernel, drive: FakeDrive, tmp_path: Path
) -> None:
    """Mount, read, work in it; its process is killed: it comes back, and that is told."""
    needs_fuse(connected)
    project = drive.store.add_folder("my proj")
    drive.store.add_file("a.txt", b"from Drive", project.id)
    mount = tmp_path / "drive"
    text = shown(connected, f"m = %mount_drive {mount} --cd 'My Drive/my proj'")
    assert "Drive: MOUNTED, READ-ONLY" in text
    assert connected.value("open('a.txt').read()") == "from Drive"
    assert connected.value("[m.mode, m.watched, m.reused]") == ["fuse", True, False]
    assert "before; used as it is" in shown(connected, f"%mount_drive {mount}")
    assert connected.value("r.path == m.path", "r = %mount_drive -q")
    connected.run(
        "from colabmagic.drive.mounting import fuse; from colabmagic.drive import service\n"
        "watcher = service.watcher(); watcher.stop()\n"
        "watcher._interval_s = 0.2; watcher.start()\n"
        "for each in fuse._daemons.values(): each.kill()"
    )
    cells = [connected.run(WAIT_FOR_HEALING), connected.run("open('a.txt').read()")]
    told = "".join(cell.stdout for cell in cells)
    assert told.count("is mounted anew") == 1
    assert "healed 1" in told
    assert cells[1].results == ["'from Drive'"]
    updates = "".join(text for cell in cells for text in cell.displays)
    assert "is mounted anew" in updates  # in the mount's own output
    status = " ".join(shown(connected, "%mount_drive --status").split())
    assert "Drive: MOUNTED, ALIVE" in status
    assert "mounted it anew 1 time" in status
    assert "read-only" in refused(connected, "%mount_drive --sync")
    error = refused(connected, f"%mount_drive {mount} --cd none")
    assert "Drive is mounted, but there is no folder" in error
    other = tmp_path / "other"
    (other / "mine").mkdir(parents=True)
    assert "is not empty" in refused(connected, f"%mount_drive {other} --mode fuse")
    text = shown(connected, f"%mount_drive {other} --mode fuse --move-aside")
    assert "moved aside" in text
    assert f"{mount} was taken away".replace(" ", "") in "".join(text.split())
    assert len(list(tmp_path.glob("other.local-*/mine"))) == 1
    assert "UNMOUNTED" in shown(connected, "%mount_drive --unmount")
    assert [list(each.iterdir()) for each in (mount, other)] == [[], []]
    names = connected.value(
        "[t.name for t in threading.enumerate() if 'colabmagic' in t.name]",
        "import threading",
    )
    assert names == []


# The working directory comes back a moment after the folder.
WAIT_FOR_HEALING = """
import os, time
end = time.monotonic() + 20
while time.monotonic() < end:
    if watcher.status().healed and os.path.exists("a.txt"):
        break
    time.sleep(0.05)
print("healed", watcher.status().healed)
"""


def test_unloading_ends_the_watcher(
    fresh_kernel: Kernel, drive: FakeDrive, tmp_path: Path
) -> None:
    """No thread and no hook is left; the folder stays until the kernel ends."""
    needs_fuse(fresh_kernel)
    drive.store.add_file("a.txt", b"1")
    mount = tmp_path / "drive"
    variables = login_for(drive, tmp_path)
    fresh_kernel.run(
        "%load_ext colabmagic\nimport os, threading\n"
        "hooks = {n: list(f) for n, f in get_ipython().events.callbacks.items()}\n"
        f"os.environ.update({variables!r})"
    )
    assert "MOUNTED" in shown(fresh_kernel, f"%mount_drive {mount}")
    assert fresh_kernel.value("sum('watch' in t.name for t in threading.enumerate())")
    fresh_kernel.run("%unload_ext colabmagic")
    assert not fresh_kernel.value(
        "sum('colabmagic' in t.name for t in threading.enumerate())"
    )
    assert fresh_kernel.value(
        "not any('rive' in repr(f) for l in get_ipython().events.callbacks.values()"
        " for f in l)"
    )
    fresh_kernel.run("%load_ext colabmagic")
    shown(fresh_kernel, "%mount_drive --unmount")
    assert not list(mount.iterdir())


NO_GRACE = """from colabmagic.drive.mounting import colab
colab.mount.__kwdefaults__["grace_s"] = 0.0
"""


def test_on_colab(kernel: Kernel, drive: FakeDrive, tmp_path: Path) -> None:
    """One line mounts after one question; what was written is proven, then flushed."""
    machine = Machine(tmp_path / "vm")
    machine.behave(pad_s=0)
    (machine.root / "proc/uptime").write_text("7200.0 1.0\n")
    page = FrontEnd(kernel)
    mount = machine.mountpoint
    page.execute(machine.kernel_code())
    try:
        with standing_in(kernel, tmp_path, login_for(drive, tmp_path)):
            text = page.execute(f"m = %mount_drive {mount} --no-watch").shown
            assert "Drive: MOUNTED" in text
            assert [one.kind for one in page.requests] == ["request_auth"]
            again = page.execute(f"%mount_drive {mount} --no-watch --cd MyDrive").shown
            assert "before; used as it is" in again
            assert len(page.requests) == 1
            page.execute("open('ckpt.pt', 'w').write('weights')")
            synced = page.execute("s = %mount_drive --sync --timeout 0.1").shown
            assert "ALL ON DRIVE" in synced
            (file,) = drive.store.children(drive.store.get("root").id)
            assert file.meta["name"] == "ckpt.pt"
            state = " ".join(page.execute("%mount_drive --status").shown.split())
            assert "VM age 2 h VM left about 10 h at the latest" in state
            again = page.execute(f"%mount_drive {mount} --no-watch --drive ID-1").shown
            assert "all shared drives below Shareddrives" in " ".join(again.split())
            page.execute(
                "import os; os.setxattr('ckpt.pt', 'user.drive.id', b'local-1')"
            )
            machine.behave(pad_s=0, mount="exits")
            failed = page.execute(f"{NO_GRACE}%mount_drive {mount} --force --no-watch")
            assert failed.error is not None
            assert failed.error[0] == "MountFailedError"
            lost = "mount_drive: the old mount ends with 1 file (ckpt.pt) not uploaded"
            assert lost in failed.stdout  # which the error does not know
            machine.behave(pad_s=0)
            page.requests.clear()
            line = f"%mount_drive {mount} --no-watch --cd MyDrive"
            assert "MOUNTED" in page.execute(line).shown
            gone = " ".join(page.execute("%mount_drive --unmount").shown.split())
            assert "all was uploaded" in gone
            assert "it is" in gone
            assert machine.mounted() == []
            space = page.execute("%mount_drive '/content/my drive'").shown
            assert "MountpointError" in space
            assert len(page.requests) == 1
    finally:
        page.execute("colab.mount.__kwdefaults__['grace_s'] = 30.0")
        page.execute(machine.kernel_undo_code())
