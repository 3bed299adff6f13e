"""``%colab_setup``: the whole set-up of a notebook in one line."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from colabmagic.errors import interrupted
from colabmagic.interrupts import deferred_interrupts
from colabmagic.magics._base import parse
from colabmagic.magics._completion import completes
from colabmagic.magics._config import ColabMagic
from colabmagic.magics._devices import device_names
from colabmagic.magics._progress import DownloadProgress
from colabmagic.magics._setup_folder import leave_dead, may_hang, notebook_folder
from colabmagic.magics._setup_parts import SetupParts
from colabmagic.magics._shown import is_last_line, is_whole_terminal_cell, once
from colabmagic.setup.errors import SetupRequiredError, SetupValueError
from colabmagic.setup.files import nearby
from colabmagic.setup.outcome import FAILED, GIVEN_UP, SetupReport
from colabmagic.setup.running import Runner, one_line
from colabmagic.setup.wishes import PARTS, Wish, Wishes, read_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

_NAME: Final = "colab_setup"
_WITHOUT: Final = "leave it out, whatever a file or a setting asks for"
_NOT_LOOKED: Final = "GPU check: NOT DONE  the setup was stopped before it"
_MODEL: Final = re.compile(
    r"(?:^|--gpu[\s=])\s*[\"']?([A-Za-z]{1,4}\d{1,4}[A-Za-z]?)\b"
)
# What other words there are for it.
_MEANT: Final = {
    "--mount": "--drive", "--mount-drive": "--drive", "--dir": "--cd",
    "--folder": "--cd", "--workdir": "--cd", "--keep-alive": "--keepalive",
    "--train-on": "--train", "--device": "--train", "--cuda-install": "--cuda",
    "--requires": "--require", "--min-memory": "--require",
}  # fmt: skip


def _versions() -> list[str]:
    """Return what a version of CUDA can be."""
    from colabmagic.data.compat import minors  # noqa: PLC0415 (lazy)

    return ["torch", "auto", *reversed(minors())]


@magics_class
class SetupMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic that sets a notebook up."""

    @completes(train=device_names, cuda=_versions)
    @magic_arguments()
    @argument(
        "--require",
        metavar="WHAT",
        help="fail in the end unless the machine has it: t4 (a model), cuda, a number of GPUs, "
        "16GiB (free memory), bf16, cc>=8.0; several parted by commas",
    )
    @argument(
        "--gpu", action="store_true", help="say what to click where there is no GPU"
    )
    @argument(
        "--cuda",
        nargs="?",
        const="",
        metavar="VERSION",
        help="have this CUDA toolkit, as %%cuda_install (alone: that of PyTorch)",
    )
    @argument(
        "--drive",
        nargs="?",
        const="",
        metavar="PATH",
        help="have Google Drive, as %%mount_drive (alone: where it is, or its default)",
    )
    @argument(
        "--cd", metavar="FOLDER", help="work in this folder: MyDrive/project, or a path"
    )
    @argument(
        "--train",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="let later cells run on a device, as %%train_on (alone: the best one)",
    )
    @argument(
        "--keepalive",
        nargs="?",
        const="",
        metavar="TIME",
        help="keep the notebook while it works, as %%keepalive (alone: 4h)",
    )
    @argument("--no-require", action="store_true", help=_WITHOUT)
    @argument("--no-gpu", action="store_true", help=_WITHOUT)
    @argument("--no-cuda", action="store_true", help=_WITHOUT)
    @argument("--no-drive", action="store_true", help=_WITHOUT)
    @argument("--no-cd", action="store_true", help=_WITHOUT)
    @argument("--no-train", action="store_true", help=_WITHOUT)
    @argument("--no-keepalive", action="store_true", help=_WITHOUT)
    @argument("-q", "--quiet", action="store_true", help="show nothing, only return")
    @line_magic
    def colab_setup(self, line: str) -> SetupReport:
        """Set the notebook up: GPU, CUDA, Drive, folder, device, keepalive; in one table.

        What is so already stays. A part that fails is told, and the others are done. What
        the line leaves out may stand in colabmagic.toml beside the notebook or in MyDrive,
        in [tool.colabmagic] of pyproject.toml, or in %config ColabMagic.setup. Ctrl-C
        gives up one part, a second one all. The report is returned too: ``.ok``,
        ``.parts``.

        Examples::

            %colab_setup --drive --cd MyDrive/project --train --keepalive 4h
            %colab_setup --require 16GiB --drive
            %colab_setup
            %colab_setup --no-drive
        """
        options = _parsed(self.colab_setup, line.rstrip("; "))
        assert self.shell is not None
        wishes = _of_line(options)
        return _set_up(self.shell, wishes, quiet=options.quiet)


def _parsed(magic: Callable[..., Any], line: str) -> argparse.Namespace:
    """Parse the line; a GPU's model is what --require takes."""
    try:
        return parse(magic, line, meant=_MEANT)
    except UsageError:
        model = _MODEL.search(line)
        if model is None:
            raise
        raise UsageError(
            f"%{_NAME}: {model[1]!r} is one word too many; did you mean "
            f"--require {model[1]}"
        ) from None


def _of_line(options: argparse.Namespace) -> Wishes:
    """Return what the line asks for."""
    found: dict[str, Wish] = {}
    for name in PARTS:
        value = getattr(options, name)
        is_given = value is not None and value is not False
        if getattr(options, f"no_{name}"):
            if is_given:
                raise UsageError(f"%{_NAME}: --{name} or --no-{name}, not both")
            found[name] = Wish(value=None)
        elif is_given:
            if name in {"require", "cd"} and not value.strip():
                raise UsageError(f"%{_NAME}: --{name} is empty")
            found[name] = Wish(value="" if value is True else value.strip())
    if "require" in found and found["require"].value is not None:
        _check_requirement(found["require"].value)
    return Wishes(by_part=found)


def _check_requirement(text: str) -> None:
    """Refuse what is no requirement before anything is done."""
    from colabmagic.gpu.require import parse_requirements  # noqa: PLC0415 (lazy)

    try:
        parse_requirements(text)
    except ValueError as error:
        raise UsageError(f"%{_NAME}: {error}") from None


def _set_up(shell: InteractiveShell, line: Wishes, *, quiet: bool) -> SetupReport:
    """Do what is asked for, show it, and fail if what is required is not there."""
    began = time.monotonic()
    progress = PartProgress(quiet=quiet)
    parts = SetupParts(shell, progress)
    runner = Runner(
        parts=parts.all(),
        wishes=line,
        begins=progress.part,
        gave_up=progress.gave_up,
        later={"drive": parts.defaults_on_drive},
    )
    gpu, gpu_ok = _NOT_LOOKED, True
    try:
        runner.wishes = line.beside(_defaults(shell))
        runner.run()
        gpu, gpu_ok = _headline(parts)
    except KeyboardInterrupt as error:  # before, between or after the parts
        runner.stop(error)
    report = once(
        SetupReport(
            parts=tuple(runner.outcomes.values()),
            gpu=gpu,
            gpu_ok=gpu_ok,
            sources=runner.wishes.sources,
            problems=runner.wishes.problems,
            seconds=time.monotonic() - began,
        )
    )
    try:
        with deferred_interrupts():  # what was done is shown in any case
            _show(report, progress, quiet=quiet)
    except KeyboardInterrupt as error:
        runner.interrupt = runner.interrupt or error
    _stop(report, runner, is_shown=not quiet)
    value: SetupReport = report
    return value


def _defaults(shell: InteractiveShell) -> Wishes:
    """Return what settings ask for, and the file beside the notebook."""
    settings = ColabMagic.of(shell).setup
    found = read_table(settings, "%config") if settings else Wishes()
    error = leave_dead()
    try:
        start = notebook_folder()
    except SetupValueError as gone:
        error = gone
    if error is not None:
        problem = f"{error.what}. No file there was read. Type {error.hint}"
        return found.beside(Wishes(problems=(problem,)))
    return found.beside(nearby(start, _home(), may_hang=may_hang))


def _headline(parts: SetupParts) -> tuple[str, bool]:
    """Return that of ``%gpu_check``, and whether it is well."""
    try:
        return parts.report.headline, parts.report.ok
    except Exception as error:  # noqa: BLE001 (the table is not lost by it)
        return f"GPU check: FAILED  {one_line(error)}", False


def _show(report: Any, progress: PartProgress, *, quiet: bool) -> None:  # noqa: ANN401
    """Show it once, where the progress was."""
    if quiet:
        if is_last_line(_NAME):  # its value would be shown; a name below it may be
            report.hide()
    elif progress.becomes(report):
        report.hide()
    elif not is_whole_terminal_cell(_NAME):
        display(report)


def _stop(report: SetupReport, runner: Runner, *, is_shown: bool) -> None:
    """Fail where the cells below must not run."""
    if runner.interrupt is not None:
        interrupted(
            runner.interrupt,
            "the setup was stopped; run the cell again, it does what is left",
        )
        raise runner.interrupt
    required = runner.outcomes.get("require")
    if required is None or required.ok:
        return
    what = required.what if required.state == FAILED else f"--require was {GIVEN_UP}"
    seen, more = required.seen or None, {} if is_shown else {"hint": required.todo}
    raise SetupRequiredError(what, seen=seen, report=report, **more)


def _home() -> Path | None:
    """Return the user's home; None where he has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


class PartProgress(DownloadProgress):
    """One line for all parts, which becomes the report.

    Parameters
    ----------
    quiet
        Whether nothing is shown.
    """

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet_s=0.0)
        self._is_silent = quiet
        self._part = ""

    def part(self, doing: str, number: int, count: int) -> None:
        """Begin a part."""
        self._part = f"{_NAME} {number}/{count}: {doing}"
        self._shown_at = 0.0
        self.start("")

    def gave_up(self, name: str) -> None:
        """Tell that an interrupt has ended one part, and not all."""
        if not self._is_silent:
            print(  # noqa: T201 (magics show)
                f"{_NAME}: {name} is given up, the other parts go on; Ctrl-C again ends all",
                flush=True,
            )

    def finish(self, summary: str = "") -> None:
        """End a step of a part; the line stays for the next one."""
        del summary

    def becomes(self, report: Any) -> bool:  # noqa: ANN401 (a report)
        """Put the report where the line is; tell whether there is one."""
        if self._handle is None:
            super().finish()
            return False
        self._handle.update(report._repr_mimebundle_(), raw=True)
        return True

    def _show(self) -> None:
        """Change the line, if that is due."""
        if not self._is_silent:
            super()._show()

    def _line(self, now: float) -> str:
        """Return what is shown."""
        if not self._what:
            return f"{self._part} …"
        return f"{self._part}: {super()._line(now)}"
