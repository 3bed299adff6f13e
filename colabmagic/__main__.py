"""``python -m colabmagic gpu_check``: the check for shell cells and bug reports.

Exit status: 0 when PyTorch can use a GPU, 1 when it cannot, 2 when the check itself
failed.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from colabmagic.errors import GpuCheckError

if TYPE_CHECKING:
    from collections.abc import Sequence

USABLE, NOT_USABLE, PROBE_FAILED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    from colabmagic.gpu.check import check  # noqa: PLC0415 (--help stays light)
    from colabmagic.gpu.probe import DEADLINE_S  # noqa: PLC0415
    from colabmagic.gpu.require import check_requirements  # noqa: PLC0415

    parser, check_parser = _parsers(DEADLINE_S)
    arguments = parser.parse_args(argv)
    report = check(
        deadline_s=arguments.timeout,
        ids=arguments.ids,
        show_all=arguments.all or arguments.json,
        bench=arguments.bench or arguments.quick,
        quick=arguments.quick,
        deep=arguments.deep,
    )
    if not arguments.quiet:
        print(report.to_json() if arguments.json else report.text)  # noqa: T201
    if report.probe_failed:
        return PROBE_FAILED
    if arguments.require is not None:
        try:
            check_requirements(report, arguments.require)
        except GpuCheckError as error:
            print("\n".join(error.render()), file=sys.stderr)  # noqa: T201
            return NOT_USABLE
        except ValueError as error:
            check_parser.error(str(error))
    return USABLE if report.ok else NOT_USABLE


def _parsers(
    deadline_s: float,
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser of the command line, and that of the one command."""
    parser = argparse.ArgumentParser(prog="python -m colabmagic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
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
        "cc>=8.0; several parted by commas",
    )
    check.add_argument(
        "--timeout",
        type=_seconds,
        default=deadline_s,
        metavar="S",
        help="seconds to wait for a driver that does not answer",
    )
    return parser, check


def _seconds(text: str) -> float:
    """Return a positive number of seconds."""
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
