"""What ``--ls``, ``--status`` and ``--sync`` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.drive.archive.pack import count_hint
from colabmagic.drive.report import (
    TITLE,
    DriveReport,
    counted,
    note,
    what_to_type,
)
from colabmagic.drive.words import quoted
from colabmagic.host.vm_clock import duration
from colabmagic.report.model import Code, Field, Finding, Report, Severity, Table
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from colabmagic.drive.api.files import RemoteFile
    from colabmagic.drive.errors import DriveError
    from colabmagic.drive.report import Account

_MOST_ROWS: Final = 50


@dataclass(frozen=True, kw_only=True, repr=False)
class ListReport(DriveReport):
    """What lies in a folder on Drive.

    Attributes
    ----------
    path
        Of the folder.
    entries
        What is in it; folders first, then by name.
    """

    path: str
    entries: tuple[RemoteFile, ...]

    @property
    def names(self) -> list[str]:
        """Return the names."""
        return [each.name for each in self.entries]

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        files = [each for each in self.entries if not each.is_folder]
        folders = len(self.entries) - len(files)
        size = in_words(sum(each.size or 0 for each in files))
        findings = []
        if len(self.entries) > _MOST_ROWS:
            findings.append(
                note(
                    "more", f"{len(self.entries) - _MOST_ROWS:,} more: .entries has all"
                )
            )
        hint = count_hint(self.path, len(self.entries))
        if hint is not None:
            findings.append(note("many-files", hint, Severity.WARN))
        return Report(
            title=f"{TITLE} --ls",
            verdict=self.path,
            summary=f"{counted(folders, 'folder')}, {counted(len(files), 'file')}, {size}",
            findings=tuple(findings),
            tables=(_listing(self.path, self.entries[:_MOST_ROWS]),) if self.entries else (),
        )  # fmt: skip


def _listing(path: str, entries: Sequence[RemoteFile]) -> Table:
    """Return the table of a listing."""
    return Table(
        caption=f"in {path}",
        columns=("Name", "Size", "Changed"),
        rows=tuple(
            (
                each.name + ("/" if each.is_folder else ""),
                "" if each.size is None else in_words(each.size),
                each.modified.replace("T", " ")[:16],
            )
            for each in entries
        ),
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class StatusReport(DriveReport):
    """How the mounted Drive is.

    Attributes
    ----------
    mode, path
        As in `MountReport`; mode is None where nothing is mounted.
    health
        ``alive``, ``dead``, ``hung``, ``failing``, ``absent``; None in API mode.
    seen
        What shows it.
    account
        None where no credentials for the API are here.
    watched, probes, healed, failed
        The watcher: whether it runs, how often it looked, and what came of it.
    vm_age_s, vm_left_s
        Of Colab's machine; None elsewhere.
    pending
        Files that Drive has not uploaded yet, as far as it can be seen.
    pending_known
        Whether that could be asked.
    notes, events
        What the user should know; what the watcher has told.
    needs_login
        Whether nothing works here before a login, where none is known.
    refused
        Why the API does not tell the account; None where it does, or was not asked.
    """

    mode: str | None
    path: Path | None = None
    health: str | None = None
    seen: str = ""
    account: Account | None = None
    watched: bool = False
    probes: int = 0
    healed: int = 0
    failed: int = 0
    vm_age_s: float | None = None
    vm_left_s: float | None = None
    pending: tuple[Path, ...] = ()
    pending_known: bool = False
    notes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    needs_login: bool = False
    refused: DriveError | None = None

    @property
    def ok(self) -> bool:
        """Tell whether Drive can be used."""
        is_there = self.path is not None or self.account is not None
        return is_there and self.health in {None, "alive"}

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        return Report(
            title=TITLE,
            verdict=self._verdict(),
            summary="" if self.path is None else f"at {self.path}",
            findings=tuple(self._findings()),
            fields=tuple(self._fields()),
        )

    def _verdict(self) -> str:
        """Return the answer in a word."""
        if self.mode is None:
            return "LOGGED IN, NOT MOUNTED" if self.account else "NOT MOUNTED"
        if self.mode == "api":
            return "CONNECTED" if self.account is not None else "NOT REACHED"
        if self.health == "absent":
            return "NOT MOUNTED ANY MORE"
        return "MOUNTED, " + (self.health or "not looked at").upper()

    def _findings(self) -> list[Finding]:
        """Return what was noticed."""
        found = []
        if self.mode is None:
            found += self._without_folder()
        elif self.path is not None and not self.ok:
            is_gone = self.health == "absent"
            told = (
                "the folder is empty now" if is_gone else "the folder does not answer"
            )
            found.append(
                note(
                    f"mount-{self.health}", f"{told}: {self.seen}" if self.seen else told,
                    Severity.ERROR,
                    fix=f"%mount_drive {quoted(self.path)}{'' if is_gone else ' --force'}",
                )
            )  # fmt: skip
        if self.pending:
            some = ", ".join(str(each) for each in self.pending[:3])
            found.append(
                note(
                    "pending-writes",
                    f"not on Google's servers yet: {counted(len(self.pending), 'file')}, {some}",
                    Severity.WARN, fix="%mount_drive --sync",
                )
            )  # fmt: skip
        if self.refused is not None:
            found.append(_account_unknown(self.refused))
        found += [note("note", each) for each in self.notes]
        return [*found, *(note("note", each) for each in self.events[-5:])]

    def _without_folder(self) -> list[Finding]:
        """Return what can be done where nothing is mounted."""
        if self.account is not None:
            return [what_to_type()]
        if self.needs_login and self.refused is None:
            return [
                note(
                    "not-logged-in", "log in once, then every line works",
                    fix="%mount_drive --login --client client.json",
                )
            ]  # fmt: skip
        if self.needs_login:  # why it is not there is told, and what to type
            return []
        return [
            note(
                "not-mounted", "Drive is not mounted", fix="%mount_drive /content/drive"
            )
        ]

    def _watcher(self) -> str:
        """Return what the watcher did, in words."""
        if not self.watched and not self.probes:
            return "no"
        said = counted(self.probes, "look")
        if self.healed or self.failed:
            said += f", mounted it anew {counted(self.healed, 'time')}"
        if self.failed:
            said += f", could not {counted(self.failed, 'time')}"
        return f"{'yes' if self.watched else 'no more'}; {said}"

    def _fields(self) -> list[Field]:
        """Return the labelled values."""
        found = []
        if self.account is not None:
            found.append(Field(label="Account", value=self.account.user or "unknown"))
            found.append(Field(label="Used", value=self.account.used))
        if self.path is not None:
            found.append(Field(label="Watched", value=self._watcher()))
            if self.pending_known and not self.pending:
                found.append(
                    Field(label="Waiting to be uploaded", value="nothing seen")
                )
        if self.vm_age_s is not None:
            found.append(Field(label="VM age", value=duration(self.vm_age_s)))
        if self.vm_left_s is not None:
            left = f"about {duration(self.vm_left_s)} at the latest"
            found.append(Field(label="VM left", value=left))
        return found


def _account_unknown(error: DriveError) -> Finding:
    """Return why it is not known who is logged in, with what the error says to do."""
    seen = f" ({error.seen})" if error.seen else ""
    return Finding(
        code="account-unknown",
        severity=Severity.ERROR,
        title=f"account and quota are not known: {error.what}{seen}",
        fix=tuple(
            Code(each) if each.startswith(("%", "!")) else each
            for each in error.hint.splitlines()
        ),
    )


@dataclass(frozen=True, kw_only=True)
class SyncedFile:
    """One file that was written under the mount.

    Attributes
    ----------
    path
        On Drive.
    size, md5
        Of the local file.
    state
        ``there``: the server has these bytes; ``uploaded``: it has them now;
        ``unproven``: nobody could ask; ``failed``: it has not.
    why
        For the last two.
    """

    path: str
    size: int
    md5: str
    state: str
    why: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class SyncReport(DriveReport):
    """What of the files written under the mount is on Google's servers.

    Attributes
    ----------
    path
        The mount.
    files
        Each file that changed since it was mounted.
    seconds
        How long it took.
    complete
        Whether all folders were looked through.
    notes
        What the user should know.
    """

    path: Path
    files: tuple[SyncedFile, ...]
    seconds: float
    complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether every file is proven to be there."""
        good = all(each.state in {"there", "uploaded"} for each in self.files)
        return good and self.complete

    def count(self, state: str) -> int:
        """Return how many files are in a state.

        Parameters
        ----------
        state
            As in `SyncedFile`.
        """
        return sum(each.state == state for each in self.files)

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        counts = {name: self.count(name) for name in _STATES}
        summary = ", ".join(f"{n} {_STATES[name]}" for name, n in counts.items() if n)
        findings = [note("note", each, Severity.WARN) for each in self.notes]
        bad = [each for each in self.files if each.state in {"failed", "unproven"}]
        shown = [*bad, *(each for each in self.files if each.state == "uploaded")]
        rows = tuple(
            (each.path, in_words(each.size), _STATES[each.state], each.why)
            for each in shown[:_MOST_ROWS]
        )
        columns = ("File", "Size", "State", "Why")
        return Report(
            title=f"{TITLE} --sync",
            verdict="ALL ON DRIVE" if self.ok else "NOT ALL PROVEN",
            summary=summary or "nothing was written since it was mounted",
            findings=tuple(findings),
            tables=(Table(caption="files", columns=columns, rows=rows),) if rows else (),
            fields=(Field(label="Took", value=f"{self.seconds:.1f} s"),),
        )  # fmt: skip


_STATES: Final = {
    "there": "were there, same MD5",
    "uploaded": "uploaded now, same MD5",
    "unproven": "not proven",
    "failed": "not there",
}
