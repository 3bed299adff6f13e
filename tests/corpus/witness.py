"""Independent witnesses: what is still on a device, and what is still patched in torch.

Nothing here uses colabmagic: a mistake there must not be repeated by its judge.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.utils.rnn
import torch.optim.swa_utils
import torch.utils.data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ATOMS = (type(None), bool, int, float, complex, str, bytes, bytearray, range, slice)


def tensors_off_cpu() -> list[torch.Tensor]:
    """Return every tensor of this process that Python knows and the CPU does not hold."""
    gc.collect()
    found = []
    for value in gc.get_objects():
        if torch.Tensor in type(value).__mro__:
            try:
                kind = value.device.type
            except (RuntimeError, ReferenceError):  # half dead, or a fake one of torch
                continue
            if kind not in {"cpu", "meta"}:
                found.append(value)
    return found


def leftovers(namespace: dict[str, Any]) -> dict[str, str]:
    """Return, by path, what the names of a namespace lead to off the CPU."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    keep: list[object] = []  # ids stay unique while the walk lasts
    waiting: deque[tuple[str, object]] = deque(
        (name, value) for name, value in namespace.items()
    )
    while waiting:
        path, value = waiting.popleft()
        if id(value) in seen or type(value) in ATOMS:
            continue
        seen.add(id(value))
        keep.append(value)
        if isinstance(value, torch.Tensor):
            if value.device.type not in {"cpu", "meta"}:
                found[path] = str(value.device)
        elif isinstance(value, (torch.UntypedStorage, torch.TypedStorage)):
            if value.device.type not in {"cpu", "meta"}:
                found[path] = f"storage on {value.device}"
        elif type(value) is torch.device and value.type not in {"cpu", "meta"}:
            found[path] = f"the device {value} itself"
        waiting.extend(
            (f"{path}{step}", child)
            for step, child in _children(value)
            if _is_open(child)
        )
    return found


def _is_open(value: object) -> bool:
    """Tell whether a value belongs to the user: torch's own modules and classes do not."""
    if isinstance(value, types.ModuleType):
        return False
    module = value.__module__ if isinstance(value, (type, types.FunctionType)) else None
    return module is None or module == "__main__"


def _children(value: Any) -> Iterator[tuple[str, object]]:
    """Yield all that an object leads to, with the way there."""
    if isinstance(value, (dict, types.MappingProxyType)):
        for key, item in list(
            dict.items(value) if isinstance(value, dict) else value.items()
        ):
            yield f"[{_label(key)}]", item
            if type(key) not in ATOMS:
                yield f".key({_label(key)})", key
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        for number, item in enumerate(list(value)):
            yield f"[{number}]", item
    elif isinstance(value, functools.partial):
        yield from (
            (".func", value.func),
            (".args", value.args),
            (".keywords", value.keywords),
        )
    elif isinstance(value, types.FunctionType):
        yield from (
            (".defaults", value.__defaults__),
            (".kwdefaults", value.__kwdefaults__),
        )
        for number, cell in enumerate(value.__closure__ or ()):
            try:
                yield f".closure[{number}]", cell.cell_contents
            except ValueError:
                continue
    elif isinstance(value, types.MethodType):
        yield from ((".self", value.__self__), (".func", value.__func__))
    elif isinstance(value, (types.GeneratorType, types.CoroutineType)):
        frame = (
            value.gi_frame if isinstance(value, types.GeneratorType) else value.cr_frame
        )
        if frame is not None:
            yield ".locals", frame.f_locals
    elif isinstance(value, (property,)):
        yield from ((".fget", value.fget), (".fset", value.fset))
    elif isinstance(value, (staticmethod, classmethod)):
        yield ".func", value.__func__
    elif isinstance(value, weakref.ref):
        yield "()", value()
    if isinstance(value, torch.Tensor):
        if value.is_leaf:
            yield ".grad", value.grad
        yield ".hooks", getattr(value, "_backward_hooks", None)
        yield ".base", value._base
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                yield f".{name}", object.__getattribute__(value, name)
            except AttributeError:
                continue
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return
    if isinstance(attributes, (dict, types.MappingProxyType)):
        for name, item in list(attributes.items()):
            yield f".{name}", item


def _label(key: object) -> str:
    """Return a key in few characters, without calling the user's ``repr``."""
    return repr(key)[:30] if type(key) in ATOMS else type(key).__name__


# --- patches ----------------------------------------------------------------------

OWNERS = (
    "torch",
    "torch.Tensor",
    "torch.nn.Module",
    "torch.nn.Parameter",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.modules.module",
    "torch.nn.modules.rnn",
    "torch.nn.utils.rnn",
    "torch.nn.utils",
    "torch.optim.Optimizer",
    "torch.optim.optimizer",
    "torch.optim.swa_utils",
    "torch.utils.data",
    "torch.utils.data.DataLoader",
    "torch.utils.data.dataloader",
    "torch.utils.data.dataloader._BaseDataLoaderIter",
    "torch.utils.data.dataloader._SingleProcessDataLoaderIter",
    "torch.utils.data.dataloader._MultiProcessingDataLoaderIter",
    "torch.utils.data.sampler.RandomSampler",
    "torch.utils.data.sampler.WeightedRandomSampler",
    "torch.autograd",
    "torch.autograd.Function",
    "torch.distributions",
    "torch.distributions.Normal",
    "torch.distributions.Categorical",
    "torch.distributions.Distribution",
    "torch.func",
    "torch.serialization",
    "torch.random",
    "torch.linalg",
    "torch.special",
    "torch.fft",
    "torch.signal.windows",
    "torch.FloatTensor",
    "torch.LongTensor",
    "torch.UntypedStorage",
    "torch._C",
    "torch._C._TensorBase",
    "torch._C._nn",
    "torch._C._VariableFunctions",
    "numpy",
    "copy",
    "builtins",
)
GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
    "_global_buffer_registration_hooks",
    "_global_module_registration_hooks",
    "_global_parameter_registration_hooks",
)


def entry_points() -> dict[str, object]:
    """Return everything in torch and beside it that a patch could replace."""
    found: dict[str, object] = {}
    for path in OWNERS:
        owner = _resolve(path)
        if owner is None:
            continue
        for name, value in list(getattr(owner, "__dict__", {}).items()):
            if callable(value) or isinstance(
                value, (property, classmethod, staticmethod)
            ):
                found[f"{path}.{name}"] = value
    hooks = torch.nn.modules.module
    for name in GLOBAL_HOOKS:
        found[f"number of {name}"] = len(getattr(hooks, name, ()))
    optimizers: Any = sys.modules["torch.optim.optimizer"]
    found["number of optimizer hooks"] = len(
        optimizers._global_optimizer_pre_hooks
    ) + len(optimizers._global_optimizer_post_hooks)
    found["default device"] = str(torch.get_default_device())
    found["function modes"] = torch._C._len_torch_function_stack()
    found["current device"] = torch.accelerator.current_device_index()
    found["grad mode"] = torch.is_grad_enabled()
    return found


def _resolve(path: str) -> Any:
    """Return the object of a dotted path, without importing anything new."""
    if path in sys.modules:
        return sys.modules[path]
    first, *rest = path.split(".")
    value: Any = sys.modules.get(first)
    for part in rest:
        value = getattr(value, part, None)
    return value


def still_patched(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Return what is not as it was; what torch has loaded since does not count."""
    gone = object()
    return [
        name
        for name, value in before.items()
        if (now := after.get(name, gone)) is not value and not _same(now, value)
    ]


def _same(one: object, other: object) -> bool:
    """Compare numbers and texts, which have no identity."""
    return isinstance(one, (int, str)) and type(one) is type(other) and one == other


def matmuls(counts: Iterable[tuple[str, int]]) -> int:
    """Return how many matrix products and the like are among operators."""
    names = {
        *("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "addbmm"),
        *("convolution", "convolution_overrideable", "convolution_backward"),
        *("convolution_backward_overrideable", "_convolution", "linear", "matmul"),
        *("_scaled_dot_product_flash_attention_for_cpu",),
        *("_scaled_dot_product_flash_attention_for_cpu_backward",),
    }
    return sum(
        count
        for name, count in counts
        if name.removeprefix("aten::").partition(".")[0] in names
    )
