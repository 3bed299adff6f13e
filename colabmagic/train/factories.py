"""Functions that make tensors: called by the cell, they make them on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils import data as torch_data

from colabmagic.train import batch
from colabmagic.train.draws import (
    draw,
    draw_from,
    draw_like,
    fill_of,
    mask_of,
    rrelu_of,
    set_rng_state_of,
)
from colabmagic.train.legacy import (
    LEGACY,
    LegacyType,
    legacy_new,
    set_default_type,
    type_of,
)
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

    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

PLAIN: Final = (
    "zeros", "ones", "empty", "full", "eye", "arange", "range", "linspace", "logspace",
    "tensor", "as_tensor", "asarray", "scalar_tensor", "empty_strided", "complex_scalar",
    "tril_indices", "triu_indices", "hann_window", "hamming_window", "bartlett_window",
    "blackman_window", "kaiser_window",
)  # fmt: skip
DRAWS: Final = ("rand", "randn", "randint", "randperm", "normal")
DRAWS_LIKE: Final = ("rand_like", "randn_like", "randint_like")
DRAWS_FROM: Final = (
    "bernoulli", "multinomial", "poisson", "binomial", "_standard_gamma",
    "_sample_dirichlet",
)  # fmt: skip
METHODS: Final = ("bernoulli", "multinomial")
DROPOUTS: Final = ("dropout", "dropout_", "feature_dropout", "feature_dropout_")
IN_PLACE: Final = (
    "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "log_normal_",
    "geometric_", "cauchy_",
)  # fmt: skip
PLAIN_ELSEWHERE: Final = (
    (torch.fft, ("fftfreq", "rfftfreq")),
    (torch.signal.windows, tuple(torch.signal.windows.__all__)),
)
WITHOUT_DEVICE: Final = ("from_numpy", "frombuffer", "load")

NUMPY_NOTE: Final = (
    "torch.from_numpy gave a tensor on the device: it shares no memory with the array"
)


def install(scope: Scope, patches: Patches, namespace: dict[str, Any]) -> None:
    """Wrap the factories of torch, and the ones that were imported by name."""
    places: list[tuple[Any, tuple[str, ...], Callable[..., object]]]
    wrapped: dict[int, object] = {}
    makers: tuple[tuple[tuple[str, ...], Callable[..., object]], ...] = (
        (PLAIN, _plain),
        (DRAWS, draw),
        (DRAWS_LIKE, draw_like),
        (DRAWS_FROM, draw_from),
        (DROPOUTS if scope.rng == "cpu" else (), mask_of),
        (("rrelu", "rrelu_"), rrelu_of),
        (WITHOUT_DEVICE, _converted),
        (LEGACY, LegacyType),
    )
    places = [(torch, group, make) for group, make in makers]
    places += [(owner, group, _plain) for owner, group in PLAIN_ELSEWHERE]
    places.append((torch_data, ("default_collate",), _converted))
    for owner, group, make in places:
        for name in group:
            original = getattr(owner, name, None)
            if original is None:
                continue
            wrapper = make(scope, original)
            wrapped[id(original)] = wrapper
            scope.originals[id(wrapper)] = (wrapper, original)
            patches.set(owner, name, wrapper)
    for name, value in list(namespace.items()):
        by_name = wrapped.get(id(value))
        if by_name is not None:
            patches.set_item(namespace, name, by_name)
    for name in IN_PLACE:
        patches.set(torch.Tensor, name, fill_of(scope, getattr(torch.Tensor, name)))
    for name in METHODS:
        patches.set(torch.Tensor, name, draw_from(scope, getattr(torch.Tensor, name)))
    for name in (
        DROPOUTS if scope.rng == "cpu" else ()
    ):  # where torch.nn.functional calls them
        patches.set(torch._VF, name, getattr(torch, name))  # noqa: SLF001
    engine = torch.quasirandom.SobolEngine
    patches.set(engine, "draw", _converted(scope, engine.draw))
    patches.set(torch.Tensor, "__new__", legacy_new(scope))
    patches.set(torch.Tensor, "type", type_of(scope))
    patches.set(torch, "set_default_tensor_type", set_default_type())
    for owner in (torch, torch.random):
        patches.set(owner, "set_rng_state", set_rng_state_of(owner.set_rng_state))


def _plain(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a factory that takes ``device=``."""
    device = scope.device

    @named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if kwargs and not ELSEWHERE.isdisjoint(kwargs):
            if is_placed(kwargs):
                return explicit(scope, kwargs, original(*args, **kwargs))
            kwargs = unplaced(kwargs)
        if scope.applies(caller()):
            return original(*args, device=device, **kwargs)
        return original(*args, **kwargs)

    return factory


def _converted(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that knows no ``device=``: its result is moved."""
    of_numpy = original.__name__ == "from_numpy"

    @named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        made = original(*args, **kwargs)
        positional = original.__name__ == "load" and len(args) > 1
        if positional or is_placed(kwargs):
            return made
        if not scope.applies(caller()):
            return made
        if isinstance(made, torch.Tensor):
            if of_numpy:
                scope.notes[NUMPY_NOTE] = None
            return _there(scope, made) if made.device.type == "cpu" else made
        if isinstance(made, torch.nn.Module):
            scope.expect(made)
            return made
        return made if _has_state(made) else batch.moved(made, scope.device)

    return factory


def _has_state(made: Any) -> bool:  # noqa: ANN401
    """Tell whether a loaded value holds the state of an optimizer.

    Its step counters belong on the CPU; ``load_state_dict`` moves the rest itself.
    """
    if not isinstance(made, dict):
        return False
    return "param_groups" in made or any(map(_has_state, made.values()))


def _there(scope: Scope, made: torch.Tensor) -> torch.Tensor:
    """Return a new tensor on the device; a leaf stays a leaf, a parameter one."""
    if isinstance(made, torch.nn.Parameter):
        there = made.detach().to(scope.device)
        return torch.nn.Parameter(there, requires_grad=made.requires_grad)
    if made.requires_grad and made.is_leaf:
        return made.detach().to(scope.device).requires_grad_()
    return made.to(scope.device)
