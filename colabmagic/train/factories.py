"""Functions that make tensors: called by the cell, they make them on the device."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch

from colabmagic.train import batch
from colabmagic.train.origin import is_user_file
from colabmagic.train.scope import caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

Wrapper = TypeVar("Wrapper", bound="Callable[..., Any]")

PLAIN: Final = (
    "zeros", "ones", "empty", "full", "eye", "arange", "range", "linspace", "logspace",
    "tensor", "as_tensor", "asarray", "scalar_tensor", "empty_strided", "complex_scalar",
    "tril_indices", "triu_indices", "hann_window", "hamming_window", "bartlett_window",
    "blackman_window", "kaiser_window",
)  # fmt: skip
DRAWS: Final = ("rand", "randn", "randint", "randperm", "normal")
DRAWS_LIKE: Final = ("rand_like", "randn_like", "randint_like")
DRAWS_FROM: Final = ("bernoulli", "multinomial", "poisson")
IN_PLACE: Final = (
    "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "log_normal_",
    "geometric_", "cauchy_",
)  # fmt: skip
WITHOUT_DEVICE: Final = ("from_numpy", "frombuffer", "load")
LEGACY: Final = (
    "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor", "LongTensor",
    "IntTensor", "ShortTensor", "CharTensor", "ByteTensor", "BoolTensor",
)  # fmt: skip
SMALL_BYTES: Final = 64 * 2**10
_ELSEWHERE: Final = frozenset({"device", "out", "pin_memory", "map_location"})

NUMPY_NOTE: Final = (
    "torch.from_numpy gave a tensor on the device: it shares no memory with the array"
)


def install(scope: Scope, patches: Patches, namespace: dict[str, Any]) -> None:
    """Wrap the factories of torch, and the ones that were imported by name."""
    wrapped: dict[int, object] = {}
    makers: tuple[tuple[tuple[str, ...], Callable[..., object]], ...] = (
        (PLAIN, _plain),
        (DRAWS, _draw),
        (DRAWS_LIKE, _draw_like),
        (DRAWS_FROM, _draw_from),
        (WITHOUT_DEVICE, _converted),
        (LEGACY, LegacyType),
    )
    for group, make in makers:
        for name in group:
            original = getattr(torch, name, None)
            if original is None:
                continue
            wrapper = make(scope, original)
            wrapped[id(original)] = wrapper
            scope.originals[id(wrapper)] = (wrapper, original)
            patches.set(torch, name, wrapper)
    for name, value in list(namespace.items()):
        by_name = wrapped.get(id(value))
        if by_name is not None:
            patches.set_item(namespace, name, by_name)
    for name in IN_PLACE:
        patches.set(torch.Tensor, name, _fill(scope, getattr(torch.Tensor, name)))
    patches.set(torch.Tensor, "__new__", _legacy_new(scope))
    patches.set(torch.Tensor, "type", _type(scope))
    patches.set(torch, "set_default_tensor_type", _set_default_type())
    for owner in (torch, torch.random):
        patches.set(owner, "set_rng_state", _set_rng_state(owner.set_rng_state))


def _named_like(original: Callable[..., Any]) -> Callable[[Wrapper], Wrapper]:
    """Give a wrapper the name of what it wraps, and no way back to it.

    ``torch.jit.script`` follows ``__wrapped__``, and finds no source in a built-in.
    """

    def name(wrapper: Wrapper) -> Wrapper:
        functools.update_wrapper(wrapper, original)
        del wrapper.__wrapped__  # type: ignore[attr-defined]
        return wrapper

    return name


def _placed(kwargs: dict[str, Any]) -> bool:
    """Tell whether a call says itself where its result goes; ``device=None`` does not."""
    return any(
        kwargs.get(name) is not None and kwargs[name] is not False
        for name in _ELSEWHERE
    )


def _unplaced(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call without those that leave the place open."""
    return {name: value for name, value in kwargs.items() if name not in _ELSEWHERE}


def _explicit(scope: Scope, kwargs: dict[str, Any], made: Any) -> Any:  # noqa: ANN401
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


def _plain(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a factory that takes ``device=``."""
    device = scope.device

    @_named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if kwargs and not _ELSEWHERE.isdisjoint(kwargs):
            if _placed(kwargs):
                return _explicit(scope, kwargs, original(*args, **kwargs))
            kwargs = _unplaced(kwargs)
        if scope.applies(caller()):
            return original(*args, device=device, **kwargs)
        return original(*args, **kwargs)

    return factory


def _draw(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a factory of random numbers."""
    device = scope.device
    indices = original.__name__ == "randperm"
    drawn_from = _draw_from(scope, original, depth=3)

    @_named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if kwargs and not _ELSEWHERE.isdisjoint(kwargs):
            if _placed(kwargs):
                return _explicit(scope, kwargs, original(*args, **kwargs))
            kwargs = _unplaced(kwargs)
        if not scope.applies(caller()):
            return original(*args, **kwargs)
        if _follows_an_argument(original, args, kwargs):
            return drawn_from(*args, **kwargs)
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


def _set_rng_state(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the setter of the CPU's state, which may have gone along with the cell."""

    @_named_like(original)
    def set_rng_state(new_state: torch.Tensor) -> None:
        original(new_state.cpu())

    return set_rng_state


def _is_small(scope: Scope, tensor: torch.Tensor) -> bool:
    """Tell whether a draw of this size comes from the CPU's stream."""
    return scope.rng == "cpu" or (scope.rng == "auto" and tensor.nbytes <= SMALL_BYTES)


def _draw_like(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a draw that follows its argument: only its stream is chosen."""

    @_named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        like = kwargs.get("input", args[0] if args else None)
        if (
            not isinstance(like, torch.Tensor)
            or _placed(kwargs)
            or like.device != scope.device
            or not _is_small(scope, like)
            or not scope.applies(caller())
        ):
            return original(*args, **kwargs)
        here = torch.empty_like(like, device="cpu", requires_grad=False)
        others = args if "input" in kwargs else args[1:]
        named = {key: each for key, each in kwargs.items() if key != "input"}
        return _moved(scope, original, (here, *others), _unplaced(named))

    return factory


def _draw_from(
    scope: Scope, original: Callable[..., Any], depth: int = 2
) -> Callable[..., Any]:
    """Wrap a draw whose probabilities are tensors: they are fetched if small."""

    @_named_like(original)
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
            or any(each.requires_grad for each in tensors)
            or not scope.applies(caller(depth))
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


def _fill(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method that fills a tensor with random numbers.

    Weights that are initialised (``torch.nn.init``) always take the CPU's stream, with
    ``--rng auto`` too: a model made anew in the cell is the one made on the CPU.
    """

    @_named_like(original)
    def fill(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if self.device == scope.device and _is_cpu_generator(kwargs):
            here = torch.empty_like(self, device="cpu", requires_grad=False)
            original(here, *map(_on_cpu, args), **kwargs)
            return self.copy_(here)
        if (
            self.device != scope.device
            or scope.rng == "device"
            or kwargs.get("generator") is not None
            or any(isinstance(each, torch.Tensor) for each in args)
        ):
            return original(self, *args, **kwargs)
        frame = caller()
        initialises = frame.f_globals.get("__name__") == "torch.nn.init"
        if not initialises and not (_is_small(scope, self) and scope.applies(frame)):
            return original(self, *args, **kwargs)
        here = torch.empty_like(self, device="cpu", requires_grad=False)
        original(here, *args, **kwargs)
        return self.copy_(here, non_blocking=scope.non_blocking)

    return fill


def _converted(scope: Scope, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that knows no ``device=``: its result is moved."""
    of_numpy = original.__name__ == "from_numpy"

    @_named_like(original)
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        made = original(*args, **kwargs)
        positional = original.__name__ == "load" and len(args) > 1
        if positional or _placed(kwargs):
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


def _legacy_new(scope: Scope) -> staticmethod[..., Any]:
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


def _type(scope: Scope) -> Callable[..., Any]:
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

    @_named_like(original)
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


def _set_default_type() -> Callable[..., Any]:
    """Return a ``torch.set_default_tensor_type`` that meets the real types only."""
    original = torch.set_default_tensor_type

    @_named_like(original)
    def set_default_tensor_type(kind: Any) -> Any:  # noqa: ANN401
        if isinstance(kind, str):
            kind = getattr(torch, kind.removeprefix("torch."), kind)
        return original(kind._original if isinstance(kind, LegacyType) else kind)  # noqa: SLF001

    return set_default_tensor_type
