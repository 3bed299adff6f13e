"""Credentials on Colab: whom we ask, in which order, and who is never asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import auth
from colabmagic.drive.trouble.doctor import examine
from tests.drive.leaks import everything
from tests.fakes.colab import PROFILES, Machine, Page, importable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MARK = "MARKERc01a"


class Colab:
    """A machine with a page in front of it, and what is found there."""

    def __init__(self, machine: Machine, message: Any, env: dict[str, str]) -> None:  # noqa: ANN401
        self.machine, self.message, self.env = machine, message, env

    @property
    def asked(self) -> list[str]:
        """Return the kinds of what the page was asked."""
        return [kind for kind, _ in self.message.asked]

    def show(self, profile: str, secrets: Mapping[str, str] | None = None) -> None:
        """Exchange the page."""
        self.message.page = PROFILES[profile](secrets=dict(secrets or {}))

    def locate(self, given: str | None = None, **options: Any) -> auth.Found:  # noqa: ANN401
        """Look for credentials."""
        return auth.locate(given, env=self.env, sysroot=self.machine.root, **options)


def _login(name: str) -> str:
    info = {"type": "authorized_user", "client_id": "id", "client_secret": MARK}
    return json.dumps({**info, "refresh_token": f"{MARK}-{name}"})


def _name(found: auth.Found) -> str:
    return str(found.credentials.refresh_token).removeprefix(f"{MARK}-")  # type: ignore[attr-defined]


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Colab]:
    """Yield a machine of Colab, to whose page a person says yes."""
    from google.auth.compute_engine import _metadata

    machine = Machine(tmp_path / "vm")
    gcloud = tmp_path / "gcloud"
    gcloud.mkdir()
    env = {
        **machine.env,
        "COLABMAGIC_HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(gcloud),
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for name in ("VERTEX_PRODUCT", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True, raising=False)
    with importable(Page()) as message:
        yield Colab(machine, message, env)


@pytest.fixture
def own_login(colab: Colab) -> Callable[[], None]:
    """Return what makes a login of ours be there."""

    def make() -> None:
        path = auth.token_path(colab.env)
        path.parent.mkdir(parents=True)
        path.write_text(_login("own"))
        path.chmod(0o600)

    return make


def test_the_page_is_asked_first(colab: Colab, own_login: Callable[[], None]) -> None:
    """After one click, Google's own libraries find what Colab gives them."""
    own_login()
    auth.adc_path(colab.env).write_text(_login("colab"))
    found = colab.locate()
    assert (found.source, _name(found)) == ("Colab's login", "colab")
    assert colab.asked == ["request_auth"]


def test_what_is_named_asks_nobody(colab: Colab, tmp_path: Path) -> None:
    """A file, given or by the variable, goes before the page."""
    file = tmp_path / "named.json"
    file.write_text(_login("named"))
    assert _name(colab.locate(str(file))) == "named"
    colab.env["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
    assert _name(colab.locate()) == "named"
    assert colab.asked == []


def test_a_no_is_no_end(colab: Colab, own_login: Callable[[], None]) -> None:
    """Then the secret serves, then our own login, and only then it is an error."""
    colab.show("refusing")
    with pytest.raises(errors.ConsentDeclinedError, match="not allowed"):
        colab.locate()
    own_login()
    assert _name(colab.locate()) == "own"


def test_a_secret(colab: Colab) -> None:
    """By name, and the one that we look for where Colab's login comes to nothing."""
    (colab.machine.root / "content/no-adc").touch()
    secrets = {auth.SECRET_NAME: _login("usual"), "mine": _login("mine")}
    colab.show("web", secrets)
    assert _name(colab.locate("secret:mine")) == "mine"
    assert colab.asked == ["GetSecret"]
    found = colab.locate()
    assert (found.source, _name(found)) == ("a secret of Colab", "usual")
    with pytest.raises(errors.NoCredentialsError, match="no secret called 'none'"):
        colab.locate("secret:none")
    colab.show("web", {"mine": MARK})
    with pytest.raises(
        errors.NoCredentialsError, match="holds no credentials"
    ) as caught:
        colab.locate("secret:mine")
    assert MARK not in everything(caught.value)


def test_the_doctor_asks_nobody(colab: Colab) -> None:
    """Not for permission, and not for a secret."""
    colab.show("web", {auth.SECRET_NAME: _login("usual")})
    report = examine(env=colab.env, sysroot=colab.machine.root, mounts=list)
    assert colab.asked == []
    assert dict(report.checks)["login"] == "none yet: Colab asks you when it is needed"
    assert "life of the machine" in dict(report.checks)
    assert dict(report.checks)["log of Colab's Drive"] == "no trouble"
