"""``%%train_on DEVICE``: the cell runs on a device."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from colabmagic.errors import NotSupportedError
from colabmagic.magics import cells
from colabmagic.magics._base import parse
from colabmagic.magics._completion import completes
from colabmagic.magics._config import ColabMagic
from colabmagic.train.options import (
    AMP_CHOICES,
    RNG_CHOICES,
    WELL_KNOWN_DEVICES,
    TrainOptions,
)

if TYPE_CHECKING:
    from types import ModuleType

    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.train.options import Rng


def device_names() -> list[str]:
    """Return the device texts to offer; torch is asked only if it is loaded already."""
    names = list(WELL_KNOWN_DEVICES)
    torch = sys.modules.get("torch")
    accelerator: Any = getattr(torch, "accelerator", None)
    try:
        count = accelerator.device_count() if accelerator is not None else 0
        kind = accelerator.current_accelerator().type if count else "cuda"
    except Exception:  # noqa: BLE001 (a driver may fail in any way; Tab must not)
        count, kind = 0, "cuda"
    if kind not in names:
        names.append(kind)
    return names + [f"{kind}:{number}" for number in range(max(count, 1))]


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
        help="leave models and tensors on the device when the cell ends",
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
    @argument("--quiet", action="store_true", help="print no lines of our own")
    @line_cell_magic
    def train_on(self, line: str, cell: str | None = None) -> object:
        """Run the cell on a device: models, optimizers, tensors and batches go there.

        The cell needs no edit. When it ends, everything is home again in the CPU's
        memory, also after an error, so that the other cells stay as they are.

        Examples::

            %%train_on auto
            for images, labels in loader:
                optimizer.zero_grad()
                criterion(model(images), labels).backward()
                optimizer.step()

            %%train_on cuda:1 --strict --rng device
        """
        if cell is None:
            wanted = line.split() or ["DEVICE"]
            raise UsageError(
                "%train_on runs a whole cell: write "
                f"%%train_on {' '.join(wanted)} as the first line of the cell"
            )
        assert self.shell is not None
        return cells.run(self.shell, "train_on", line, cell)


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
    arguments = parse(TrainMagics.train_on, line, cell=True)
    settings = ColabMagic.of(shell)
    options = TrainOptions(
        keep=arguments.keep,
        strict=arguments.strict,
        rng=cast("Rng", arguments.rng or settings.rng),
        quiet=arguments.quiet or settings.quiet,
        cache=arguments.cache,
        amp=arguments.amp,
        tf32=arguments.tf32,
        channels_last=arguments.channels_last,
        compile=arguments.compile,
    )
    session = _service().start(
        namespace=shell.user_ns,
        device=arguments.device or settings.device,
        names=names,
        options=options,
        out=_print,
        told=settings.told,
    )
    return _ShowsResult(session)


def _service() -> ModuleType:
    """Import the backend, which brings in torch; say it in our way where that fails."""
    try:
        from colabmagic.train import service  # noqa: PLC0415 (brings in torch)
    except (ImportError, OSError) as error:  # OSError: a library of torch is missing
        if getattr(error, "name", None) == "torch":
            raise NotSupportedError(
                "PyTorch is not installed here", hint="%pip install torch"
            ) from error
        raise NotSupportedError(
            "PyTorch cannot be imported", seen=str(error), hint="%gpu_check"
        ) from error
    return service


class _ShowsResult:
    """Takes the value to show out of the outcome."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 (torch's side, loaded late)
        self._session = session

    def finish(self, result: object, error: BaseException | None) -> object:
        """Close the session."""
        return self._session.finish(result, error).result


def _print(text: str) -> None:
    """Print a line of ours in the cell's output."""
    print(text, flush=True)  # noqa: T201 (magics show)
