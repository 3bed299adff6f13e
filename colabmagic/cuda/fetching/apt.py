"""Ask apt where packages are, without root: it gets a state of its own in the cache.

Lists are checked by apt with the keys of this machine, and packages by us with the hash
that the lists have. Nothing is installed, and the system's own state is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import threading
from typing import TYPE_CHECKING, Final

from colabmagic.cuda.errors import (
    AptBusyError,
    ChecksumError,
    CudaError,
    PlatformUnsupportedError,
    SourceUnreachableError,
)
from colabmagic.cuda.fetching import trouble
from colabmagic.cuda.fetching.address import scrub
from colabmagic.cuda.fetching.cache import write_whole
from colabmagic.cuda.fetching.download import Wanted
from colabmagic.cuda.fetching.lock import age_s, open_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from colabmagic.cuda.fetching.cache import Cache
    from colabmagic.host.command import CommandOutcome

_UPDATE_S: Final = 300.0
_ASK_S: Final = 60.0
_FRESH_S: Final = 3600.0  # lists that are so new are not fetched again
_JUST_S: Final = 60.0  # nor are they where a package is not in them
_SUITE: Final = re.compile(r"(?:https?|file)://?[^\s\[\]\"]+( [\w./~-]+)+")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[\w.+~:-]+)?")
_URI: Final = re.compile(r"'(?P<url>[^']+)' (?P<name>\S+) (?P<size>\d+) (?P<hash>\S+)")
_SHA256: Final = re.compile(r"SHA256:([0-9a-f]{64})")


def resolve(  # noqa: PLR0913 (by keyword)
    packages: Sequence[str],
    *,
    suites: Sequence[str],
    keyring: str | None,
    arch: str,
    cache: Cache,
    run: Callable[..., CommandOutcome],
    fresh: bool = False,
) -> tuple[Wanted, ...]:
    """Return where packages are, with their hashes; what they depend on is not added.

    Parameters
    ----------
    packages
        Names, or ``name=version``.
    suites
        ``URL suite component …`` each, as in a line of ``sources.list``.
    keyring
        File of the keys that may have signed the lists; None: all that apt trusts.
    arch
        As Debian calls it: ``amd64``, ``arm64``.
    cache
        Below it apt gets its state.
    run
        Runs programs.
    fresh
        Fetch the lists, however new they are.

    Raises
    ------
    PlatformUnsupportedError
        There is no apt here.
    SourceUnreachableError
        A list does not come, or has no such package.
    ChecksumError
        A list is not signed by a key of this machine.
    """
    if shutil.which("apt-get") is None:
        raise PlatformUnsupportedError(
            "Debian packages need apt-get, and it is not here",
            seen="no apt-get on PATH",
            hint="another way: --method redist, or --method wheels",
        )
    for line in suites:
        if not _SUITE.fullmatch(line):
            raise ValueError(f"no line of sources.list: {line!r}")
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise ValueError(f"no name of a package: {package!r}")
    state = _State.at(cache, suites, keyring, arch, run)
    with state.locked():
        state.update(fresh=fresh)
        return state.ask(packages)


class _State:
    """A private state of apt.

    Parameters
    ----------
    folder
        Where it lies.
    run
        Runs programs.
    """

    def __init__(self, folder: Path, run: Callable[..., CommandOutcome]) -> None:
        self._folder, self._run = folder, run
        self._settings = folder / "apt.conf"
        self._stamp = folder / "updated"

    @classmethod
    def at(
        cls,
        cache: Cache,
        suites: Sequence[str],
        keyring: str | None,
        arch: str,
        run: Callable[..., CommandOutcome],
    ) -> _State:
        """Return the state for some suites; it is made if it is not there."""
        signed = f" signed-by={keyring}" if keyring else ""
        lines = [f"deb [arch={arch}{signed}] {suite}" for suite in suites]
        key = hashlib.sha256(json.dumps([lines]).encode()).hexdigest()[:16]
        found = cls(cache.root / "apt" / key, run)
        try:
            found._make(lines, arch)
        except OSError as error:
            raise trouble.unwritable(cache.root, error) from None
        return found

    def _make(self, lines: Sequence[str], arch: str) -> None:
        """Write what apt reads: our sources, and of the system's settings the network's.

        Its other settings name scripts that would run, and folders that are not ours.
        """
        folder = self._folder
        for name in ("lists/partial", "archives/partial", "none"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # an address or a proxy may have a login in it
        (folder / "status").touch()
        write_whole(folder / "sources.list", "".join(f"{line}\n" for line in lines))
        network = self._run(["apt-config", "dump", "Acquire"], timeout_s=_ASK_S)
        settings = {
            "Dir::State": f"{folder}",
            "Dir::State::lists": f"{folder}/lists",
            "Dir::State::status": f"{folder}/status",
            "Dir::Cache": f"{folder}",
            "Dir::Cache::archives": f"{folder}/archives",
            "Dir::Etc::sourcelist": f"{folder}/sources.list",
            "Dir::Etc::sourceparts": f"{folder}/none",
            "Dir::Etc::main": f"{folder}/none/apt.conf",
            "Dir::Etc::parts": f"{folder}/none",
            "Dir::Etc::preferences": f"{folder}/none/preferences",
            "Dir::Etc::preferencesparts": f"{folder}/none",
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Sandbox::User": "root",  # not to hand our folder to another user
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
            "Acquire::AllowInsecureRepositories": "false",  # whatever this machine does
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        }
        text = network.stdout if network.ok else ""
        text += "".join(f'{name} "{value}";\n' for name, value in settings.items())
        write_whole(self._settings, text)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time use it; apt itself would fail."""
        descriptor = open_locked(self._folder / "lock", threading.Event())
        assert descriptor is not None
        try:
            yield
        finally:
            os.close(descriptor)

    def update(self, *, fresh: bool) -> None:
        """Fetch the lists, unless they are new."""
        if not fresh and self._stamp.exists() and age_s(self._stamp) < _FRESH_S:
            return
        outcome = self._apt("update", timeout_s=_UPDATE_S)
        if not outcome.ok:
            raise _failure(outcome, "the list of packages")
        self._stamp.touch()

    def ask(self, packages: Sequence[str]) -> tuple[Wanted, ...]:
        """Return where packages are."""
        outcome = self._ask(packages)
        if not outcome.ok and age_s(self._stamp) > _JUST_S:
            self.update(fresh=True)  # it may have come since
            outcome = self._ask(packages)
        if not outcome.ok:
            raise _failure(outcome, ", ".join(packages))
        found = []
        for match in _URI.finditer(outcome.stdout):
            digest = _SHA256.fullmatch(match["hash"])
            if digest is None:
                raise ChecksumError(
                    f"the list of packages has no SHA-256 of {match['name']}",
                    seen=scrub(match["hash"])[:40],
                    hint="another source: --mirror URL",
                )
            name = match["name"].rpartition("/")[2]
            found.append(
                Wanted(
                    url=match["url"],
                    name=name,
                    sha256=digest[1],
                    size=int(match["size"]),
                )
            )
        if len(found) != len(set(packages)):
            raise _failure(outcome, ", ".join(packages))
        return tuple(found)

    def _ask(self, packages: Sequence[str]) -> CommandOutcome:
        """Ask once."""
        return self._apt("download", "--print-uris", *packages, timeout_s=_ASK_S)

    def _apt(self, *arguments: str, timeout_s: float) -> CommandOutcome:
        """Run apt-get on this state."""
        env = {
            **os.environ,
            "APT_CONFIG": str(self._settings),
            "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        return self._run(["apt-get", "-q", *arguments], timeout_s=timeout_s, env=env)


_UNSIGNED: Final = ("not signed", "NO_PUBKEY", "BADSIG", "EXPKEYSIG", "Hash Sum mismatch",
                    "File has unexpected size", "Clearsigned file")  # fmt: skip
_UNKNOWN: Final = ("Unable to locate package", "No packages found", "has no installation",
                   "was not found", "Can't find a source")  # fmt: skip


def _failure(outcome: CommandOutcome, what: str) -> CudaError:
    """Return the error for what apt said."""
    said = [line for line in outcome.stderr.splitlines() if line[:2] in {"E:", "W:"}]
    last = said[0] if said else (outcome.error or outcome.stderr.strip() or "nothing")
    seen = f"apt-get: {scrub(last[2:] if said else last)}"
    seen = f"apt-get: {outcome.how}" if outcome.flooded else seen
    text = outcome.stderr
    if outcome.timed_out:
        return SourceUnreachableError(
            f"{what} did not come in time",
            seen=f"apt-get did not end in {outcome.elapsed_s:.0f} s",
            hint="run the cell again, or name another source: --mirror URL",
        )
    if "is expired" in text or "is not valid yet" in text:
        return ChecksumError(
            "the list of packages is not of today: it is too old, or this clock is wrong",
            seen=seen,
            hint="!date\n(set the clock if it is wrong)\n"
            "or name another source: --mirror URL",
        )
    if any(word in text for word in _UNSIGNED):
        return ChecksumError(
            "the list of packages is not signed as it should be",
            seen=seen,
            hint="run the cell again in some minutes: that server may be changing its files\n"
            "or name another source: --mirror URL",
        )
    if "Could not get lock" in text or "Unable to lock" in text:
        return AptBusyError(
            "apt is busy",
            seen=seen,
            hint="run the cell again when the other one is done",
        )
    if any(word in text for word in _UNKNOWN):
        return SourceUnreachableError(
            f"the archive does not have {what}",
            seen=seen,
            hint="another version: %cuda_install auto; or another way: --method redist",
        )
    return SourceUnreachableError(
        f"{what} did not come",
        seen=seen,
        hint="run the cell again, or name another source: --mirror URL",
    )
