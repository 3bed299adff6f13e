"""What the wrappers of torch's functions have in common."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch

from colabmagic.train.origin import is_user_file
from colabmagic.train.scope import caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.scope import Scope

Wrapper = TypeVar("Wrapper", bound="Callable[..., Any]")

ELSEWHERE: Final = frozenset({"device", "out", "pin_memory", "map_location"})


def named_like(original: Callable[..., Any]) -> Callable[[Wrapper], Wrapper]:
    """Give a wrapper the name of what it wraps, and no way back to it.

    ``torch.jit.script`` follows ``__wrapped__``, and finds no source in a built-in.
    """

    def name(wrapper: Wrapper) -> Wrapper:
        functools.update_wrapper(wrapper, original)
        del wrapper.__wrapped__  # type: ignore[attr-defined]
        return wrapper

    return name


def is_placed(kwargs: dict[str, Any]) -> bool:
    """Tell whether a call says itself where its result goes; ``device=None`` does not."""
    return any(
        kwargs.get(name) is not None and kwargs[name] is not False for name in ELSEWHERE
    )


def unplaced(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call without those that leave the place open."""
    return {name: value for name, value in kwargs.items() if name not in ELSEWHERE}


def explicit(scope: Scope, kwargs: dict[str, Any], made: Any) -> Any:  # noqa: ANN401
    """Remember a tensor that the user himself put on the device."""
    device = kwargs.get("device")
    named = device is not None and isinstance(made, torch.Tensor)
    if (
        named
        and made.device == scope.device
        and scope.is_chosen(device)
        and is_user_file(caller(3).f_code.co_filename)
    ):
        scope.on_device.add(made)
    return made
