"""The double of ``google.colab`` keeps to the real one's order, texts and errors."""

from __future__ import annotations

import http.server
import importlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.colab import REFUSAL, Machine, Page, importable
from tests.fakes.colab.pages import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Colab:
    """The machine, and the parts of the package."""

    def __init__(self, machine: Machine, message: Any) -> None:  # noqa: ANN401
        self.machine, self.message = machine, message

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return importlib.import_module(f"google.colab.{name}")

    def fail(self, kind: type[Exception], *args: Any, **options: Any) -> str:  # noqa: ANN401
        """Mount, which must fail so; return the words."""
        with pytest.raises(kind) as caught:
            self.drive.mount(*(args or [str(self.machine.mountpoint)]), **options)
        assert caught.type is kind
        return str(caught.value)


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Colab]:
    """Yield a machine of Colab with the web page."""
    machine = Machine(tmp_path / "vm")
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    machine.behave(pad_s=0)
    with importable(Page()) as message:
        yield Colab(machine, message)


def test_it_lies_beside_google_auth(colab: Colab) -> None:
    """Google is one namespace: both can be imported, and go on when the double goes."""
    import google.auth

    assert colab.drive.__name__ == "google.colab.drive"
    assert google.auth.__file__ is not None
    assert not google.auth.__file__.startswith(str(Path(__file__).parent))


def _no_hostname(colab: Colab, _: pytest.MonkeyPatch) -> str:
    (colab.machine.root / "var/colab/hostname").unlink()
    return "/a b"


def _space(_: Colab, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VERTEX_PRODUCT", "COLAB_ENTERPRISE")
    return "/a b"


def _enterprise(_: Colab, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VERTEX_PRODUCT", "COLAB_ENTERPRISE")
    monkeypatch.delenv("TBE_EPHEM_CREDS_ADDR")
    return "/a"


def _no_address(_: Colab, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("TBE_EPHEM_CREDS_ADDR")
    return "/a"


@pytest.mark.parametrize(
    ("arrange", "kind", "words"),
    [
        (_no_hostname, NotImplementedError, "Mounting drive is unsupported in this"),
        (_space, ValueError, "Mountpoint must not contain a space."),
        (_enterprise, NotImplementedError, "not supported in Colab Enterprise."),
        (_no_address, KeyError, "'TBE_EPHEM_CREDS_ADDR'"),
    ],
)
def test_what_it_refuses_unasked_in_its_order(
    colab: Colab,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[Colab, pytest.MonkeyPatch], str],
    kind: type[Exception],
    words: str,
) -> None:
    """Each case has the cause of the next one too: the first speaks."""
    assert words in colab.fail(kind, arrange(colab, monkeypatch))
    assert colab.message.asked == []


def test_it_asks_before_it_looks(
    colab: Colab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though Drive is mounted, and though the folder will not do."""
    path = str(colab.machine.mountpoint)
    colab.drive.mount(path)
    colab.drive.mount(path)
    assert [kind for kind, _ in colab.message.asked] == ["request_auth"] * 2
    assert capsys.readouterr().out == (
        f"Mounted at {path}\nDrive already mounted at {path}; to attempt to forcibly "
        f'remount, call drive.mount("{path}", force_remount=True).\n'
    )


def test_a_folder_that_will_not_do_costs_the_old_mount(colab: Colab) -> None:
    """The old one is dead before the new place is looked at."""
    old = colab.machine.mountpoint
    colab.drive.mount(str(old))
    content = colab.machine.root / "content"
    (content / "link").symlink_to("x")
    (content / "file").touch()
    (content / "full").mkdir()
    (content / "full/a").touch()
    for name, words in (
        ("link", "Mountpoint must not be a symlink"),
        ("full", "Mountpoint must not already contain files"),
        ("file", "Mountpoint must either be a directory or not exist"),
        ("a/b", "Mountpoint must be in a directory that exists"),
    ):
        assert colab.fail(ValueError, str(content / name)) == words
    assert colab.machine.mounted() == [str(old)]  # its row stays
    assert not old.exists()


def test_a_mount_looks_like_drive(colab: Colab) -> None:
    """Its own files under the name without a space, and under the other."""
    colab.drive.mount(str(colab.machine.mountpoint), readonly=True)
    assert sorted(path.name for path in colab.machine.mountpoint.iterdir()) == [
        "My Drive",
        "MyDrive",
        "Shareddrives",
    ]
    table = (colab.machine.root / "proc/self/mounts").read_text()
    assert "fuse.drive ro," in table


def test_answers_of_the_page(colab: Colab) -> None:
    """A no raises; silence is passed over, and ends as a mount that failed."""
    colab.message.page = PROFILES["refusing"]()
    assert colab.fail(colab.message.MessageError) == REFUSAL
    assert issubclass(colab.message.MessageError, colab.errors.Error)
    colab.message.page = PROFILES["silent"]()
    assert colab.fail(ValueError, timeout_ms=1000) == "mount failed"


def test_failures_of_the_program(colab: Colab) -> None:
    """An old line in the log names a new failure wrongly, as in the real one."""
    import pexpect

    colab.machine.behave(mount="exits")
    assert colab.fail(ValueError) == "mount failed"
    colab.machine.behave(mount="exits", log=["QueryManager timed out"])
    first = colab.fail(ValueError)
    assert first.startswith("mount failed: timeout during initial read of root folder")
    colab.machine.behave(mount="exits")
    assert colab.fail(ValueError) == first
    colab.machine.behave(mount="refuses")
    assert colab.fail(ValueError) == (
        "The domain policy has disabled Drive File Stream: "
        "https://support.google.com/a/answer/7496409"
    )
    colab.machine.behave(mount="hangs", pad_s=0)
    colab.fail(pexpect.exceptions.TIMEOUT, timeout_ms=0.0)
    colab.machine.behave(busy=True)
    colab.machine.add_mount(colab.machine.mountpoint)
    assert "Errno 107" in colab.fail(OSError, force_remount=True)


def test_flush(colab: Colab, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing mounted, failing, unsupported."""
    colab.drive.flush_and_unmount()
    assert capsys.readouterr().out == (
        "Drive not mounted, so nothing to flush and unmount.\n"
    )
    colab.drive.mount(str(colab.machine.mountpoint))
    colab.machine.behave(flush="fails")
    with pytest.raises(ValueError, match="flush_and_unmount failed"):
        colab.drive.flush_and_unmount()
    (colab.machine.root / "var/colab/mp").touch()
    with pytest.raises(NotImplementedError, match="unsupported in this environment"):
        colab.drive.flush_and_unmount()


def test_secrets(colab: Colab) -> None:
    """The three errors; only one of them is not below `errors.Error`."""
    colab.message.page = Page(secrets={"A": "1"})
    assert colab.userdata.get("A") == "1"
    with pytest.raises(colab.userdata.SecretNotFoundError, match="B does not exist"):
        colab.userdata.get("B")
    colab.message.page = PROFILES["refusing"](secrets={"A": "1"})
    with pytest.raises(colab.userdata.NotebookAccessError):
        colab.userdata.get("A")
    colab.message.page = PROFILES["silent"]()
    colab.userdata.TIMEOUT_S = 0.1
    with pytest.raises(colab.userdata.TimeoutException, match="timed out"):
        colab.userdata.get("A")
    assert not issubclass(colab.userdata.NotebookAccessError, colab.errors.Error)


def test_unassign(colab: Colab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A POST on loopback, then a word to the page that is not waited for."""
    posts = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setenv("TBE_RUNTIME_ADDR", f"127.0.0.1:{server.server_port}")
        colab.runtime.unassign()
        thread.join()
    assert posts == ["/unassign"]
    assert colab.message.asked[-1][1] == {"script": "google.colab.kernel.disconnect();"}
    monkeypatch.delenv("TBE_RUNTIME_ADDR")
    with pytest.raises(colab.errors.RuntimeManagementError):
        colab.runtime.unassign()
