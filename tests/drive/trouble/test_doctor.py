"""The doctor finds each known cause, changes nothing, shows nothing secret, never falls ill."""

from __future__ import annotations

import json
import logging
import socket
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import auth, tokens
from colabmagic.drive.trouble import doctor, last_error
from colabmagic.drive.trouble.doctor import examine
from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.drive.trouble.doctor_report import DoctorReport

MARK = "MARKERd0c7"
COLAB = {"COLAB_RELEASE_TAG": "release-colab_20250902"}


@pytest.fixture(autouse=True)
def _no_metadata(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep google-auth from what this machine has, and from asking for Google's own."""
    from google.auth.compute_engine import _metadata

    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


class Health(Enum):
    """As a look at a mount finds it."""

    ALIVE = "alive"
    DEAD = "dead"
    HUNG = "hung"
    FAILING = "failing"
    ABSENT = "absent"


@pytest.fixture
def env(drive: FakeDrive, tmp_path: Path) -> dict[str, str]:
    """Return an environment with a login of ours, for the Drive on loopback."""
    env = {
        "COLABMAGIC_HOME": str(tmp_path / "home"),
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "COLABMAGIC_DRIVE_API_ROOT": drive.url,
    }
    path = auth.token_path(env)
    path.parent.mkdir(parents=True)
    info = {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": f"{MARK}-secret",
        "refresh_token": f"{MARK}-refresh",
        "token_uri": f"{drive.url}/token",
        "scopes": [auth.WRITE],
    }
    path.write_text(json.dumps(info))
    path.chmod(0o600)
    return env


@pytest.fixture
def look(env: dict[str, str], tmp_path: Path) -> Callable[..., DoctorReport]:
    """Return the doctor, on a machine that has all it needs, but for what a test says."""
    (tmp_path / "root/dev").mkdir(parents=True)
    (tmp_path / "root/dev/fuse").touch()

    def examined(**more: Any) -> DoctorReport:  # noqa: ANN401
        usual: dict[str, Any] = {
            "env": env, "sysroot": tmp_path / "root", "folder": tmp_path,
            "mounts": list, "probe": _probe(Health.ALIVE), "pending": lambda _: [],
        }  # fmt: skip
        return examine(**{**usual, **more})

    return examined


def _probe(health: Health, seen: str = "seen") -> Callable[[Path], Any]:
    return lambda _: SimpleNamespace(health=health, errno=None, seen=seen, seconds=0.1)


def _mount(path: str = "/content/drive", kind: str = "fuse.drive") -> list[Any]:
    return [SimpleNamespace(path=Path(path), source="drive", kind=kind, options=())]


def _log(**lines: str) -> Callable[[], Any]:
    told = {"quota": None, "timed_out": None, "policy": None, "tail": (), **lines}
    return lambda: SimpleNamespace(**told)


def codes(report: DoctorReport) -> list[str]:
    """Return what was found, but for how full this machine is."""
    return [one.code for one in report.findings if one.code != "disk-low"]


def test_all_is_well(look: Callable[..., DoctorReport]) -> None:
    """Then there is one line, and what was looked at."""
    report = look()
    assert report.ok
    assert codes(report) == []
    checks = dict(report.checks)
    assert list(checks) == [
        "host", "login", "Google", "storage", "mount", "/dev/fuse", "local disk",
    ]  # fmt: skip
    assert checks["login"] == "a user's login, from the login of --login (drive)"
    assert checks["Google"].startswith("answers ")
    assert checks["mount"] == "none"
    assert checks["/dev/fuse"] == "usable"
    assert "NOTHING WRONG" in report.headline


def test_no_login(look: Callable[..., DoctorReport], env: dict[str, str]) -> None:
    """What to do is said; Google is not asked."""
    auth.token_path(env).unlink()
    report = look()
    assert codes(report) == ["no-credentials"]
    assert not report.ok
    assert "Google" not in dict(report.checks)
    assert "1 THING TO MEND" in report.headline


def test_a_login_that_ended(
    drive: FakeDrive, look: Callable[..., DoctorReport]
) -> None:
    """The 7 days of “Testing” are named."""
    drive.store.revoked_refresh_tokens.add(f"{MARK}-refresh")
    report = look()
    assert codes(report) == ["testing-7-days"]
    assert "Publish app" in report.text
    assert MARK not in report.text


def test_a_login_for_something_else(
    look: Callable[..., DoctorReport], env: dict[str, str]
) -> None:
    """It is known from its file."""
    path = auth.token_path(env)
    path.write_text(path.read_text().replace(auth.WRITE, "openid"))
    assert codes(look()) == ["scope-missing"]
    path.write_text(path.read_text().replace("openid", auth.READ))
    report = look()
    assert codes(report) == []  # good for what it is for
    assert "(drive.readonly)" in dict(report.checks)["login"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "reset"}, "connection-failed"),
        ({"kind": "status", "code": 503, "reason": "backendError"}, "server-failed"),
        ({"kind": "status", "code": 403, "reason": "insufficientPermissions"}, "scope-missing"),
        ({"kind": "status", "code": 403, "reason": "accessNotConfigured"}, "drive-api-off"),
        ({"kind": "status", "code": 403, "reason": "dailyLimitExceeded"}, "daily-limit"),
    ],
)  # fmt: skip
def test_what_google_says(
    drive: FakeDrive,
    look: Callable[..., DoctorReport],
    fault: dict[str, Any],
    code: str,
) -> None:
    """Each refusal is explained, after one attempt."""
    drive.faults.load([{**fault, "match": "/about", "times": 9}])
    report = look()
    assert codes(report) == [code]
    assert dict(report.checks)["Google"] == "refuses, or is not reached"
    assert sum("/about" in record.line for record in drive.requests) <= 2


def test_a_server_that_does_not_answer(
    look: Callable[..., DoctorReport],
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The doctor waits for seconds, not for google-auth's two minutes."""
    monkeypatch.setattr(doctor, "_ANSWER_S", 0.2)
    path = auth.token_path(env)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        info = {**json.loads(path.read_text()), "token_uri": address}
        path.write_text(json.dumps(info))
        report = look()
    assert codes(report) == ["connection-failed"]
    assert report.elapsed_s is not None
    assert report.elapsed_s < 5


@pytest.mark.parametrize(
    ("used", "code"), [(10, None), (96, "drive-nearly-full"), (100, "storage-quota")]
)
def test_how_full_it_is(
    look: Callable[..., DoctorReport], env: dict[str, str], used: int, code: str | None
) -> None:
    """A warning before it is full, an error when it is."""
    with FakeDrive(storage_limit=100) as small:
        small.store.add_file("a", b"x" * used)
        env["COLABMAGIC_DRIVE_API_ROOT"] = small.url
        path = auth.token_path(env)
        info = {**json.loads(path.read_text()), "token_uri": f"{small.url}/token"}
        path.write_text(json.dumps(info))
        report = look()
    assert codes(report) == ([code] if code else [])
    assert "limit 100 bytes" in dict(report.checks)["storage"]


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (Health.DEAD, "mount-dead"),
        (Health.HUNG, "mount-hung"),
        (Health.FAILING, "mount-io-error"),
    ],
)
def test_mounts(look: Callable[..., DoctorReport], health: Health, code: str) -> None:
    """Each is tried, and named."""
    report = look(mounts=_mount, probe=_probe(health, "errno 107"))
    assert codes(report) == [code]
    assert "/content/drive: errno 107" in report.text
    assert dict(report.checks)["mount /content/drive"] == health.value


def test_two_dead_mounts(look: Callable[..., DoctorReport]) -> None:
    """Both are told."""
    report = look(
        mounts=lambda: _mount("/content/a") + _mount("/content/b"),
        probe=_probe(Health.DEAD),
    )
    assert codes(report) == ["mount-dead", "mount-dead"]


def test_what_is_not_uploaded(look: Callable[..., DoctorReport]) -> None:
    """Under Colab's mount only; a few names are shown, whatever is in them."""
    asked: list[Path] = []

    def pending(root: Path) -> list[Path]:
        asked.append(root)
        return [root / "<b>\x1b[2J.pt", *(root / f"{number}.pt" for number in range(9))]

    report = look(mounts=_mount, pending=pending)
    assert asked == [Path("/content/drive/MyDrive")]
    assert codes(report) == ["writes-pending"]
    assert report.ok  # a warning
    assert "10 files" in report.text
    assert "\x1b" not in report.text
    assert "<b>" not in report.html
    assert (
        codes(look(mounts=lambda: _mount(kind="fuse.colabmagic"), pending=pending))
        == []
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [("quota", "log-quota"), ("timed_out", "log-timed-out"), ("policy", "log-policy")],
)
def test_the_log(look: Callable[..., DoctorReport], name: str, code: str) -> None:
    """What Colab's program was refused is told."""
    report = look(log=_log(**{name: "a line <i>"}))
    assert codes(report) == [code]
    assert "a line <i>" in report.text
    assert dict(look(log=_log()).checks)["log of Colab's Drive"] == "no trouble"


@pytest.mark.parametrize(
    ("left", "found", "shown"),
    [
        (1200.0, ["vm-ends"], "about 20 min left, at the latest"),
        (7200.0, [], "about 2 h left, at the latest"),
        ("unknown (no clock)", [], "unknown (no clock)"),
    ],
)
def test_the_machines_end(
    look: Callable[..., DoctorReport], left: object, found: list[str], shown: str
) -> None:
    """There is a warning in the last hour."""
    report = look(left_s=lambda: left)
    assert codes(report) == found
    assert dict(report.checks)["life of the machine"] == shown


def test_a_machine_older_than_free_ones_become(
    look: Callable[..., DoctorReport], env: dict[str, str], tmp_path: Path
) -> None:
    """Its time is counted to the limit of paid ones, by the machine's own clock."""
    for name in ("var/colab", "proc"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "root/var/colab/hostname").write_text("x")
    (tmp_path / "root/proc/uptime").write_text("46800.0 1.0\n")
    report = look(env={**env, **COLAB}, log=_log())
    assert codes(report) == []
    checks = dict(report.checks)
    assert checks["life of the machine"] == "about 11 h left, at the latest"


def test_no_fuse(look: Callable[..., DoctorReport], tmp_path: Path) -> None:
    """It is a note: all but the mount works."""
    (tmp_path / "root/dev/fuse").unlink()
    report = look()
    assert codes(report) == ["no-fuse"]
    assert report.ok
    assert "NOTHING WRONG" in report.headline


def test_a_full_disk(
    look: Callable[..., DoctorReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for staged data is told, and a warning given when it is little."""
    for free, expected in ((4_000_000_000, True), (6_000_000_000, False)):
        usage = SimpleNamespace(total=9, used=0, free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        found = [one.code for one in look().findings]
        assert ("disk-low" in found) is expected


def test_a_login_that_others_can_read(
    look: Callable[..., DoctorReport], env: dict[str, str]
) -> None:
    """It is told, with the command; the doctor changes nothing."""
    path = auth.token_path(env)
    path.chmod(0o644)
    report = look()
    assert codes(report) == ["token-open"]
    assert "!chmod 600" in report.text
    assert tokens.is_open_to_others(path)


def test_on_colab_nobody_is_asked(
    drive: FakeDrive, env: dict[str, str], tmp_path: Path, look: Callable[..., DoctorReport]
) -> None:  # fmt: skip
    """No window opens for the doctor; that there is no login yet is no illness."""
    (tmp_path / "root/var/colab").mkdir(parents=True)
    (tmp_path / "root/var/colab/hostname").write_text("x")
    auth.token_path(env).unlink()
    report = look(env={**env, **COLAB}, log=_log(), left_s=lambda: 9999.0)
    assert codes(report) == []
    assert dict(report.checks)["login"] == "none yet: Colab asks you when it is needed"
    assert drive.requests == []


def test_enterprise(
    look: Callable[..., DoctorReport], env: dict[str, str], tmp_path: Path
) -> None:
    """That it cannot mount is told."""
    (tmp_path / "root/var/colab").mkdir(parents=True)
    (tmp_path / "root/var/colab/hostname").write_text("x")
    env |= {**COLAB, "VERTEX_PRODUCT": "COLAB_ENTERPRISE"}
    assert "enterprise" in codes(look(log=_log(), left_s=lambda: 9999.0))


def test_the_last_error_is_explained(
    look: Callable[..., DoctorReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is given, or else the one that the last cell has ended with."""
    error = errors.DownloadQuotaError("too often", seen="HTTP 403", hint="make a copy")
    report = look(error=error)
    assert codes(report) == ["download-quota"]
    assert "make a copy" in report.text
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    assert codes(look()) == ["download-quota"]
    monkeypatch.setattr(sys, "last_value", ValueError(MARK))
    assert codes(look()) == []
    last_error.remember(error)
    try:
        assert codes(look()) == ["download-quota"]
    finally:
        last_error.forget()


def test_the_disk_is_that_of_the_data(
    look: Callable[..., DoctorReport], env: dict[str, str], tmp_path: Path
) -> None:
    """A folder called /content counts on Colab alone."""
    content = tmp_path / "root/content"
    content.mkdir()
    assert str(content) not in dict(look(folder=None).checks)["local disk"]
    env |= COLAB
    (tmp_path / "root/var/colab").mkdir(parents=True)
    (tmp_path / "root/var/colab/hostname").write_text("x")
    checks = dict(look(folder=None, log=_log(), left_s=lambda: 9999.0).checks)
    assert str(content) in checks["local disk"]


def test_one_trouble_is_one_thing(look: Callable[..., DoctorReport]) -> None:
    """What the last error and a check both found is told once, with all that was seen."""
    error = errors.ConnectionFailedError(
        "cannot reach www.googleapis.com", seen="no answer", hint="look at the network"
    )
    report = look(error=error, api_root="http://127.0.0.1:1")
    assert codes(report) == ["connection-failed"]
    assert "1 THING TO MEND" in report.headline
    (found,) = [one for one in report.findings if one.code == "connection-failed"]
    assert {"no answer", "connection refused"} <= set(found.evidence)
    assert len(found.fix) == len(set(found.fix))
    assert report.text.count("look at the network") == 1


def test_a_check_that_fails_hurts_no_other(look: Callable[..., DoctorReport]) -> None:
    """It is told by the name of its trouble, and the rest is done."""

    def broken(_: Path) -> None:
        raise PermissionError(MARK)

    report = look(mounts=_mount, probe=broken)
    assert codes(report) == ["check-failed"]
    assert "mount: PermissionError" in report.text
    assert MARK not in report.text
    assert dict(report.checks)["/dev/fuse"] == "usable"


def test_credentials_as_an_object(
    drive: FakeDrive, look: Callable[..., DoctorReport]
) -> None:
    """Those that `connect` takes serve here too."""
    from google.oauth2.credentials import Credentials

    report = look(credentials=Credentials(drive.token))  # type: ignore[no-untyped-call]
    assert codes(report) == []
    assert dict(report.checks)["login"] == "given as an object"


def test_an_address_that_is_not_safe(
    look: Callable[..., DoctorReport], drive: FakeDrive
) -> None:
    """A login is not sent where anybody can read it."""
    report = look(api_root="http://drive.example/")
    assert not report.ok
    assert "anybody can read" in " ".join(report.text.split())
    assert drive.requests == []


def test_nothing_secret_is_shown(
    drive: FakeDrive, look: Callable[..., DoctorReport], caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In no form, nor in a log; nor the whole address of the user."""
    caplog.set_level(logging.DEBUG)
    report = look()
    shown = [
        report.text,
        report.html,
        report.to_json(),
        repr(report),
        *capfd.readouterr(),
    ]
    shown += [str(value) for value in report._repr_mimebundle_().values()]
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    told = "\n".join(shown)
    assert MARK not in told
    assert not [token for token in drive.store.access_tokens if token in told]
    assert "…@" in dict(report.checks)["Google"]


def test_as_data(look: Callable[..., DoctorReport]) -> None:
    """A script reads codes and checks."""
    data = json.loads(look(mounts=_mount, probe=_probe(Health.DEAD)).to_json())
    assert data["ok"] is False
    assert data["findings"][0]["code"] == "mount-dead"
    assert data["checks"]["mount /content/drive"] == "dead"
