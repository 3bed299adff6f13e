"""Who the user is, by Colab's own means, against a double of Colab."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.drive.account import colab_account
from colabmagic.drive.errors import (
    ConsentDeclinedError,
    DriveError,
    NoCredentialsError,
)
from tests.fakes.colab import PROFILES, Machine, Page, importable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Session:
    """A machine, and the page of its user."""

    def __init__(self, machine: Machine, message: Any) -> None:  # noqa: ANN401
        self.machine, self.message = machine, message

    def use(self, page: Page | str) -> None:
        """Exchange the page."""
        self.message.page = PROFILES[page]() if isinstance(page, str) else page


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Yield a machine with the web page in front of it."""
    machine = Machine(tmp_path / "vm")
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VERTEX_PRODUCT", raising=False)
    with importable(Page()) as message:
        yield Session(machine, message)


def test_secrets(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value, None for one that is not there, and an error for the two other cases."""
    root = session.machine.root
    session.use(Page(secrets={"KEY": "s3cret"}))
    assert colab_account.secret("KEY", sysroot=root) == "s3cret"
    assert colab_account.secret("OTHER", sysroot=root) is None
    session.use(PROFILES["refusing"](secrets={"KEY": "s3cret"}))
    with pytest.raises(NoCredentialsError, match="may not read") as caught:
        colab_account.secret("KEY", sysroot=root)
    assert "key in the bar" in caught.value.hint
    with pytest.raises(NoCredentialsError, match="name of a secret"):
        colab_account.secret("two words", sysroot=root)
    session.use("auth_only")
    monkeypatch.setattr(sys.modules["google.colab.userdata"], "TIMEOUT_S", 0.1)
    with pytest.raises(NoCredentialsError, match="nobody answered") as caught:
        colab_account.secret("KEY", sysroot=root)
    assert "VS Code" in str(caught.value)


def test_no_secrets_off_colab(tmp_path: Path) -> None:
    """Elsewhere there are none, and nobody is asked."""
    assert colab_account.secret("KEY", sysroot=tmp_path) is None


def test_authenticate(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is asked once; who is logged in is not asked again."""
    root = session.machine.root
    colab_account.authenticate(sysroot=root)
    colab_account.authenticate(sysroot=root)
    assert session.message.asked == [
        ("request_auth", {"authType": "auth_user_ephemeral"})
    ]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("page", "kind", "words"),
    [
        ("refusing", ConsentDeclinedError, "tick every box"),
        ("silent", ConsentDeclinedError, "nobody answered"),
    ],
)
def test_authenticate_ends_with_its_cause(
    session: Session, page: str, kind: type[DriveError], words: str
) -> None:
    """A no is a no; without an answer Google's code would wait for ever, ours does not."""
    session.use(page)
    with pytest.raises(kind) as caught:
        colab_account.authenticate(timeout_s=0.3, sysroot=session.machine.root)
    assert words in str(caught.value)


def test_authenticate_ends_in_another_thread_too(session: Session) -> None:
    """Where no alarm can be set, it ends all the same."""
    session.use("silent")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            colab_account.authenticate(timeout_s=0.3, sysroot=session.machine.root)
        except ConsentDeclinedError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert [type(error) for error in errors] == [ConsentDeclinedError]


def test_a_log_in_that_comes_to_nothing(session: Session) -> None:
    """Google's own error is passed on in our words."""
    (session.machine.root / "content/no-adc").touch()
    with pytest.raises(NoCredentialsError, match="came to nothing"):
        colab_account.authenticate(sysroot=session.machine.root)


@pytest.mark.parametrize("enterprise", [True, False])
def test_nobody_to_log_in(tmp_path: Path, enterprise: bool) -> None:  # noqa: FBT001 (a parameter)
    """Enterprise and other machines are known before anything is tried."""
    env = {"VERTEX_PRODUCT": "COLAB_ENTERPRISE"} if enterprise else {}
    with pytest.raises(NoCredentialsError):
        colab_account.authenticate(env=env, sysroot=tmp_path)
