"""Drive as a library: paths, listings, reading in place, and who may log in."""

from __future__ import annotations

import inspect
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from google.oauth2.credentials import Credentials

from colabmagic import drive as library
from colabmagic.drive import errors
from colabmagic.drive.account import auth
from colabmagic.drive.api.budget import UnitBudget
from tests.repo.project import modules, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.drive.client import Drive
    from tests.fakes.drive import FakeDrive


@pytest.fixture
def client(drive: FakeDrive) -> Drive:
    """Return a connection."""
    credentials = Credentials(drive.token)  # type: ignore[no-untyped-call]
    return library.connect(credentials=credentials, api_root=drive.url)


def test_paths(drive: FakeDrive, client: Drive) -> None:
    """Names with quotes, spaces and accents; shortcuts; as mounted on Colab."""
    store = drive.store
    folder = store.add_folder("It's a \\ folder é")
    entry = store.add_file("x y.bin", b"123", folder.id)
    store.add_shortcut("short", folder.id)
    team = store.add_drive("team")
    shared = store.add_file("z", b"9", team)
    for path in (
        "MyDrive/It's a \\ folder é/x y.bin",
        "My Drive/short/x y.bin",
        "/content/drive/MyDrive/short/x y.bin",
    ):
        assert client.stat(path).id == entry.id
    assert client.stat("Shareddrives/team/z").id == shared.id
    assert client.stat("MyDrive").is_folder
    assert client.stat("MyDrive/short/x y.bin").size == 3


def test_what_is_not_there_and_what_is_there_twice(
    drive: FakeDrive, client: Drive
) -> None:
    """One clear error each."""
    folder = drive.store.add_folder("a")
    for data in (b"old", b"new"):
        drive.store.add_file("twice", data, folder.id)
    drive.store.add_file("gone", b"", folder.id, trashed=True)
    with pytest.raises(errors.AmbiguousPathError, match="2 files are called") as caught:
        client.stat("MyDrive/a/twice")
    assert "newest=True" in caught.value.hint
    assert client.stat("MyDrive/a/twice", newest=True).size == 3
    for path in (
        "MyDrive/a/gone",
        "MyDrive/b/c",
        "MyDrive/a/twice2",
        "Shareddrives/none/x",
    ):
        with pytest.raises(errors.DriveFileNotFoundError):
            client.stat(path)
    for path in ("a/b", "", "MyDrive/../x", "Shareddrives"):
        with pytest.raises(errors.DrivePathError):
            client.stat(path)


def test_a_large_folder(drive: FakeDrive, client: Drive) -> None:
    """A thousand a page; items that come twice count once."""
    folder = drive.store.add_folder("many")
    drive.store.add_many(2500, folder.id)
    drive.reset_counters()
    drive.faults.load(
        [{"kind": "duplicate_items", "match": "GET /drive/v3/files\\?", "skip": 1}]
    )
    names = [each.name for each in client.ls("MyDrive/many")]
    assert len(names) == len(set(names)) == 2500
    assert drive.operations["files.list"] == 4  # one for the path


def test_reading_in_place(drive: FakeDrive, client: Drive, tmp_path: Path) -> None:
    """Only what is read is fetched: a member of a zip, the end of a file."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("big", bytes(5_000_000))
        archive.writestr("small", "hello")
    drive.store.add_file("x.zip", (tmp_path / "x.zip").read_bytes())
    with client.open("MyDrive/x.zip") as file, zipfile.ZipFile(file) as remote:
        assert remote.read("small") == b"hello"
        file.seek(-4, 2)
        assert len(file.read()) == 4
    sent = sum(each.operation == "files.get media" for each in drive.requests)
    assert 0 < sent <= 6


def test_a_file_that_google_holds_for_harmful(
    drive: FakeDrive, client: Drive, tmp_path: Path
) -> None:
    """It is refused; what the refusal says to type brings it."""
    drive.store.add_file("odd.bin", b"123").abusive = True
    with pytest.raises(errors.NotDownloadableError) as caught:
        client.download("MyDrive/odd.bin", tmp_path / "odd.bin")
    assert "acknowledge_abuse=True" in caught.value.hint
    assert not (tmp_path / "odd.bin").exists()
    client.download("MyDrive/odd.bin", tmp_path / "odd.bin", acknowledge_abuse=True)
    assert (tmp_path / "odd.bin").read_bytes() == b"123"


def test_upload_and_download(client: Drive, tmp_path: Path) -> None:
    """Into folders that are made, under the name that was meant."""
    (tmp_path / "ckpt.pt").write_bytes(b"weights")
    client.save(tmp_path / "ckpt.pt", "MyDrive/runs/first/")
    client.save(tmp_path / "ckpt.pt", "MyDrive/runs/first/other.pt")
    client.save(tmp_path / "ckpt.pt", "MyDrive/runs")
    assert client.stat("MyDrive/runs/first/ckpt.pt").size == 7
    assert client.stat("MyDrive/runs/first/other.pt").size == 7
    assert client.stat("MyDrive/runs/ckpt.pt").size == 7
    done = client.download("MyDrive/runs/ckpt.pt", tmp_path / "back.pt")
    assert (tmp_path / "back.pt").read_bytes() == b"weights"
    assert done.size == 7
    (tmp_path / "folder").mkdir()
    client.download("MyDrive/runs/ckpt.pt", tmp_path / "folder")
    assert (tmp_path / "folder" / "ckpt.pt").exists()
    with pytest.raises(errors.NotDownloadableError):
        client.download("MyDrive/runs", tmp_path / "x")
    with pytest.raises(errors.DrivePathError, match="cannot be read"):
        client.save(tmp_path / "none", "MyDrive/")
    assert client.health()["used_bytes"] == 21


def test_home_is_written_short(
    client: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a shell, for all that takes a path on this machine."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").write_bytes(b"a")
    client.pack("~/set", "MyDrive/set.tar")
    assert client.stage("MyDrive/set.tar", "~/again").path == tmp_path / "again"
    client.save("~/set/a", "MyDrive/")
    client.download("MyDrive/a", "~/b")
    assert (tmp_path / "b").read_bytes() == b"a"
    assert (tmp_path / "again" / "a").exists()
    for line in (client.download, client.stage):
        with pytest.raises(errors.DrivePathError, match="home of a user"):
            line("MyDrive/set.tar", "~nobody-is-called-so/x")
    assert sorted(each.name for each in client.ls()) == ["a", "set.tar"]


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, our own login, or an error that says what to do; never what is in it."""
    monkeypatch.setenv("COLABMAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(errors.NoCredentialsError, match="nothing is here") as caught:
        library.connect()
    assert "--login" in caught.value.hint
    login = Credentials(  # type: ignore[no-untyped-call]
        None, refresh_token="SECRET-R", client_id="c", client_secret="SECRET-C",  # noqa: S106
        token_uri="http://127.0.0.1/token",  # noqa: S106
    )  # fmt: skip
    path = auth.store(login)
    assert path.stat().st_mode & 0o777 == 0o600
    assert auth.find_credentials().refresh_token == "SECRET-R"  # type: ignore[attr-defined]  # noqa: S105
    bad = tmp_path / "bad.json"
    for text in ("{", "[]", json.dumps({"refresh_token": "SECRET-X"})):
        bad.write_text(text)
        with pytest.raises(errors.NoCredentialsError) as caught:
            auth.find_credentials(str(bad))
        assert "SECRET" not in str(caught.value)
    with pytest.raises(errors.NoCredentialsError, match="cannot be read"):
        auth.find_credentials(str(tmp_path / "none.json"))


def test_nothing_secret_is_shown(drive: FakeDrive, client: Drive) -> None:
    """Neither in a repr nor in an error."""
    assert drive.token not in repr(client)
    assert drive.token not in repr(vars(client))


def test_a_login_that_ran_out(drive: FakeDrive) -> None:
    """Its own error, with the reason that most have."""
    drive.store.revoked_refresh_tokens.add("old")
    credentials = Credentials(  # type: ignore[no-untyped-call]
        "expired", refresh_token="old", token_uri=f"{drive.url}/token",  # noqa: S106
        client_id="c", client_secret="SECRET",  # noqa: S106
    )  # fmt: skip
    client = library.connect(credentials=credentials, api_root=drive.url)
    with pytest.raises(errors.GrantExpiredError, match="does not renew") as caught:
        client.health()
    assert "7 days" in caught.value.hint
    assert caught.value.seen == "invalid_grant"


def test_the_budget() -> None:
    """A burst at first, then as fast as Google allows; nothing is lost."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    budget = UnitBudget(6000, clock=lambda: now[0], sleep=sleep)  # 100 a second
    for _ in range(10):
        budget.take(100)
    assert slept == []
    for _ in range(50):
        budget.take(200)
    assert budget.spent == 11_000
    assert sum(slept) == pytest.approx(100, rel=0.01)


def test_the_address_comes_from_the_environment(
    drive: FakeDrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a company's proxy, and for tests; an argument goes before it."""
    credentials = Credentials(drive.token)  # type: ignore[no-untyped-call]
    monkeypatch.setenv("COLABMAGIC_DRIVE_API_ROOT", drive.url + "/")
    assert library.connect(credentials=credentials).health()["user"]
    monkeypatch.setenv("COLABMAGIC_DRIVE_API_ROOT", "https://drive.example")
    assert library.connect(credentials=credentials, api_root=drive.url).health()["user"]


@pytest.mark.parametrize(
    "address",
    [
        "http://drive.example",
        "ftp://127.0.0.1",
        "drive.example",
        "http://127.0.0.1.evil.example",
    ],
)
def test_a_login_goes_nowhere_unencrypted(address: str) -> None:
    """Only this machine may be asked without TLS."""
    credentials = Credentials("SECRET-TOKEN")  # type: ignore[no-untyped-call]
    with pytest.raises(errors.DriveError, match="unencrypted") as caught:
        library.connect(credentials=credentials, api_root=address)
    assert "SECRET" not in str(caught.value)


def test_shared_drives(drive: FakeDrive, tmp_path: Path) -> None:
    """They are listed by name; with an id, paths begin in one of them."""
    team = drive.store.add_drive("team")
    drive.store.add_drive("other")
    folder = drive.store.add_folder("runs", team)
    credentials = Credentials(drive.token)  # type: ignore[no-untyped-call]
    client = library.connect(credentials=credentials, api_root=drive.url, drive_id=team)
    names = [each.name for each in client.ls("Shareddrives")]
    assert sorted(names) == ["other", "team"]
    (tmp_path / "a.pt").write_bytes(b"a")
    assert client.save(tmp_path / "a.pt", "runs/").path == "runs/a.pt"
    assert client.stat("Shareddrives/team/runs/a.pt").size == 1
    assert [each.id for each in client.ls("")] == [folder.id]
    assert client.stat("MyDrive").id == "root"


@pytest.mark.parametrize("root", ["https://[::1", "http://127.0.0.1:99999999", "x"])
def test_an_address_of_drive_that_is_none(root: str) -> None:
    """Refused in words."""
    with pytest.raises(errors.DriveError, match="not safe"):
        library.connect(credentials=Credentials("t"), api_root=root)  # type: ignore[no-untyped-call]


CALL = re.compile(r"connect\(\)((?:\.\w+)+)\(([^\n]*)")


def test_what_messages_tell_to_call_is_there(client: Drive) -> None:
    """Each method that a hint or a page names exists, with the words it is given."""
    pages = ("README.md", "docs/drive.md", "docs/errors.md")
    sources = [path.read_text("utf-8") for path in modules() if "drive" in path.parts]
    calls = CALL.findall("\n".join([*sources, *map(text_of, pages)]))
    assert len(calls) >= 6
    for names, given in calls:
        method: Any = client
        for name in names.split(".")[1:]:
            method = getattr(method, name)
        words = re.findall(r"(\w+)=", given)
        assert set(words) <= set(inspect.signature(method).parameters), names
