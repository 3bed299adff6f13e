"""What the user asked for, checked and typed; no torch needed."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

from colabmagic.errors import BadDeviceError

Rng = Literal["auto", "cpu", "device"]

Amp = Literal["bf16", "fp16"]

AMP_CHOICES: Final[tuple[str, ...]] = ("bf16", "fp16")
NAN_GUARD_STEPS: Final = 50
RNG_CHOICES: Final[tuple[str, ...]] = ("auto", "cpu", "device")
# With these the code of a cell runs more than once.
REPEATING: Final = frozenset({"--compare", "--auto-batch"})
STEPS: Final = 20  # how many are compared
WELL_KNOWN_DEVICES: Final[tuple[str, ...]] = ("auto", "cpu", "cuda", "mps", "xpu")

_DEVICE = re.compile(r"(?P<kind>[A-Za-z_][A-Za-z_0-9]*)(?::(?P<index>[0-9]{1,4}))?")
_SEVERAL = re.compile(r"\w+:(?:\*|[0-9]+(?:,[0-9]+)+)|[0-9]+\s+gpus?|@\w+")
_SHOWN_LENGTH: Final = 40
_TPU: Final = frozenset({"tpu", "xla"})
_ALIASES: Final[dict[str, str]] = {"gpu": "cuda", "best": "auto"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """A device as the user wrote it.

    Attributes
    ----------
    kind
        "auto", "cpu", "cuda", "mps", "xpu" or a registered torch back end.
    index
        Number of the device; None for the current one.
    """

    kind: str
    index: int | None = None

    def __str__(self) -> str:
        """Return the text that torch would take."""
        return self.kind if self.index is None else f"{self.kind}:{self.index}"

    @classmethod
    def parse(
        cls, text: str, known: tuple[str, ...] = WELL_KNOWN_DEVICES
    ) -> DeviceSpec:
        """Parse ``auto``, ``cuda``, ``cuda:1`` and the like.

        Parameters
        ----------
        text
            What the user typed; empty means ``auto``.
        known
            The devices to name in an error.

        Raises
        ------
        BadDeviceError
            `text` is no device; the message lists the devices that exist.
        """
        plain = text.strip().strip("'\"").strip() or "auto"
        if _SEVERAL.fullmatch(plain):
            raise BadDeviceError(
                f"one device at a time: {plain!r} names several",
                seen="devices here: " + ", ".join(known),
                hint=f"%%train_on {known[-1] if known else 'auto'}",
            )
        match = _DEVICE.fullmatch(plain)
        if match is None:
            raise bad_device(plain, known)
        kind = match["kind"].lower()
        index = None if match["index"] is None else int(match["index"])
        kind = _ALIASES.get(kind, kind)
        if kind == "auto" and index is not None:
            raise bad_device(plain, known)
        return cls(kind=kind, index=index)


def bad_device(text: str, known: tuple[str, ...]) -> BadDeviceError:
    """Return the error for a text that names no device, with the nearest one."""
    lower = text.lower()
    if lower.partition(":")[0] in _TPU:
        return BadDeviceError(
            "a TPU is no device of PyTorch itself, and not supported",
            seen="devices here: " + ", ".join(known),
            hint="%%train_on auto  # in a runtime with a GPU",
        )
    candidates = dict.fromkeys((*known, *WELL_KNOWN_DEVICES))
    word = lower.rpartition("=")[2].strip("'\" ")  # of `device=cuda`
    near = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    hint = f"%%train_on {(*near, *known[-1:], 'auto')[0]}"
    if (
        near
        and near[0] not in known
        and not any(name.partition(":")[0] == near[0] for name in known)
    ):
        hint = f"%%train_on auto  # did you mean {near[0]!r}? It is not on this machine"
    shown = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."
    return BadDeviceError(
        f"there is no device {shown!r}",
        seen="devices here: " + ", ".join(known),
        hint=hint,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of one ``%%train_on`` cell.

    Attributes
    ----------
    keep
        Leave everything on the device when the cell ends.
    strict
        Raise if the device is absent, instead of running on the CPU.
    rng
        Where random numbers that the cell draws come from: "cpu" (the CPU's stream,
        then moved), "device", or "auto" (the CPU's stream for draws up to 64 KiB).
    quiet
        Print neither the line at entry nor the one at exit.
    cache
        Keep the tensors of a plain ``TensorDataset`` on the device.
    amp
        Compute in this half precision where torch's autocast holds it safe.
    tf32
        Let matrix products and convolutions of float32 round as TF32.
    channels_last
        Lay out the weights of convolutions with the channels last.
    compile
        Run the modules of the cell through ``torch.compile``.
    nan_guard
        Stop at a loss that is nan or inf; looked at each so many steps.
    compare
        Run the first steps on this device too, and tell how long a step takes on each.
    steps
        How many steps to compare.
    auto_batch
        Run out of memory, start again with half the batch.
    """

    keep: bool = False
    strict: bool = False
    rng: Rng = "auto"
    quiet: bool = False
    cache: bool = False
    amp: Amp | None = None
    tf32: bool = False
    channels_last: bool = False
    compile: bool = False
    nan_guard: int | None = None
    compare: str | None = None
    steps: int = STEPS
    auto_batch: bool = False

    @property
    def repeating(self) -> tuple[str, ...]:
        """The chosen options that run the code of the cell more than once."""
        chosen = {"--compare": self.compare, "--auto-batch": self.auto_batch}
        return tuple(name for name, is_on in chosen.items() if is_on)

    @property
    def accelerating(self) -> tuple[str, ...]:
        """The chosen options that make sense on an accelerator only."""
        chosen = {
            "--cache": self.cache,
            f"--amp {self.amp}": self.amp is not None,
            "--tf32": self.tf32,
            "--channels-last": self.channels_last,
            "--compile": self.compile,
        }
        return tuple(name for name, is_on in chosen.items() if is_on)
