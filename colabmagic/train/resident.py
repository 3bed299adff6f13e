"""``--cache``: rows of a dataset are taken from a copy of its tensors on the device."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.report.size import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.train.scope import Scope

SHARE: Final = 0.2  # of the device's free memory

# Torch's own: `Tensor.to` is wrapped while a cell runs.
_to: Final = torch._C.TensorBase.to  # noqa: SLF001
_index_select: Final = torch.index_select


@dataclass(eq=False, slots=True)
class _Copy:
    """A tensor of a dataset, and its values on the device."""

    owner: weakref.ref[torch.Tensor]
    version: int
    there: torch.Tensor | None


@dataclass(eq=False)
class Resident:
    """Keeps datasets of plain tensors on the device for the length of a cell.

    Attributes
    ----------
    scope
        Of the cell; gets a note about what could not be kept.
    travellers
        Tensors that the cell works with itself, by their identity: torch does not count
        what it writes to them there.
    shared
        Tells whether the cell works with the memory of a tensor.
    kept_bytes
        What the copies take.
    """

    scope: Scope
    travellers: Mapping[int, object]
    shared: Callable[[torch.Tensor], bool] = field(default=lambda _: False)
    kept_bytes: int = 0
    used: bool = False
    _copies: dict[int, _Copy] = field(default_factory=dict)
    _budget: float | None = None

    def rows(
        self, tensors: tuple[torch.Tensor, ...], numbers: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return rows, on the device where the whole tensor could go there.

        Parameters
        ----------
        tensors
            Of a dataset, on the CPU.
        numbers
            Which rows.

        Raises
        ------
        IndexError
            There is no such row.
        """
        self.used = True
        found: list[torch.Tensor] = []
        there: torch.Tensor | None = None
        for tensor in tensors:
            copy = self._copy(tensor)
            if copy is None:
                found.append(_index_select(tensor, 0, numbers))
                continue
            if there is None:
                there = self._checked(numbers, min(map(len, tensors)))
            found.append(_index_select(copy, 0, there))
        return found

    def close(self) -> None:
        """Let go of all copies."""
        self._copies.clear()
        if not self.used:
            self._note(
                "no loader here reads a plain TensorDataset with the default "
                "collate function and num_workers=0; nothing was kept on the device"
            )

    def _note(self, text: str) -> None:
        """Tell the user, once."""
        self.scope.notes[f"--cache: {text}"] = None

    def _checked(self, numbers: torch.Tensor, length: int) -> torch.Tensor:
        """Send the numbers of rows; a device would not tell which one is wrong."""
        low, high = torch.aminmax(numbers)
        if low < 0 or high >= length:
            raise IndexError
        scope = self.scope
        there: torch.Tensor = _to(
            numbers, scope.device, non_blocking=scope.non_blocking
        )
        return there

    def _copy(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the copy of a tensor; None if there is none and shall be none."""
        if id(tensor) in self.travellers or self.shared(tensor):
            self._note(
                "off for a dataset whose tensor the cell mentions itself; make the "
                "dataset in an earlier cell, and name only its loader here"
            )
            return None
        known = self._copies.get(id(tensor))
        if known is None or known.owner() is not tensor:
            known = self._made(tensor)
            self._copies[id(tensor)] = known
        elif known.there is not None and known.version != tensor._version:  # noqa: SLF001
            known.there = None
            self._note(
                "a dataset's tensor was changed while the cell ran; its rows "
                "came from the CPU from then on"
            )
        return known.there

    def _made(self, tensor: torch.Tensor) -> _Copy:
        """Copy a tensor, if it fits."""
        copy = _Copy(weakref.ref(tensor), tensor._version, None)  # noqa: SLF001
        free = self._free()
        if self.kept_bytes + tensor.nbytes > SHARE * free:
            self._note(
                f"a dataset's tensor of {in_words(tensor.nbytes)} was not kept "
                f"on {self.scope.device}: more than {SHARE:.0%} of its free memory"
                + (f" ({in_words(free)})" if free else ", which it does not tell")
            )
            return copy
        try:
            copy.there = _to(tensor, self.scope.device)
        except torch.OutOfMemoryError:
            self._note(
                f"{self.scope.device} had no room for a dataset's tensor of "
                f"{in_words(tensor.nbytes)}"
            )
        else:
            self.kept_bytes += tensor.nbytes
        return copy

    def _free(self) -> float:
        """Return the free memory, as it was when the first tensor was asked for."""
        if self._budget is None:
            self._budget = memory_bytes(self.scope.device)[0]
        return self._budget


def memory_bytes(device: torch.device) -> tuple[float, float]:
    """Return the free and the whole memory of a device; zeros where it does not tell.

    Parameters
    ----------
    device
        An accelerator.
    """
    accelerator: Any = getattr(torch, "accelerator", None)
    asked = [
        getattr(accelerator, "get_memory_info", None),
        getattr(getattr(torch, device.type, None), "mem_get_info", None),
    ]
    for ask in asked:
        if ask is None:
            continue
        try:
            free, whole = ask(device)
        except (RuntimeError, NotImplementedError, ValueError, AssertionError):
            continue
        return float(free), float(whole)
    return 0.0, 0.0
