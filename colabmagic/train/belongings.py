"""What is the user's: his names, what they own, and what a failed cell still holds."""

from __future__ import annotations

import itertools
import traceback
from typing import TYPE_CHECKING

import torch

from colabmagic.memory.children import is_kind
from colabmagic.train.origin import is_user_file

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_users(name: object) -> bool:
    """Tell whether a name of the namespace is one that the user gave."""
    return isinstance(name, str) and not name.startswith("_")


def owns(value: object, taken: set[int]) -> bool:
    """Tell whether a value is, or visibly holds, a tensor that was moved."""
    if is_kind(value, torch.Tensor):
        return id(value) in taken
    if is_kind(value, torch.nn.Module) and "_parameters" in vars(value):
        tensors = itertools.chain(value.parameters(), value.buffers())  # type: ignore[attr-defined]
        return any(id(each) in taken for each in tensors)
    if is_kind(value, torch.optim.Optimizer) and "param_groups" in vars(value):
        groups = value.param_groups  # type: ignore[attr-defined]
        return any(id(each) in taken for group in groups for each in group["params"])
    return False


def frame_values(error: BaseException | None) -> Iterator[object]:
    """Return the local values that the traceback of an error keeps alive."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if is_user_file(frame.f_code.co_filename):
                yield from list(frame.f_locals.values())
        error = error.__cause__ or error.__context__
