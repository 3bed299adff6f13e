"""Types that stand for a place and an element type at once, as ``torch.FloatTensor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.train.scope import caller
from colabmagic.train.wrapping import named_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.scope import Scope

LEGACY: Final = (
    "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor",
    "IntTensor", "ShortTensor", "CharTensor", "ByteTensor", "BoolTensor",
)  # fmt: skip


def _is_alias(scope: Scope, args: tuple[Any, ...], dtype: torch.dtype) -> bool:
    """Tell whether ``torch.Tensor(x)`` is asked of an ``x`` that is on the device."""
    return (
        len(args) == 1
        and isinstance(args[0], torch.Tensor)
        and args[0].device == scope.device
        and args[0].dtype is dtype
    )


class LegacyType:
    """Stands for ``torch.FloatTensor`` and its like, which are types and cannot be wrapped."""

    def __init__(self, scope: Scope, original: Any) -> None:  # noqa: ANN401
        self._scope = scope
        self._original = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Make a tensor, on the device if the cell calls."""
        if not kwargs and _is_alias(self._scope, args, self._original.dtype):
            return args[0].detach()
        made = self._original(*args, **kwargs)
        if "device" not in kwargs and self._scope.applies(caller()):
            return made.to(self._scope.device)
        return made

    def __instancecheck__(self, value: object) -> bool:
        """Tell whether a tensor is of this type, wherever it is."""
        return isinstance(value, self._original) or (
            isinstance(value, torch.Tensor)
            and value.device == self._scope.device
            and value.dtype is self._original.dtype
        )

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._original, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LegacyType):
            return bool(self._original == other._original)
        return bool(self._original == other)

    def __hash__(self) -> int:
        return hash(self._original)

    def __repr__(self) -> str:
        return repr(self._original)


def legacy_new(scope: Scope) -> staticmethod[..., Any]:
    """Return a ``torch.Tensor.__new__`` for ``torch.Tensor([1, 2])`` in the cell."""
    original = torch.Tensor.__new__

    # No named parameter: torch compares this signature with its own when it loads its
    # compiler, as it does for the first optimizer of a process, and takes such a one.
    def __new__(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N807
        cls, *rest = args
        args = tuple(rest)
        if (
            cls is torch.Tensor
            and not kwargs
            and _is_alias(scope, args, torch.get_default_dtype())
        ):
            return args[0].detach()
        made: Any = original(cls, *args, **kwargs)
        if cls is not torch.Tensor or "device" in kwargs or not scope.applies(caller()):
            return made
        copies = bool(args) and isinstance(args[0], torch.Tensor)
        return made if copies else made.to(scope.device)

    return staticmethod(__new__)


def type_of(scope: Scope) -> Callable[..., Any]:
    """Return a ``Tensor.type`` that takes a CPU type as a change of the element type."""
    original = torch.Tensor.type
    by_name = {
        f"torch.{name}": getattr(torch, name)._original.dtype  # noqa: SLF001
        for name in LEGACY
        if hasattr(torch, name)
    }
    by_type = {
        getattr(torch, name)._original: getattr(torch, name)._original.dtype  # noqa: SLF001
        for name in LEGACY
        if hasattr(torch, name)
    }

    @named_like(original)
    def type_(self: torch.Tensor, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if isinstance(dtype, LegacyType):
            dtype = dtype._original  # noqa: SLF001
        if dtype is not None and self.device == scope.device:
            if isinstance(dtype, str):
                dtype = by_name.get(dtype, dtype)
            elif not isinstance(dtype, torch.dtype):
                dtype = by_type.get(dtype, dtype)
        return original(self, dtype, *args, **kwargs)

    return type_


def set_default_type() -> Callable[..., Any]:
    """Return a ``torch.set_default_tensor_type`` that meets the real types only."""
    original = torch.set_default_tensor_type

    @named_like(original)
    def set_default_tensor_type(kind: Any) -> Any:  # noqa: ANN401
        if isinstance(kind, str):
            kind = getattr(torch, kind.removeprefix("torch."), kind)
        return original(kind._original if isinstance(kind, LegacyType) else kind)  # noqa: SLF001

    return set_default_tensor_type
