"""``%%train_on DEVICE``: the cell runs on a device."""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display
from IPython.utils.capture import capture_output

from colabmagic.errors import BadDeviceError, ColabMagicError
from colabmagic.magics import _torch, cells
from colabmagic.magics._base import parse, split_after
from colabmagic.magics._completion import completes
from colabmagic.magics._config import ColabMagic
from colabmagic.magics._devices import device_names
from colabmagic.magics._script import run_script
from colabmagic.train.names import mentioned_names
from colabmagic.train.options import (
    AMP_CHOICES,
    NAN_GUARD_STEPS,
    RNG_CHOICES,
    STEPS,
    TrainOptions,
)
from colabmagic.train.outcome import TrainState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.train.dry_run import DryRun
    from colabmagic.train.meter import LoopView
    from colabmagic.train.options import Rng


def _count(text: str) -> int:
    """Read a number of steps."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a number of steps, not {text!r}")
    return int(text)


_OFF: Final = frozenset({"off", "stop", "none"})


@magics_class
class TrainMagics(Magics):  # type: ignore[misc]  # untyped on IPython 7
    """The magic that trains on a device."""

    @completes(device=device_names)
    @magic_arguments("%train_on")  # help shows it with two signs, as it is written
    @argument(
        "device",
        nargs="?",
        metavar="DEVICE",
        help="auto (the best one here), cpu, cuda, cuda:1, mps, xpu; "
        "left out: the setting ColabMagic.device",
    )
    @argument(
        "--keep",
        action="store_true",
        help="leave models and tensors on the device when the cell ends; a later cell "
        "without it, or %%train_on off, brings them home",
    )
    @argument(
        "--strict",
        action="store_true",
        help="fail if the device is absent, instead of running on the CPU",
    )
    @argument(
        "--rng",
        choices=RNG_CHOICES,
        help="where random numbers come from: cpu gives those of a CPU run, device is "
        "fastest, auto (the default) takes the CPU's for small draws",
    )
    @argument(
        "--cache",
        action="store_true",
        help="keep the tensors of a plain TensorDataset on the device: at most a fifth "
        "of its free memory",
    )
    @argument(
        "--amp",
        choices=AMP_CHOICES,
        help="compute in half precision where that is safe; fp16 needs a GradScaler in "
        "the cell",
    )
    @argument(
        "--tf32",
        action="store_true",
        help="let float32 products round as TF32 (NVIDIA, Ampere and later)",
    )
    @argument(
        "--channels-last",
        action="store_true",
        help="lay out the weights of convolutions with the channels last",
    )
    @argument(
        "--compile",
        action="store_true",
        help="run the models that the cell uses through torch.compile",
    )
    @argument(
        "--nan-guard",
        nargs="?",
        const=NAN_GUARD_STEPS,
        type=_count,
        metavar="N",
        help="stop at a loss that is nan or inf, with the step and its batch; looked at "
        f"each N steps ({NAN_GUARD_STEPS}), without waiting for the device",
    )
    @argument(
        "--dry-run",
        action="store_true",
        help="only tell what would move, and whether it fits; the cell does not run",
    )
    @argument(
        "--compare",
        metavar="DEVICE",
        help="first time some steps on this device too, and show both; nothing else is "
        "changed by the trial",
    )
    @argument(
        "--steps",
        type=_count,
        metavar="N",
        help=f"how many steps --compare takes; left out: {STEPS}",
    )
    @argument(
        "--auto-batch",
        action="store_true",
        help="out of memory, start the cell again with half the batch and the same "
        "gradient",
    )
    @argument("--quiet", action="store_true", help="print no lines of our own")
    @line_cell_magic
    def train_on(self, line: str, cell: str | None = None) -> object:
        """Run the cell on a device: models, optimizers, tensors and batches go there.

        The cell needs no edit. When it ends, everything is home again in the CPU's
        memory, also after an error, so that the other cells stay as they are.

        As a line, it is on for all later cells, and what they use stays there until
        %train_on off. With a script, it runs that, as %run does. Alone, it tells
        whether it is on.

        Examples::

            %%train_on auto
            for images, labels in loader:
                optimizer.zero_grad()
                criterion(model(images), labels).backward()
                optimizer.step()

            %%train_on cuda:1 --strict --rng device

            %train_on cuda
            %train_on off
            %train_on cuda train.py --epochs 3
        """
        assert self.shell is not None
        if cell is None:
            return _train_on_line(self.shell, line)
        return cells.run(self.shell, "train_on", line, cell)


def _train_on_line(shell: InteractiveShell, line: str) -> TrainState | None:
    """Turn it on or off for all later cells, run a script, or tell how it is."""
    own, script = split_after(TrainMagics.train_on, line, positionals=1)
    if script:
        run_script(
            shell,
            "train_on",
            script,
            lambda names, namespace: _start(shell, own, names, namespace),
        )
        return None
    arguments = parse(TrainMagics.train_on, own)
    service = _loaded_service()
    if not own.strip():
        return TrainState() if service is None else service.state()
    device = arguments.device or ColabMagic.of(shell).device
    if device.lower() in _OFF | {"cpu"}:
        cells.turn_off(shell)
        kept = () if service is None else service.state().kept
        if service is None or not service.turn_off():
            more = f"; back from --keep: {', '.join(kept)}" if kept else ""
            _print(f"train_on: is off, cells run on the CPU{more}")
        if service is not None:
            service.fetch_kept()
        return None
    _refuse_in_line(arguments)
    _stand(shell, device, arguments, _print)
    return None


def turn_on(
    shell: InteractiveShell, device: str, *, show: Callable[[str], None]
) -> TrainState:
    """Let all later cells run on a device, as a line with a device alone does.

    Parameters
    ----------
    shell
        The shell of the running cell.
    device
        As the user typed it; empty for the setting.
    show
        Gets the lines that a person should read, at once and when it is turned off.

    Raises
    ------
    BadDeviceError
        There is no such device.
    """
    arguments = parse(TrainMagics.train_on, "")
    return _stand(shell, device or ColabMagic.of(shell).device, arguments, show)


def is_on(shell: InteractiveShell, device: str) -> TrainState | None:
    """Return the state if later cells run on just this device already; else None.

    Parameters
    ----------
    shell
        The shell.
    device
        As for `turn_on`.
    """
    service = _loaded_service()
    standing = None if service is None else service.standing()
    if standing is None:
        return None
    from colabmagic.train import devices  # noqa: PLC0415 (torch is there)

    found = devices.resolve(device or ColabMagic.of(shell).device, strict=False)
    state: TrainState = standing.state()
    return state if found.device == standing.found.device else None


def _stand(
    shell: InteractiveShell,
    device: str,
    arguments: argparse.Namespace,
    show: Callable[[str], None],
) -> TrainState:
    """Turn it on for all later cells, and for the rest of this one."""
    cells.turn_off(shell)  # what follows may fail
    with _hints_for_lines(device):
        state: TrainState = _torch.service().stand(
            namespace=shell.user_ns,
            device=device,
            options=_options(shell, arguments),
            out=show,
            told=ColabMagic.of(shell).told,
            view=_loop_view(),
        )
    cells.turn_on(shell, "train_on", _open_standing)
    try:
        cells.begin_standing(_names_of_cell(shell))  # the rest of this cell
    except BaseException:  # also Ctrl-C: it is on as a whole, or not at all
        turn_off(shell)
        raise
    return state


@contextlib.contextmanager
def _hints_for_lines(device: str) -> Iterator[None]:
    """Have errors say what to type as a line, with one sign."""
    try:
        yield
    except ColabMagicError as error:
        error.hint = error.hint.replace("%%train_on", "%train_on")
        if isinstance(error, BadDeviceError):
            near = difflib.get_close_matches(device.lower(), ["off", "stop"], n=1)
            error.hint = "%train_on off  # did you mean that?" if near else error.hint
        raise


def _refuse_in_line(arguments: argparse.Namespace) -> None:
    """Refuse options that mean the models of one cell."""
    refused = ("keep", "channels_last", "compile", "dry_run", "compare", "steps")
    for name in (*refused, "auto_batch"):
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            why = "everything stays there until %train_on off" if name == "keep" else ""
            raise UsageError(
                f"%train_on: {option} goes with %%train_on, in the first line of a cell"
                + (f"; {why}" if why else "")
            )


def _open_standing(
    _shell: InteractiveShell, _line: str, names: tuple[str, ...]
) -> cells.BodySession:
    """Let a cell in that runs while it is on."""
    cell: cells.BodySession = _torch.service().standing().cell(names)
    return cell


def turn_off(shell: InteractiveShell) -> None:
    """End what ``%train_on DEVICE`` began, as when the extension is unloaded.

    Parameters
    ----------
    shell
        The shell.
    """
    cells.turn_off(shell)
    service = _loaded_service()
    if service is not None:
        service.turn_off()
        service.fetch_kept()


def _names_of_cell(shell: InteractiveShell) -> tuple[str, ...]:
    """Return the names that the running cell mentions: it may train below the line."""
    history = shell.history_manager
    if history is None:
        return ()
    try:
        tree = ast.parse(history.input_hist_parsed[-1])
    except (SyntaxError, ValueError, IndexError):
        return ()
    return mentioned_names(tree)


def _loaded_service() -> ModuleType | None:
    """Return the backend if it is loaded: what is off needs no torch."""
    return sys.modules.get("colabmagic.train.service")


def open_session(
    shell: InteractiveShell, line: str, names: tuple[str, ...]
) -> cells.BodySession:
    """Parse the first line of a cell and start the session on the device.

    Parameters
    ----------
    shell
        The shell.
    line
        The rest of the first line.
    names
        The names that the body mentions.
    """
    return _start(shell, line, names, shell.user_ns, cell=True)


def _start(
    shell: InteractiveShell,
    line: str,
    names: tuple[str, ...],
    namespace: dict[str, Any],
    *,
    cell: bool = False,
) -> cells.BodySession:
    """Parse a line and start a session over a namespace."""
    arguments = parse(TrainMagics.train_on, line, cell=cell)
    settings = ColabMagic.of(shell)
    if cell and (arguments.device or "").lower() in _OFF:
        raise UsageError(
            "%%train_on: off is for the line: %train_on off; for a cell on the CPU write "
            "%%train_on cpu"
        )
    if arguments.dry_run:
        raise UsageError(
            "%%train_on: --dry-run goes into the first line of a cell, as it stands: "
            "%%train_on DEVICE --dry-run"
        )
    if arguments.steps and not arguments.compare:
        raise UsageError("%%train_on: --steps goes with --compare, as in --compare cpu")
    options = _options(shell, arguments)
    start, more = _torch.service().start, {}
    if cell and options.repeating:
        from colabmagic.train.repeat import RepeatedCell  # noqa: PLC0415 (brings in torch)

        start, more = RepeatedCell, {"hidden": capture_output, "show": display}
    device = arguments.device or settings.device
    with contextlib.nullcontext() if cell else _hints_for_lines(device):
        session = start(
            namespace=namespace,
            device=device,
            names=names,
            options=options,
            out=_print,
            told=settings.told,
            view=_loop_view(),
            **more,
        )
    return _ShowsRepeated(session) if more else _ShowsResult(session)


def dry_run(shell: InteractiveShell, line: str, names: tuple[str, ...]) -> DryRun:
    """Tell what a cell would move; it does not run.

    Parameters
    ----------
    shell
        The shell.
    line
        The rest of the first line.
    names
        The names that the body mentions.
    """
    arguments = parse(TrainMagics.train_on, line, cell=True)
    told: DryRun = _torch.service().dry_run(
        namespace=shell.user_ns,
        device=arguments.device or ColabMagic.of(shell).device,
        names=names,
        options=_options(shell, arguments),
    )
    return told


def _loop_view() -> LoopView:
    """Return what shows loops in this front end."""
    from colabmagic.magics._loop import LoopDisplay  # noqa: PLC0415 (brings in tqdm)

    return LoopDisplay()


def _options(shell: InteractiveShell, arguments: argparse.Namespace) -> TrainOptions:
    """Return the options of a line; the settings stand in for what it leaves out."""
    settings = ColabMagic.of(shell)
    return TrainOptions(
        keep=arguments.keep,
        strict=arguments.strict,
        rng=cast("Rng", arguments.rng or settings.rng),
        quiet=arguments.quiet or settings.quiet,
        cache=arguments.cache,
        amp=arguments.amp,
        tf32=arguments.tf32,
        channels_last=arguments.channels_last,
        compile=arguments.compile,
        nan_guard=arguments.nan_guard,
        compare=arguments.compare,
        steps=arguments.steps or STEPS,
        auto_batch=arguments.auto_batch,
    )


class _ShowsResult:
    """Takes the value to show out of the outcome."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 (torch's side, loaded late)
        self._session = session

    def finish(self, result: object, error: BaseException | None) -> object:
        """Close the session."""
        return self._session.finish(result, error).result


class _ShowsRepeated(_ShowsResult):
    """The same for a cell whose code runs more than once."""

    def run(self, body: Callable[[], object]) -> object:
        """Run the cell."""
        return self._session.run(body)

    def finish(self, result: object, error: BaseException | None) -> object:
        """Close the session, if the cell has begun."""
        outcome = self._session.finish(result, error)
        return None if outcome is None else outcome.result


def _print(text: str) -> None:
    """Print a line of ours in the cell's output."""
    print(text, flush=True)  # noqa: T201 (magics show)
