"""What this process has of Drive: its one mount, and its one connection to the API."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.drive.client import API_ROOT_VARIABLE, Drive, connect
from colabmagic.drive.errors import DriveAuthError
from colabmagic.drive.plan import Access, Plan
from colabmagic.drive.report import Account, MountReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from colabmagic.drive.watching.watch import Watcher

KEY_VARIABLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"


@dataclass(eq=False, slots=True)
class Mounted:
    """What is mounted in this process.

    Attributes
    ----------
    plan, mode, path
        As it was asked for, how it is reached, and where; no path in API mode.
    since_s
        Unix time from which on files may have been written under it.
    report
        As it was shown.
    watcher
        None where nobody looks after it.
    """

    plan: Plan
    mode: str
    path: Path | None
    since_s: float
    report: MountReport
    watcher: Watcher | None = None


@dataclass(eq=False, slots=True)
class State:
    """What this process keeps; `client_key` tells what the client was made of."""

    mounted: Mounted | None = None
    client: Drive | None = None
    client_key: tuple[object, ...] | None = None


STATE: Final = State()


def client(access: Access | None = None) -> Drive:
    """Return the connection to the API; the one of the mount, unless another is asked for.

    Parameters
    ----------
    access
        Where something is left out, what was mounted with it counts.

    Raises
    ------
    NoCredentialsError
        There are none.
    """
    mounted = STATE.mounted.plan.access if STATE.mounted else Access()
    wanted = (access or Access()).beside(mounted)
    key = (
        wanted,
        *(os.environ.get(name) for name in (API_ROOT_VARIABLE, KEY_VARIABLE)),
    )
    if STATE.client is None or STATE.client_key != key:
        STATE.client = connect(credentials=wanted.credentials, drive_id=wanted.drive_id)
        STATE.client_key = key
    return STATE.client


@contextlib.contextmanager
def connected(access: Access | None = None) -> Iterator[Drive]:
    """Yield the connection; one whose login is refused is not used again.

    Parameters
    ----------
    access
        As for `client`.
    """
    try:
        yield client(access)
    except DriveAuthError:  # the user may log in again, by whatever tool
        STATE.client = None
        raise


def ask_account(access: Access | None = None) -> Account:
    """Ask Google who is logged in, and how full the Drive is.

    Parameters
    ----------
    access
        As for `client`.
    """
    with connected(access) as drive:
        return Account.of(drive.health())
