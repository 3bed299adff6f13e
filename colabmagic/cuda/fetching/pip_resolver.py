"""Ask pip which wheels it would take, and where they are."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    NoCompilerInPackageError,
    SourceUnreachableError,
)
from colabmagic.cuda.fetching.address import name_of, scrub
from colabmagic.cuda.fetching.download import Wanted, new_session
from colabmagic.cuda.fetching.pip_settings import pip_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from colabmagic.host.command import CommandOutcome

_TIMEOUT_S: Final = 300.0
_LOGIN: Final = re.compile(r"https?://([^\s/@'\"]+)@([^\s/'\"]+)")
_SETTING: Final = re.compile(r"^(\S+)\.(cert|proxy)='(.+)'$", re.MULTILINE)
_ENVIRONMENT: Final = ":env:"
_FINDER: Final = "colabmagic.cuda.fetching.pip_finder"
_NO_VERSION: Final = "No matching distribution found"
_NOTHING: Final = "(from versions: none)"
_NO_NETWORK: Final = (
    "NewConnectionError", "Max retries exceeded", "ConnectTimeoutError", "ReadTimeout",
    "NameResolutionError", "ProxyError", ": connection error:", "confirming the ssl",
    "not a trusted or secure host", "401 Client Error", "403 Client Error",
    "Server Error",
)  # fmt: skip


def finder_argv(requirements: Sequence[str]) -> list[str]:
    """Return the command that asks pip's finder.

    Parameters
    ----------
    requirements
        As pip takes them.
    """
    return [sys.executable, "-P", "-m", _FINDER, *requirements]


def pip_argv(requirements: Sequence[str], report: str) -> list[str]:
    """Return the command of pip that only asks, though it may download to do so.

    Parameters
    ----------
    requirements
        As pip takes them.
    report
        Path of the file that it writes.
    """
    return [
        sys.executable, "-P", "-m", "pip", "install", "-q", "--disable-pip-version-check",
        "--no-input", "--dry-run", "--ignore-installed", "--no-deps",
        "--only-binary", ":all:", "--report", report, *requirements,
    ]  # fmt: skip


def resolve(
    requirements: Sequence[str], *, run: Callable[..., CommandOutcome]
) -> tuple[Wanted, ...]:
    """Return the wheels that pip would take, by the user's own configuration.

    Parameters
    ----------
    requirements
        As pip takes them; what they depend on is not added.
    run
        Runs programs.

    Raises
    ------
    SourceUnreachableError
        The index does not answer.
    NoCompilerInPackageError
        There is no such wheel for this Python and system.
    CudaError
        Pip fails for another reason.
    """
    env = pip_environment("download")
    found = run(finder_argv(requirements), timeout_s=_TIMEOUT_S, env=env)
    if found.ok:
        rows = json.loads(found.stdout.splitlines()[-1])
        return tuple(
            Wanted(url=row["url"], name=name_of(row["url"]), sha256=row["sha256"])
            for row in rows
        )
    return _by_dry_run(requirements, run)  # which also says in words why there is none


def _by_dry_run(
    requirements: Sequence[str], run: Callable[..., CommandOutcome]
) -> tuple[Wanted, ...]:
    """Return the wheels of pip's own report."""
    env = pip_environment("install")
    with tempfile.TemporaryDirectory(prefix="colabmagic-pip-") as folder:
        report = Path(folder) / "report.json"
        argv = pip_argv(requirements, str(report))
        outcome = run(argv, timeout_s=_TIMEOUT_S, env=env)
        if not outcome.ok:
            said = outcome.stderr
            if _NOTHING in said:  # of an index, or because there is no index
                more = run([*argv, "-vvv"], timeout_s=_TIMEOUT_S, env=env)
                said += more.stdout
            raise _failure(requirements, outcome, said)
        try:
            rows = json.loads(report.read_text(encoding="utf-8"))["install"]
            return tuple(_wanted(row) for row in rows)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CudaError(
                "pip's answer cannot be read",
                seen=f"{type(error).__name__} in the report of pip",
                hint=f"!{shlex.quote(sys.executable)} -m pip install --upgrade pip\n"
                "(then run the cell again)",
            ) from None


def _wanted(row: dict[str, Any]) -> Wanted:
    """Return one wheel of the report."""
    info = row["download_info"]
    archive = info.get("archive_info", {})
    sha256 = archive.get("hashes", {}).get("sha256")
    if sha256 is None and str(archive.get("hash", "")).startswith("sha256="):
        sha256 = archive["hash"].removeprefix("sha256=")
    return Wanted(url=info["url"], name=name_of(info["url"]), sha256=sha256)


def as_pip_fetches(
    wanted: Sequence[Wanted], *, run: Callable[..., CommandOutcome]
) -> tuple[tuple[Wanted, ...], Any]:
    """Return files with the logins of pip's configuration, and a session with the rest.

    Pip's report leaves logins out, as it may be read by others. Certificates and a proxy
    that only pip is told of (``pip config set global.cert``) are those of many companies.

    Parameters
    ----------
    wanted
        What `resolve` found.
    run
        Runs programs.

    Returns
    -------
    tuple of Wanted, and requests.Session or None
        No session where pip has neither certificates nor a proxy of its own.
    """
    argv = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "config",
        "list",
        "--disable-pip-version-check",
    ]
    told = run(argv, timeout_s=_TIMEOUT_S).stdout
    logins: dict[str, str] = {}
    for login, host in _LOGIN.findall(told):
        logins.setdefault(host, login)
    found = {name: (where, value) for where, name, value in _SETTING.findall(told)}
    for where, name, value in _SETTING.findall(told):
        if where == _ENVIRONMENT:  # it wins over every file
            found[name] = (where, value)
    settings = {name: value for name, (_, value) in found.items()}
    return tuple(_with_login(each, logins) for each in wanted), _session(settings)


def _session(settings: Mapping[str, str]) -> Any:  # noqa: ANN401 (requests has no types)
    """Return a session with pip's certificates and proxy; None where it has none."""
    if not settings:
        return None
    session = new_session()
    if settings.get("cert"):
        session.verify = settings["cert"]  # requests' own variables come before it
    if settings.get("proxy"):
        session.proxies = dict.fromkeys(("http", "https"), settings["proxy"])
    return session


def _with_login(wanted: Wanted, logins: Mapping[str, str]) -> Wanted:
    """Return a file with the login for its server, where there is one."""
    parts = urlsplit(wanted.url)
    login = logins.get(parts.netloc)
    if login is None:
        return wanted
    url = urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
    return replace(wanted, url=url)


def _failure(
    requirements: Sequence[str], outcome: CommandOutcome, text: str
) -> CudaError:
    """Return the error for what pip said; `text` may have more than its errors."""
    said = [line for line in outcome.stderr.splitlines() if line.strip()]
    errors = [line for line in said if line.startswith("ERROR")] or said
    last = (
        errors[-1].removeprefix("ERROR: ") if errors else (outcome.error or "nothing")
    )
    last = outcome.how if outcome.flooded else last
    seen = f"pip: {scrub(last)}"
    asked = ", ".join(requirements)
    if outcome.timed_out:
        return SourceUnreachableError(
            "the package index does not answer",
            seen=f"pip did not end in {_TIMEOUT_S:.0f} s",
            hint="run the cell again, or name another index: PIP_INDEX_URL",
        )
    if outcome.error is not None or "No module named pip" in outcome.stderr:
        return CudaError(
            "this Python has no pip that works",
            seen=seen,
            hint=f"!{shlex.quote(sys.executable)} -m ensurepip --upgrade\n"
            "(then run the cell again)",
        )
    if any(word in text for word in _NO_NETWORK):
        return SourceUnreachableError(
            f"the package index does not answer for {asked}",
            seen=seen,
            hint="run the cell again, or name another index: "
            "%env PIP_INDEX_URL=URL (yours now: "
            f"{scrub(os.environ.get('PIP_INDEX_URL', '')) or 'of pip config'})",
        )
    if _NO_VERSION in outcome.stderr:
        return NoCompilerInPackageError(
            f"the package index has no wheel for this Python and system of {asked}",
            seen=seen,
            hint="another version: %cuda_install auto; or another way: --method redist",
        )
    if "DO NOT MATCH THE HASHES" in text:
        return ChecksumError(
            f"what came from the package index is damaged, or another file: {asked}",
            seen="pip: the packages do not match the hashes of the index",
            hint="run the cell again in some minutes: that server may be changing its files",
        )
    return CudaError(
        "pip does not find the wheels",
        seen=seen,
        hint=f"!pip download --no-deps {shlex.join(requirements)}\n(shows what pip says)",
    )
