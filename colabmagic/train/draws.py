"""Random numbers: which stream the draws of a cell come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.train.scope import caller
from colabmagic.train.wrapping import (
    ELSEWHERE,
    explicit,
    is_placed,
    named_like,
    unplaced,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.scope import Scope

SMALL_BYTES: Final = 64 * 2**10


def draw(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a factory of random numbers."""
    device = scope.device
    indices = original.__name__ == "randperm"
    drawn_from = draw_from(scope, original)

    @named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if _follows_an_argument(original, args, kwargs):
            return drawn_from(*args, **kwargs)
        follows = False
        if kwargs and not ELSEWHERE.isdisjoint(kwargs):
            follows = _follows_a_device(scope, kwargs)
            if is_placed(kwargs) and not follows:
                return explicit(scope, kwargs, original(*args, **kwargs))
            kwargs = unplaced(kwargs)
        if not follows and not scope.applies(caller()):
            return original(*args, **kwargs)
        if kwargs.get("generator") is None and not indices:
            on_device = scope.rng == "device"
            if scope.rng == "auto":
                shape = original(*args, **{**kwargs, "device": "meta"})
                on_device = shape.nbytes > SMALL_BYTES
            if on_device:
                return original(*args, device=device, **kwargs)
        elif indices and scope.rng == "device" and kwargs.get("generator") is None:
            return original(*args, device=device, **kwargs)
        return _moved(scope, original, args, kwargs)

    return factory


def _moved(
    scope: Scope,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # noqa: ANN401
    """Draw from the CPU's stream and move the numbers."""
    requires_grad = kwargs.pop("requires_grad", False)
    made = original(*args, **kwargs).to(scope.device, non_blocking=scope.non_blocking)
    return made.requires_grad_() if requires_grad else made


def _follows_an_argument(
    original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    """Tell whether tensors among the arguments decide about the device.

    They do in ``torch.normal(mean, std)``. Elsewhere a tensor is but a number.
    """
    if original.__name__ != "normal" or len(args) > 2 or "size" in kwargs:  # noqa: PLR2004
        return False
    return any(isinstance(each, torch.Tensor) for each in (*args, *kwargs.values()))


def _follows_a_device(scope: Scope, kwargs: dict[str, Any]) -> bool:
    """Tell whether a draw is for our device only because a tensor is there.

    As in torch's distributions: ``torch.rand(shape, device=self.low.device)``.
    """
    device = kwargs.get("device")
    others = {key: each for key, each in kwargs.items() if key != "device"}
    return (
        isinstance(device, torch.device)
        and device == scope.device
        and not scope.is_chosen(device)
        and not is_placed(others)
        and scope.draws()
    )


def set_rng_state_of(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the setter of the CPU's state, which may have gone along with the cell."""

    @named_like(original)
    def set_rng_state(new_state: torch.Tensor) -> None:
        original(new_state.cpu())

    return set_rng_state


def _is_small(scope: Scope, tensor: torch.Tensor) -> bool:
    """Tell whether a draw of this size comes from the CPU's stream."""
    return scope.rng == "cpu" or (scope.rng == "auto" and tensor.nbytes <= SMALL_BYTES)


def draw_like(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a draw that follows its argument: only its stream is chosen."""

    @named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        like = kwargs.get("input", args[0] if args else None)
        if (
            not isinstance(like, torch.Tensor)
            or is_placed(kwargs)
            or like.device != scope.device
            or not _is_small(scope, like)
            or not scope.draws()
        ):
            return original(*args, **kwargs)
        here = torch.empty_like(like, device="cpu", requires_grad=False)
        others = args if "input" in kwargs else args[1:]
        named = {key: each for key, each in kwargs.items() if key != "input"}
        return _moved(scope, original, (here, *others), unplaced(named))

    return factory


def draw_from(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a draw whose probabilities are tensors: they are fetched if small.

    Gradients find their way: both copies are in the graph.
    """

    @named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        tensors = [
            each
            for each in (*args, *kwargs.values())
            if isinstance(each, torch.Tensor) and each.device == scope.device
        ]
        if tensors and _is_cpu_generator(kwargs) and kwargs.get("out") is None:
            here = [_on_cpu(each) for each in args]
            return _moved(scope, original, tuple(here), kwargs)
        if (
            not tensors
            or kwargs.get("out") is not None
            or kwargs.get("generator") is not None
            or not all(_is_small(scope, each) for each in tensors)
            or not scope.draws()
        ):
            return original(*args, **kwargs)
        here = [_on_cpu(each) for each in args]
        named = {name: _on_cpu(each) for name, each in kwargs.items()}
        return _moved(scope, original, tuple(here), named)

    return factory


def _is_cpu_generator(kwargs: dict[str, Any]) -> bool:
    """Tell whether the user gave a generator of the CPU, which a device refuses."""
    generator = kwargs.get("generator")
    return isinstance(generator, torch.Generator) and generator.device.type == "cpu"


def _on_cpu(value: Any) -> Any:  # noqa: ANN401
    """Return a tensor on the CPU, and anything else as it is."""
    return value.cpu() if isinstance(value, torch.Tensor) else value


def fill_of(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method that fills a tensor with random numbers.

    Weights that are initialised (``torch.nn.init``) always take the CPU's stream, with
    ``--rng auto`` too: a model made anew in the cell is the one made on the CPU.
    """

    @named_like(original)
    def fill(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if self.device == scope.device and _is_cpu_generator(kwargs):
            here = torch.empty_like(self, device="cpu", requires_grad=False)
            original(here, *map(_on_cpu, args), **kwargs)
            return self.copy_(here)
        if (
            self.device != scope.device
            or scope.rng == "device"
            or kwargs.get("generator") is not None
        ):
            return original(self, *args, **kwargs)
        initialises = caller().f_globals.get("__name__") == "torch.nn.init"
        if not initialises and not (_is_small(scope, self) and scope.draws()):
            return original(self, *args, **kwargs)
        here = torch.empty_like(self, device="cpu", requires_grad=False)
        original(here, *map(_on_cpu, args), **kwargs)
        return self.copy_(here, non_blocking=scope.non_blocking)

    return fill


def mask_of(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a dropout for ``--rng cpu``: its mask is the CPU's.

    With ``auto`` it is not, however small: each layer of each step would fetch one.
    """
    in_place = original.__name__.endswith("_")

    @named_like(original)
    def dropout(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:  # noqa: A002, FBT001 (torch's names)
        if not train or input.device != scope.device or not scope.draws():
            return original(input, p, train)  # type: ignore[no-any-return]
        # What the CPU multiplies with; a layout of memory is one of the numbers too.
        mask = torch.empty_like(input, device="cpu", requires_grad=False).fill_(1)
        there = original(mask, p, train).to(scope.device)
        return input.mul_(there) if in_place else input * there

    return dropout


def rrelu_of(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a leaky ReLU whose slopes are random while a model trains."""
    drawn = draw_from(scope, original)

    @named_like(original)
    def rrelu(
        input: torch.Tensor,  # noqa: A002 (torch's names)
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        training: bool = False,  # noqa: FBT001, FBT002
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        draw = drawn if training else original
        made: torch.Tensor = draw(input, lower, upper, training, generator=generator)
        if made is not input and original.__name__.endswith("_"):
            return input.copy_(made)
        return made

    return rrelu
