"""``%gpu_check``: can PyTorch use a GPU, and if not, why and what mends it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.gpu.check import GpuReport, check
from colabmagic.gpu.probe import DEADLINE_S, LONGEST_S
from colabmagic.gpu.require import check_requirements, parse_requirements
from colabmagic.magics._base import parse
from colabmagic.magics._progress import CellProgress
from colabmagic.magics._shown import ShownOnce, is_last_line, is_whole_terminal_cell

if TYPE_CHECKING:
    import argparse

    from colabmagic.magics._live import LiveView


@magics_class
class GpuMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic that looks for a GPU."""

    @magic_arguments()
    @argument("--all", action="store_true", help="show every field of every GPU")
    @argument("--json", action="store_true", help="print one JSON document instead")
    @argument(
        "--deep",
        action="store_true",
        help="try PyTorch, TensorFlow and JAX on each device: the only sure proof",
    )
    @argument(
        "--bench",
        action="store_true",
        help="measure matrix products, memory and transfers: about 3 s a device",
    )
    @argument(
        "--quick", action="store_true", help="a shorter --bench: about 1 s a device"
    )
    @argument(
        "--live",
        action="store_true",
        help="watch memory, use, heat and power as they change",
    )
    @argument(
        "--every",
        type=float,
        metavar="S",
        help="with --live: seconds between two readings (default: 2)",
    )
    @argument(
        "--for",
        dest="for_s",
        type=float,
        metavar="S",
        help="with --live: seconds until it ends; 0 ends it now (default: 60)",
    )
    @argument(
        "--require",
        metavar="WHAT",
        help="stop the notebook unless the machine has it: cuda, a number of GPUs, "
        "16GiB (free memory), bf16, cc>=8.0, t4; several parted by commas",
    )
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @argument(
        "--timeout",
        type=float,
        default=DEADLINE_S,
        metavar="S",
        help="seconds to wait for a driver that does not answer (default: 3)",
    )
    @argument(
        "--ids",
        action="store_true",
        help="keep UUIDs and serial numbers, which are hidden as notebooks get shared",
    )
    @line_magic
    def gpu_check(self, line: str) -> GpuReport | LiveView | None:
        """Say whether PyTorch can use a GPU now; if not, why and what to type.

        PyTorch is not imported, and CUDA is not started. The report is returned too:
        ``.ok``, ``.device``, ``.headline``, ``.findings``.

        Examples::

            %gpu_check
            gpu = %gpu_check -q
            %gpu_check --require cuda,10GiB
            %gpu_check --deep --bench
            %gpu_check --live --for 600
        """
        options = parse(self.gpu_check, line.rstrip("; "))
        if not 0 < options.timeout <= LONGEST_S:
            raise UsageError(
                f"%gpu_check: --timeout needs more than 0 seconds, at most {LONGEST_S}"
            )
        _refuse_mixtures(options)
        if options.live:
            from colabmagic.magics import _live  # noqa: PLC0415 (lazy)

            return _live.start(
                2.0 if options.every is None else options.every,
                60.0 if options.for_s is None else options.for_s,
                deadline_s=options.timeout,
            )
        report = NotebookReport.of(
            check(
                deadline_s=options.timeout,
                ids=options.ids,
                show_all=options.all or options.json,
                bench=options.bench or options.quick,
                quick=options.quick,
                deep=options.deep,
                progress=None if options.quiet or options.json else CellProgress(),
            )
        )
        if options.json and not options.quiet:
            print(report.to_json())  # noqa: T201 (one document, to be copied or piped)
        if options.json or options.quiet:
            if is_last_line(
                "gpu_check"
            ):  # its value would be shown; a name below it may be
                report.hide()
        elif not is_whole_terminal_cell("gpu_check") or options.require:
            display(report)
        if options.require is not None:
            _require(report, options.require)
        return report


def _refuse_mixtures(options: argparse.Namespace) -> None:
    """Refuse options that do nothing together, before anything is done."""
    if options.live:
        others = ("all", "json", "quiet", "deep", "bench", "quick", "require", "ids")
        mixed = [f"--{name}" for name in others if getattr(options, name)]
        if mixed:
            raise UsageError(f"%gpu_check: --live stands alone, without {mixed[0]}")
    elif options.every is not None or options.for_s is not None:
        name = "--every" if options.every is not None else "--for"
        raise UsageError(f"%gpu_check: {name} goes with --live: add --live")
    if options.require is not None:
        try:
            parse_requirements(options.require)
        except ValueError as error:
            raise UsageError(f"%gpu_check: {error}") from None


def _require(report: GpuReport, text: str) -> None:
    """Stop the cell unless the machine has what is asked for."""
    check_requirements(report, text)


class NotebookReport(ShownOnce, GpuReport):
    """A report that is shown once in the cell that made it, and again in later cells."""

    @classmethod
    def of(cls, report: GpuReport) -> NotebookReport:
        """Return the same report, for a notebook."""
        names = (field.name for field in fields(GpuReport))
        return cls(**{name: getattr(report, name) for name in names})
