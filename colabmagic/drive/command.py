"""``python -m colabmagic drive``: log in on one's own PC, and find out what is wrong.

Exit status: 0 when it went well, 1 when not, 2 for a wrong command, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from colabmagic.drive.errors import DriveError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED: Final = 130


def main(argv: Sequence[str]) -> int:
    """Run a command and return the exit status.

    Parameters
    ----------
    argv
        What follows ``drive``.
    """
    options = _parser().parse_args(argv)
    try:
        return _login(options) if options.command == "login" else _doctor(options)
    except DriveError as error:
        _say("\n".join(error.render()), sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("interrupted", sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m colabmagic drive",
        description="Google Drive, outside of notebooks",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    login = commands.add_parser("login", help="log in with your own OAuth client, once")
    login.add_argument(
        "--client",
        required=True,
        metavar="FILE",
        help="JSON of the client (Desktop app)",
    )
    login.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the login is kept, for you alone",
    )
    login.add_argument("--readonly", action="store_true", help="for reading only")
    login.add_argument(
        "--no-browser",
        action="store_true",
        help="paste the address to which the browser goes",
    )
    login.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="to which the browser comes back",
    )
    login.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds to wait for it",
    )
    doctor = commands.add_parser("doctor", help="look for each known cause of trouble")
    doctor.add_argument(
        "--creds", metavar="WHAT", help="a file, secret:NAME, or adc; else what is here"
    )
    return parser


def _login(options: argparse.Namespace) -> int:
    """Log in."""
    from colabmagic.drive.account.login import login  # noqa: PLC0415 (it brings in requests)

    path = login(
        options.client,
        show=_say,
        ask=_ask,
        open_browser=not options.no_browser,
        timeout_s=options.timeout,
        out=options.out,
        write=not options.readonly,
        port=options.port,
    )
    _say(f"Logged in. The login is in {str(path)!r}, for you alone: keep it secret.")
    if options.out is not None:
        _say("There: %mount_drive --creds FILE, or what is in it as a secret:")
        _say("%mount_drive --creds secret:NAME")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Say what is wrong."""
    from colabmagic.drive.trouble.doctor import examine  # noqa: PLC0415 (it brings in requests)

    report = examine(credentials=options.creds)
    _say(report.text)
    return 0 if report.ok else 1


def _ask(question: str) -> str:
    """Ask for an address; a terminal does not show it, for there is a code in it."""
    return getpass.getpass(question) if sys.stdin.isatty() else input(question)


def _say(text: str, stream: TextIO | None = None) -> None:
    """Tell the person at the terminal."""
    stream = stream or sys.stdout
    if stream is None:  # Python was started without one
        return
    encoding = stream.encoding or "utf-8"
    shown = text.encode(encoding, "replace").decode(encoding)  # as “ is not in ASCII
    with contextlib.suppress(OSError):  # whoever read it has gone
        stream.write(f"{shown}\n")
        stream.flush()
