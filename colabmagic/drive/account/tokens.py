"""A login as it is kept: read without showing it, written for one user alone.

What a credentials file holds must not get out, not even by a traceback that shows
variables: it is kept in `Hidden`, and no error is raised while another one is handled
that knows it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from google.oauth2.credentials import Credentials

from colabmagic.drive.errors import DriveError, NoCredentialsError
from colabmagic.drive.words import home, local

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
LONGEST: Final = 60  # of foreign text that is shown
_MOST_BYTES: Final = 1 << 20
_MOST: Final = 5  # scopes that are shown
_PUBLIC: Final = "googleapis.com"  # the universe that nearly everybody is in
_HOME: Final = "COLABMAGIC_HOME"
_OWN_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_OTHERS_MAY: Final = stat.S_IRWXG | stat.S_IRWXO


class Hidden(dict[str, Any]):
    """What a file of credentials holds; it never shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Say nothing."""
        return "<hidden>"


def token_path(env: Mapping[str, str] | None = None) -> Path:
    """Return where a login of ours is kept.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    """
    env = os.environ if env is None else env
    config = Path(env.get("XDG_CONFIG_HOME", ""))
    base = config if config.is_absolute() else home() / ".config"
    if env.get(_HOME):
        base = _below_home(env[_HOME])
    return base / "colabmagic" / "drive-token.json"


def _below_home(given: str) -> Path:
    """Return a folder that a variable names: never one of the working directory.

    That may be a repository, and what lies in it is soon everybody's. A shell leaves ``~``
    as it is where the variable is set with quotes, and ``%env`` does so always.
    """
    path = Path(given)
    with contextlib.suppress(RuntimeError):  # a user who is not known
        path = path.expanduser()
    return path if path.is_absolute() else home() / path


def read_small(path: Path) -> str:
    """Return the text of a file that cannot be large.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        It cannot be read, is no file, too large, or no text.
    """
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, and no file")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(errno.EFBIG, "it is too large for one")
    with contextlib.suppress(UnicodeDecodeError):  # which knows the bytes
        return data.decode("utf-8")
    del data
    raise OSError(errno.EILSEQ, "it is no text")


def _opened(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def unusable(name: str, reason: str) -> DriveError:
    """Return the error for a file or secret that holds no credentials.

    Parameters
    ----------
    name
        What was read.
    reason
        What is wrong with it.
    """
    return NoCredentialsError(
        f"{name} holds no credentials that can be used",
        seen=reason,
        hint="name another file: a service account's key, or what %mount_drive --login has made",
    )


def parse(
    read: Callable[[], str],
    name: str,
    refuse: Callable[[str, str], DriveError] = unusable,
) -> Hidden:
    """Return JSON as a dict that does not show itself.

    Parameters
    ----------
    read
        Returns the text; no name of ours is to hold it.
    name
        Of what is read.
    refuse
        Returns the error for a name, and what is wrong with it.

    Raises
    ------
    DriveError
        It is no JSON object.
    """
    info: object = None
    text = [read()]  # not a name of ours: a traceback may show names
    reason = "it is no JSON object" if text[0].strip() else "it is empty"
    with contextlib.suppress(ValueError, RecursionError):  # they know the text
        info = json.loads(text.pop(), object_hook=Hidden)
    if isinstance(info, Hidden):
        return info
    info = None  # a list, or a text
    raise refuse(name, reason)


def read_json(
    named: str | Path,
    unreadable: Callable[[str], DriveError],
    refuse: Callable[[str, str], DriveError] = unusable,
) -> tuple[Path, Hidden]:
    """Return the place of a file of credentials, and the JSON in it.

    Parameters
    ----------
    named
        The file; ``~`` is a home.
    unreadable
        Returns the error for a file that cannot be had, by the reason.
    refuse
        As for `parse`.

    Raises
    ------
    DriveError
        One of both.
    """
    reason = ""
    text: list[str] = []
    path = Path()
    try:
        path = local(named)
        text.append(read_small(path))
    except DriveError as error:
        reason = error.what
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise unreadable(reason)
    return path, parse(text.pop, repr(path.name), refuse)


def user_credentials(info: Hidden) -> Credentials:
    """Return a user's credentials, with the addresses that the file names.

    google-auth's own way sets Google's address whatever the file says, which shuts out
    other universes, and servers for tests.

    Parameters
    ----------
    info
        What the file holds.

    Raises
    ------
    KeyError
        Something is missing; with its name.
    """
    for name in ("refresh_token", "client_id", "client_secret"):
        if not isinstance(info.get(name), str) or not info[name]:
            raise KeyError(name)
    options = {}
    if info.get("quota_project_id"):
        options["quota_project_id"] = info["quota_project_id"]
    if info.get("universe_domain", _PUBLIC) != _PUBLIC:  # older google-auth knows none
        options["universe_domain"] = info["universe_domain"]
    made: Any = Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=info["refresh_token"],
        token_uri=info.get("token_uri") or TOKEN_URI,
        client_id=info["client_id"],
        client_secret=info["client_secret"],
        scopes=scopes_of(info),
        **options,
    )
    return made  # type: ignore[no-any-return]


def scopes_of(info: Hidden) -> tuple[str, ...] | None:
    """Return the scopes that a file names; None where it names none.

    Parameters
    ----------
    info
        What the file holds.
    """
    named = info.get("scopes") or info.get("scope")
    if not named:
        return None
    return tuple(named.split() if isinstance(named, str) else map(str, named))


def in_short(scopes: Sequence[str]) -> str:
    """Return the first of some scopes, each without the address that it begins with.

    Parameters
    ----------
    scopes
        From outside: they are cut.
    """
    return ", ".join(scope.rpartition("/")[2][:LONGEST] for scope in scopes[:_MOST])


def check_address(address: str, entry: str, name: str) -> None:
    """Refuse an address to which a secret would travel for all to read.

    Parameters
    ----------
    address
        Of a token server.
    entry, name
        Where it stands.

    Raises
    ------
    NoCredentialsError
        It is neither https nor this machine.
    """
    try:
        parts = urlsplit(address)
        safe = parts.scheme == "https" and bool(parts.hostname)
        own = parts.scheme == "http" and parts.hostname in _OWN_MACHINE
    except ValueError:
        safe = own = False
    if not (safe or own):
        raise NoCredentialsError(
            f"{name} would send secrets over a connection that anybody can read",
            seen=f"{entry} {address[:LONGEST]!r}",
            hint="get the file anew from Google's page: its addresses begin with https://",
        )


def is_open_to_others(path: Path) -> bool:
    """Tell whether other users of the machine can read or change a file.

    Parameters
    ----------
    path
        The file; one that is not there is open to nobody.
    """
    if os.name == "nt":  # there, rights are not in the mode
        return False
    with contextlib.suppress(OSError):
        return bool(path.stat().st_mode & _OTHERS_MAY)
    return False


def tighten(path: Path) -> None:
    """Take a file from all others; warn where that cannot be done.

    Parameters
    ----------
    path
        A login.
    """
    if not is_open_to_others(path):
        return
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    if is_open_to_others(path):
        warnings.warn(
            f"other users of this machine can read your login: chmod 600 {str(path)!r}",
            stacklevel=2,
        )


def store(credentials: Any, path: Path | None = None) -> Path:  # noqa: ANN401 (google-auth's)
    """Keep a login, for this user alone; it appears as a whole, or not at all.

    Parameters
    ----------
    credentials
        Of a user, with a refresh token. The access token is not kept: it lives for an
        hour, and is asked for anew.
    path
        Left out: where `find_credentials` looks.
    """
    path = path or token_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    info = Hidden(
        type="authorized_user",
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
        refresh_token=credentials.refresh_token,
        token_uri=credentials.token_uri,
        scopes=list(credentials.scopes or ()),
        universe_domain=getattr(credentials, "universe_domain", _PUBLIC),
    )
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:  # 0600 by mkstemp
            json.dump(info, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:  # also Ctrl-C: what was begun holds the secret
        Path(fresh).unlink(missing_ok=True)
        raise
    return path
