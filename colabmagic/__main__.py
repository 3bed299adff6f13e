"""``python -m colabmagic gpu_check``: the check for shell cells and bug reports.

Exit status: 0 when PyTorch can use a GPU, 1 when it cannot, 2 when the check itself
failed. ``python -m colabmagic drive`` logs in to Google Drive on one's own PC.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from colabmagic.gpu import GpuReport

# What the command without options means; to parse that takes longer than to read NVML.
PLAIN: dict[str, Any] = {
    "command": "gpu_check",
    "all": False,
    "json": False,
    "quiet": False,
    "deep": False,
    "bench": False,
    "quick": False,
    "ids": False,
    "require": None,
    "timeout": 3.0,
}
DRIVE = "drive"
USABLE, NOT_USABLE, PROBE_FAILED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == [DRIVE]:
        from colabmagic.drive.command import main as drive  # noqa: PLC0415 (its own parser)

        return drive(argv[1:])
    is_plain = argv == [PLAIN["command"]]
    arguments = SimpleNamespace(**PLAIN) if is_plain else parse(argv)
    from colabmagic.gpu.check import check  # noqa: PLC0415 (--help stays light)

    if arguments.require is not None:
        _refuse_nonsense(arguments.require)

    report = check(
        deadline_s=arguments.timeout,
        ids=arguments.ids,
        show_all=arguments.all or arguments.json,
        bench=arguments.bench or arguments.quick,
        quick=arguments.quick,
        deep=arguments.deep,
        is_alone=True,
    )
    if not arguments.quiet:
        with contextlib.suppress(OSError):  # whoever read it has gone
            print(report.to_json() if arguments.json else report.text)  # noqa: T201
    if report.probe_failed:
        return PROBE_FAILED
    if arguments.require is not None and not _has(report, arguments.require):
        return NOT_USABLE
    return USABLE if report.ok else NOT_USABLE


def _has(report: GpuReport, wanted: str) -> bool:
    """Tell whether the machine has what is asked for; say what it lacks."""
    from colabmagic.errors import GpuCheckError  # noqa: PLC0415 (rarely asked for)
    from colabmagic.gpu.require import check_requirements  # noqa: PLC0415

    try:
        check_requirements(report, wanted)
    except GpuCheckError as error:
        print("\n".join(error.render()), file=sys.stderr)  # noqa: T201
        return False
    return True


def _refuse_nonsense(wanted: str) -> None:
    """End the program where the text is no requirement, before anything is done."""
    from colabmagic.gpu.require import parse_requirements  # noqa: PLC0415 (as above)

    try:
        parse_requirements(wanted)
    except ValueError as error:
        print(f"python -m colabmagic gpu_check: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; a wrong one ends the program."""
    import argparse  # noqa: PLC0415 (not for the plain command)

    parser = argparse.ArgumentParser(prog="python -m colabmagic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(DRIVE, help="log in to Google Drive, or find out what is wrong")
    check = commands.add_parser("gpu_check", help="can PyTorch use a GPU?")
    check.add_argument("--all", action="store_true", help="print every field")
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    check.add_argument("--deep", action="store_true", help="try each device")
    check.add_argument("--bench", action="store_true", help="measure each device")
    check.add_argument("--quick", action="store_true", help="with --bench: shorter")
    check.add_argument(
        "--ids", action="store_true", help="keep UUIDs and serial numbers"
    )
    check.add_argument(
        "--require",
        metavar="WHAT",
        help="fail unless the machine has it: cuda, a number of GPUs, 16GiB, bf16, "
        "cc>=8.0, t4; several parted by commas",
    )
    check.add_argument(
        "--timeout",
        type=seconds_of_waiting,
        default=PLAIN["timeout"],
        metavar="S",
        help="seconds to wait for a driver that does not answer",
    )
    return parser.parse_args(argv)


def seconds_of_waiting(text: str) -> float:
    """Return a positive number of seconds."""
    from colabmagic.gpu.probe import LONGEST_S  # noqa: PLC0415 (rarely given)

    seconds = float(text)
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(text)
    return seconds


def _end(status: int) -> NoReturn:
    """End the process at once: to tidy up takes Python 10 ms, and a stuck driver ages."""
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have gone, or a shell has closed it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    gc.disable()  # it ends before there is anything to collect
    _end(main())
