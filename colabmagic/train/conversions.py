"""Ways out of torch: NumPy, files, and functions that want their arguments on the CPU."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import serialization

from colabmagic.train.origin import is_user_file
from colabmagic.train.scope import caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.move import Mover
    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

_PLACING = ("to", "cuda", "xpu")


def install(scope: Scope, patches: Patches, mover: Mover) -> None:
    """Patch the ways out."""
    patches.set(torch.Tensor, "numpy", _numpy(scope))
    patches.set(serialization, "location_tag", _location_tag(scope))
    patches.set(torch._VF, "_pack_padded_sequence", _pack())  # noqa: SLF001
    for name in (*_PLACING, scope.device.type):
        original = getattr(torch.Tensor, name, None)
        if callable(original) and name not in {"cpu", "meta"}:
            patches.set(torch.Tensor, name, _placing(scope, original, mover))


def _numpy(scope: Scope) -> Callable[..., Any]:
    """Return a ``Tensor.numpy`` that fetches first; ``np.asarray`` comes here too."""
    original = torch.Tensor.numpy

    @functools.wraps(original)
    def numpy(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        ours = self.device == scope.device and not scope.rests
        here = self.cpu() if ours else self
        return original(here, *args, **kwargs)

    return numpy


def _location_tag(scope: Scope) -> Callable[..., Any]:
    """Return torch's tagger, with our device as the CPU.

    What the cell saves then opens on a machine without the device, as the file would
    that the same cell writes on the CPU.
    """
    original = serialization.location_tag

    @functools.wraps(original)
    def location_tag(storage: Any) -> Any:  # noqa: ANN401
        device = getattr(storage, "device", None)
        ours = device == scope.device and not scope.rests
        return "cpu" if ours else original(storage)

    return location_tag


def _pack() -> Callable[..., Any]:
    """Return the function under ``pack_padded_sequence``; it wants lengths on the CPU."""
    original = torch._VF._pack_padded_sequence  # noqa: SLF001

    def pack(values: torch.Tensor, lengths: torch.Tensor, *rest: Any) -> Any:  # noqa: ANN401
        return original(values, lengths.cpu(), *rest)

    return pack


def _placing(
    scope: Scope, original: Callable[..., Any], mover: Mover
) -> Callable[..., Any]:
    """Wrap ``tensor.to(device)``: what the user puts on the device stays there.

    The tensor that he took it from goes home: it is given back as another object.
    """
    names_device = original.__name__ == "to"

    @functools.wraps(original)
    def place(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        made = original(self, *args, **kwargs)
        if (
            not scope.rests
            and made.device == scope.device
            and is_user_file(caller().f_code.co_filename)
        ):
            if names_device and not _chooses_device(scope, args, kwargs):
                return made
            if made is self and id(self) in mover.travellers:
                made = self.view_as(self)
            scope.on_device.add(made)
        return made

    return place


def _chooses_device(
    scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    """Tell whether ``tensor.to(...)`` was given a device, not a type or a tensor."""
    first = kwargs.get("device", args[0] if args else None)
    if first is None or isinstance(first, (torch.dtype, torch.Tensor)):
        return False
    return scope.is_chosen(first)
