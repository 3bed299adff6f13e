"""What each verb of ``%mount_drive`` returns: an object that renders itself."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from colabmagic.report.document import Document
from colabmagic.report.model import Code, Field, Finding, Report, Severity
from colabmagic.report.plain import to_plain
from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

# Not application/json: front ends may prefer that to the HTML.
MIME_TYPE: Final = "application/vnd.colabmagic.drive+json"
_MOST_NOTES: Final = 8
_SPEED_BYTES: Final = 10**6  # of less, or of a shorter time, it is no speed
_SPEED_S: Final = 0.1
TITLE: Final = "Drive"


@dataclass(frozen=True, kw_only=True)
class DriveReport(Document):
    """Base of what the verbs return."""

    mime_type: ClassVar[str] = MIME_TYPE

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, with the kind of the report."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kind = next(
            each
            for each in type(self).__mro__
            if "__dataclass_params__" in each.__dict__  # not one that a notebook shows
        )
        return {
            "report": kind.__name__,
            **{name: _plain(value) for name, value in values.items()},
        }

    def __repr__(self) -> str:
        """Return the answer in one line."""
        return f"<{self.headline}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Account:
    """Who is logged in, and how full his Drive is.

    Attributes
    ----------
    user
        The address, shortened as notebooks get shared; None where Google does not tell.
    used_bytes, trash_bytes
        Of his storage.
    limit_bytes
        None: there is no limit.
    """

    user: str | None
    used_bytes: int
    limit_bytes: int | None
    trash_bytes: int = 0

    @classmethod
    def of(cls, health: dict[str, Any]) -> Account:
        """Return what `Drive.health` found out.

        Parameters
        ----------
        health
            The dictionary.
        """
        values = {field.name: health[field.name] for field in fields(cls)}
        name, sign, domain = str(health["user"] or "").partition("@")
        values["user"] = f"{name[:1]}…@{domain}" if sign else None
        return cls(**values)

    @property
    def used(self) -> str:
        """Return used and limit for people."""
        limit = self.limit_bytes
        of = ", no limit" if limit is None else f" of {in_words(limit)}"
        return f"{in_words(self.used_bytes)}{of}"

    def __repr__(self) -> str:
        """Return it in one line."""
        return f"<{self.user or 'unknown account'}: {self.used}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class MountReport(DriveReport):
    """Drive is there.

    Attributes
    ----------
    mode
        ``colab`` or ``fuse``: as a folder; ``api``: by ``--stage``, ``--save``, ``--ls``.
    path
        The folder; None in API mode.
    account
        None where no credentials for the API are here.
    reused
        Whether it was there already.
    readonly
        Whether nothing can be written.
    watched
        Whether the folder is looked at, and healed.
    folder
        The working directory now, with ``--cd``.
    moved_aside
        Where files went that were in the way.
    notes
        What the user should know.
    seconds
        How long it took.
    events
        What the watcher has told since.
    """

    mode: str
    path: Path | None
    account: Account | None = None
    reused: bool = False
    readonly: bool = False
    watched: bool = False
    folder: Path | None = None
    moved_aside: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    events: tuple[str, ...] = ()

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        findings = [
            *(note("note", f"moved aside: {each}") for each in self.moved_aside),
            *(note("note", each) for each in self.notes),
            *(note("note", each, Severity.WARN) for each in self.events[-5:]),
        ]
        if self.path is None:
            summary = "by its API, without a folder"
            findings.insert(0, what_to_type())
        else:
            summary = f"at {self.path}"
            if self.mode == "colab":
                summary += "/MyDrive" if self.path.name != "MyDrive" else ""
            if self.readonly:
                findings.insert(0, _how_to_write())
        verdict = "CONNECTED" if self.path is None else "MOUNTED"
        if self.readonly:
            verdict += ", READ-ONLY"
        values = [
            Field(label="Account", value=self.account.user or "unknown")
            if self.account
            else None,
            Field(label="Used", value=self.account.used) if self.account else None,
            Field(label="Mode", value=self.mode),
            Field(label="Mounted", value="before; used as it is")
            if self.reused
            else None,
            Field(label="Watched", value="yes" if self.watched else "no")
            if self.path
            else None,
            Field(label="Working directory", value=str(self.folder))
            if self.folder
            else None,
            Field(label="Took", value=f"{self.seconds:.1f} s"),
        ]
        return Report(
            title=TITLE, verdict=verdict, summary=summary, findings=tuple(findings),
            fields=tuple(each for each in values if each),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class WorkReport(DriveReport):
    """What ``--stage``, ``--save`` or ``--pack`` has done.

    Attributes
    ----------
    verb
        Which.
    path
        Where the result is: a local folder, or a path on Drive.
    files
        How many.
    bytes
        Of them together.
    transferred_bytes
        Bytes that went over the line.
    md5
        Of the archive or file: the server's and ours are the same.
    seconds
        How long it took.
    requests, retries
        How many there were.
    notes
        What the user should know.
    source
        With ``--stage``, what the folder was made of: ``drive``; ``local``: the archive lay
        here; ``here``: it was here itself.
    checked_files
        With ``here``: at how many of its files was looked.
    """

    verb: str
    path: str
    files: int
    bytes: int
    transferred_bytes: int
    md5: str
    seconds: float
    requests: int = 0
    retries: int = 0
    notes: tuple[str, ...] = ()
    source: str = "drive"
    checked_files: int | None = None

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        summary = f"{self.path}: {counted(self.files, 'file')}, {in_words(self.bytes)}"
        if self.source == "local":
            summary += ", from the archive that lay here"
        verdict = "HERE ALREADY" if self.source == "here" else _VERDICTS[self.verb]
        return Report(
            title=f"{TITLE} --{self.verb}",
            verdict=verdict,
            summary=summary,
            findings=tuple(note("note", each) for each in self.notes[:_MOST_NOTES]),
            fields=tuple(self._fields()),
        )

    def _fields(self) -> Iterator[Field]:
        """Yield the figures; those that say nothing are left out."""
        if self.source == "here":
            yield Field(label="Looked at", value=self._looked_at())
        elif self.source == "drive":
            yield Field(label="Transferred", value=self._transferred())
        if self.source == "drive":
            yield Field(label="MD5", value=f"{self.md5} here and on Drive")
        else:
            yield Field(label="MD5 of the archive", value=f"{self.md5} as on Drive now")
        if self.retries:
            yield Field(label="Retries", value=str(self.retries))
        yield Field(label="Took", value=f"{self.seconds:.2f} s")

    def _transferred(self) -> str:
        """Return how much went over the line, and how fast where that means something."""
        sent = self.transferred_bytes
        if sent < _SPEED_BYTES or self.seconds < _SPEED_S:
            return in_words(sent)
        return f"{in_words(sent)}, {in_words(sent / self.seconds)}/s"

    def _looked_at(self) -> str:
        """Return how many files of a folder that is here were looked at."""
        seen = self.checked_files or 0
        if seen >= self.files:
            return f"all {counted(self.files, 'file')}"
        return f"{seen:,} of {counted(self.files, 'file')}; all anew: --refresh"


_VERDICTS: Final = {
    "stage": "UNPACKED",
    "save": "ON DRIVE",
    "pack": "PACKED, ON DRIVE",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class DoneReport(DriveReport):
    """Something was done that has no figures: ``--unmount``, ``--login``.

    Attributes
    ----------
    verb
        Which.
    verdict, summary
        What was done.
    path
        What it was done to.
    notes
        What the user should know.
    """

    verb: str
    verdict: str
    summary: str = ""
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def view(self) -> Report:
        """Return the report before it becomes text or HTML."""
        return Report(
            title=f"{TITLE} --{self.verb}", verdict=self.verdict, summary=self.summary,
            findings=tuple(note("note", each) for each in self.notes),
        )  # fmt: skip


def counted(number: int, thing: str) -> str:
    """Return ``1 file``, ``2 files``.

    Parameters
    ----------
    number
        How many.
    thing
        One of them.
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def note(
    code: str, title: str, severity: Severity = Severity.INFO, *, fix: str = ""
) -> Finding:
    """Return a finding.

    Parameters
    ----------
    code, title, severity
        As in `Finding`.
    fix
        A command, if there is one.
    """
    return Finding(
        code=code, severity=severity, title=title, fix=(Code(fix),) if fix else ()
    )


def what_to_type() -> Finding:
    """Return what one can do without a folder."""
    return Finding(
        code="note",
        severity=Severity.INFO,
        title="files come and go by these lines",
        fix=(
            Code('%mount_drive --ls "MyDrive"'),
            Code('%mount_drive --stage "MyDrive/data.tar.zst" --to data'),
            Code('%mount_drive --save FILE "MyDrive/runs/"'),
        ),
    )


def _how_to_write() -> Finding:
    """Return how files get to Drive past a folder that is read-only."""
    return Finding(
        code="note",
        severity=Severity.INFO,
        title="nothing can be written into the folder; files go to Drive by",
        fix=(Code('%mount_drive --save FILE "MyDrive/runs/"'),),
    )


def _plain(value: object) -> Any:  # noqa: ANN401 (plain data has no closer type)
    """Return plain data; paths and errors become text."""
    if isinstance(value, Path | Exception):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):  # what is kept for ourselves is not shown either
        shown = [each.name for each in fields(value) if each.repr]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, frozenset):
        return sorted(value)
    return to_plain(value)
