"""``%mount_drive``: Google Drive as a folder, or by its API; archives, checkpoints."""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.magics import _drive_notices
from colabmagic.magics._base import parse, runs_of
from colabmagic.magics._drive_options import (
    MEANT,
    MODES,
    check,
    size_of,
    some_seconds,
    some_times,
    some_workers,
)
from colabmagic.magics._drive_stop import Followed, stopping
from colabmagic.magics._progress import ByteProgress
from colabmagic.magics._shown import is_last_line, is_whole_terminal_cell, once
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.drive.report import MountReport
    from colabmagic.drive.service import Access
    from colabmagic.report.document import Document

_NAME: Final = "mount_drive"
_LOOKS: Final = frozenset({"doctor", "status"})  # which go well whatever is wrong


@magics_class
class DriveMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic for Google Drive."""

    @magic_arguments()
    @argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="the folder that becomes Drive (default: where it is mounted, else "
        "/content/drive on Colab and ~/drive elsewhere)",
    )
    @argument(
        "--mode",
        choices=MODES,
        help="colab: Google's own mount; fuse: a read-only folder elsewhere; api: no "
        "folder; auto (default): the best that works here",
    )
    @argument("--readonly", action="store_true", help="nothing can be written")
    @argument("--force", action="store_true", help="mount anew, also if it is there")
    @argument(
        "--move-aside",
        action="store_true",
        help="files that are in the way go to PATH.local-…; none is deleted",
    )
    @argument(
        "--timeout",
        type=some_seconds,
        metavar="S",
        help="seconds for consent and mounting (default: 600), for --unmount or --login; with "
        "--sync: to wait for Drive's own uploads before ours (default: 20)",
    )
    @argument(
        "--watch",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="look whether the folder still answers, and heal it (default: yes)",
    )
    @argument(
        "--cd", metavar="FOLDER", help="make this folder of Drive the working directory"
    )
    @argument(
        "--creds",
        metavar="WHO",
        help="for the API: a file, secret:NAME (of Colab or Kaggle), or adc (of gcloud)",
    )
    @argument("--drive", metavar="ID", help="the shared drive in which paths begin")
    @argument("--status", action="store_true", help="how the mount is; who; how full")
    @argument(
        "--sync",
        action="store_true",
        help="prove that what was written is on Google's servers; upload what is not",
    )
    @argument(
        "--unmount",
        action="store_true",
        help="upload what is left, then take the folder away",
    )
    @argument(
        "--doctor", action="store_true", help="look for each known cause of trouble"
    )
    @argument("--ls", metavar="REMOTE", help='list a folder: --ls "MyDrive/data"')
    @argument(
        "--stage",
        metavar="REMOTE",
        help="bring an archive (tar, zip) here, unpacked; a second time takes no time",
    )
    @argument(
        "--to",
        metavar="FOLDER",
        help="with --stage: where to (default: the archive's name, in /content on Colab, "
        "else here)",
    )
    @argument(
        "--workers",
        type=some_workers,
        metavar="N",
        help="with --stage: connections at a time (default: 8)",
    )
    @argument(
        "--refresh",
        action="store_true",
        help="with --stage: again, although it is here; your own files in it are kept aside",
    )
    @argument(
        "--keep-archive",
        action="store_true",
        help="with --stage: leave the archive beside the folder",
    )
    @argument(
        "--max-ratio",
        type=some_times,
        metavar="X",
        help="with --stage: how many times larger than the archive it may get",
    )
    @argument(
        "--max-size",
        type=size_of,
        metavar="SIZE",
        help="with --stage: how large it may get, such as 50GB",
    )
    @argument(
        "--links",
        action="store_true",
        help="with --stage: make links that stay inside of the folder",
    )
    @argument(
        "--newest",
        action="store_true",
        help="with --stage: of several files of one name, the one that changed last",
    )
    @argument(
        "--save",
        nargs=2,
        metavar=("FILE", "REMOTE"),
        help="upload a file; done when the server's MD5 is that of the file",
    )
    @argument(
        "--pack",
        nargs=2,
        metavar=("FOLDER", "REMOTE"),
        help="put a folder of many files on Drive as one archive",
    )
    @argument(
        "--login", action="store_true", help="outside Colab, once: log in to Google"
    )
    @argument(
        "--client", metavar="FILE", help="with --login: the JSON of your OAuth client"
    )
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @line_magic
    def mount_drive(self, line: str) -> Document:
        """Mount Google Drive, watch it, and move data to and from it safely.

        On Colab Drive becomes the folder; elsewhere too where FUSE works (read-only), else
        it is reached by its API. Each line returns a report: ``r.path``, ``r.md5`` …

        Examples::

            %mount_drive /content/drive
            %mount_drive --stage "MyDrive/data.tar.zst" --to /content/data
            %mount_drive --save ckpt.pt "MyDrive/runs/"
            %mount_drive --status
            %mount_drive --login --client client.json
        """
        line = line.rstrip("; ")
        options = parse(self.mount_drive, line, meant=MEANT)
        verb = check(options, runs_of(self.mount_drive, line))
        from colabmagic.drive.trouble import last_error  # noqa: PLC0415 (with the rest)

        assert self.shell is not None
        options.progress = _progress(options)
        with stopping(verb, options.progress), _patient(options):
            report = _RUN[verb](self.shell, options)
        if verb not in _LOOKS:
            last_error.forget()  # Drive has answered since
        return _shown(report, options)


def turn_off() -> None:
    """End the watcher and take the hooks back: for ``%unload_ext``."""
    service = sys.modules.get("colabmagic.drive.service")
    if service is not None:
        service.stop()
    _drive_notices.close()


def mount(shell: InteractiveShell, path: str = "") -> MountReport:
    """Mount as a line with a path alone does, and show nothing.

    Parameters
    ----------
    shell
        The shell of the running cell.
    path
        The folder; empty for the default.

    Raises
    ------
    UsageError
        The path cannot be one.
    DriveError
        It could not be mounted.
    """
    options = parse(DriveMagics.mount_drive, "")
    options.path, options.quiet = path or None, True
    check(options)
    options.progress = _progress(options)
    with stopping("path", options.progress):
        return _mount(shell, options)


def _mount(shell: InteractiveShell, options: argparse.Namespace) -> MountReport:
    """Mount."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)
    from colabmagic.drive.words import local  # noqa: PLC0415 (with what it brings in)

    plan = service.Plan(
        path=local(options.path).absolute() if options.path else None,
        mode=options.mode or "auto",
        readonly=options.readonly,
        force=options.force,
        move_aside=options.move_aside,
        timeout_s=options.timeout or service.TIMEOUT_S,
        watch=options.watch,
        folder=options.cd,
        access=_access(options),
    )
    notices, before = _drive_notices.Notices(shell), service.watcher()
    try:
        done = service.mount(
            plan,
            tell=None if options.quiet else _say,
            notify=notices.notify,
            wait_for=_drive_notices.keyboard_in_use,
        )
    finally:  # also after an error a folder may be there, and be watched
        watcher = service.watcher()
        if watcher is None:
            _drive_notices.close()
        elif watcher is not before:
            _drive_notices.begin(notices)
    report: MountReport = once(done)
    if done.watched:
        notices.about(report)
    return report


def _access(options: argparse.Namespace) -> Access:
    """Return how to reach the API."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)

    return service.Access(credentials=options.creds, drive_id=options.drive)


def _progress(options: argparse.Namespace) -> Followed:
    """Return what shows how far it is."""
    from colabmagic.report.progress import SILENT  # noqa: PLC0415 (a name)

    return Followed(SILENT if options.quiet else ByteProgress())


def _stage(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Bring an archive here."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it brings in requests)

    given = {
        "workers": options.workers,
        "max_ratio": options.max_ratio,
        "max_bytes": options.max_size,
        "refresh": options.refresh or None,
        "keep_archive": options.keep_archive or None,
        "links": "inside" if options.links else None,
        "newest": options.newest or None,
    }
    return verbs.stage(
        options.stage, options.to, _access(options), progress=options.progress,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def _save(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Upload a file."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it brings in requests)

    local, remote = options.save
    return verbs.save(local, remote, _access(options), progress=options.progress)


def _pack(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Upload a folder."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it brings in requests)

    folder, remote = options.pack
    return verbs.pack(folder, remote, _access(options), progress=options.progress)


def _ls(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """List a folder."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it brings in requests)

    return verbs.ls(options.ls, _access(options), progress=options.progress)


def _status(_shell: InteractiveShell, options: argparse.Namespace) -> Document:
    """Tell how the mount is."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)

    return service.status(_access(options))


def _sync(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Prove that all is there."""
    from colabmagic.drive import verbs  # noqa: PLC0415 (it brings in requests)

    waiting = {} if options.timeout is None else {"wait_s": options.timeout}
    return verbs.sync(_access(options), progress=options.progress, **waiting)


def _unmount(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Take the mount away."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)

    report = service.unmount(timeout_s=options.timeout)
    _drive_notices.close()
    return report


def _doctor(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Look for causes of trouble."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)

    report: Document = service.doctor(_access(options))
    return report


def _login(_: InteractiveShell, options: argparse.Namespace) -> Document:
    """Log in."""
    from colabmagic.drive import service  # noqa: PLC0415 (it brings in requests)

    return service.login(
        options.client,
        show=_print,
        ask=getpass.getpass,
        timeout_s=options.timeout or 300.0,
    )


_RUN: Final[dict[str, Callable[..., Document]]] = {
    "path": _mount,
    "stage": _stage,
    "save": _save,
    "pack": _pack,
    "ls": _ls,
    "status": _status,
    "sync": _sync,
    "unmount": _unmount,
    "doctor": _doctor,
    "login": _login,
}


def _print(text: str) -> None:
    """Tell the user something."""
    print(text, flush=True)  # noqa: T201 (what he must do now)


def _say(line: str) -> None:
    """Tell the user what happens, in a line of its own."""
    _print(f"{_NAME}: {clean(line)}")


def _patient(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Tell why it takes long, while a block runs; nothing where nothing is to be shown."""
    from colabmagic.drive.api import patience  # noqa: PLC0415 (with the other parts of it)

    if options.quiet:
        return nullcontext()
    return patience.telling(_say)


def _shown(report: Document, options: argparse.Namespace) -> Document:
    """Show a report once, unless that is not wanted."""
    shown: Any = once(report)
    if options.quiet:
        if is_last_line(_NAME):  # its value would be shown; a name below it may be
            shown.hide()
    elif not is_whole_terminal_cell(_NAME):
        _drive_notices.show(shown, display)
    value: Document = shown
    return value
