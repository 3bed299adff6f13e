"""Modules and optimizers: what is made in the cell moves before it is first used."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.module import register_module_forward_pre_hook

from colabmagic.train import batch
from colabmagic.train.origin import is_user_file
from colabmagic.train.reach import Reach
from colabmagic.train.scope import caller, constructs_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from colabmagic.train.move import Mover
    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

_PLACING = ("to", "cuda", "cpu", "xpu", "ipu", "to_empty")
_KEEP_IDENTITY = frozenset({"cpu", "cuda", "mps", "xpu", "meta"})
_MAX_FRAMES = 64


@dataclass(eq=False)
class Modules:
    """Moves modules that the cell makes, and the inputs of modules that it calls."""

    scope: Scope
    mover: Mover
    patches: Patches
    namespace: Mapping[str, Any]
    names: tuple[str, ...]
    _hook: Any = None
    _called: set[type] = field(default_factory=set)

    def install(self) -> None:
        """Patch construction and placement."""
        patches = self.patches
        self.scope.arm = self._arm
        patches.set(nn.Module, "__init__", self._module_init())
        patches.set(torch.optim.Optimizer, "add_param_group", self._add_param_group())
        patches.set(LazyModuleMixin, "_infer_parameters", self._infer_parameters())
        patches.set(nn.RNNBase, "flatten_parameters", self._flatten_parameters())
        for name in _PLACING:
            if hasattr(nn.Module, name):
                original = getattr(nn.Module, name)
                patches.set(nn.Module, name, self._placing(name, original))

    def meet(self, modules: Mapping[int, nn.Module]) -> None:
        """Patch the calls of modules that the cell reaches."""
        for module in modules.values():
            self._watch_lazy(module)
        self.watch_calls(modules)

    def _watch_lazy(self, module: nn.Module) -> None:
        """Replace the hook that a lazy module of an earlier cell has taken already."""
        hook = module.__dict__.get("_initialize_hook")
        if hook is None or not issubclass(type(module), LazyModuleMixin):
            return
        infer = LazyModuleMixin._infer_parameters.__get__(module)  # noqa: SLF001
        if module._forward_pre_hooks.get(hook.id) != infer:  # noqa: SLF001
            self.patches.set_item(module._forward_pre_hooks, hook.id, infer)  # noqa: SLF001

    def close(self) -> None:
        """Take the forward hook back."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    # ---- made in the cell -------------------------------------------------------

    def _module_init(self) -> Callable[..., None]:
        """Return a constructor that remembers the module and arms the forward hook."""
        original = nn.Module.__init__
        scope = self.scope

        @functools.wraps(original)
        def __init__(module: nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, N807
            original(module, *args, **kwargs)
            if not scope.inside_loader:
                scope.expect(module)

        return __init__

    def _arm(self) -> None:
        """Watch for the next forward of anything."""
        if self._hook is None:
            self._hook = register_module_forward_pre_hook(self._before_forward)

    def _before_forward(self, module: nn.Module, args: Any) -> Any:  # noqa: ANN401
        """Move what is pending at the first forward of anything."""
        if self.scope.inside_loader or constructs_module(caller(1)):
            return None
        self.flush()
        if module in self.scope.at_home:
            return None
        return batch.moved(args, self.scope.device)

    def flush(self) -> None:
        """Move the modules that were made or copied in the cell."""
        self.close()
        scope = self.scope
        made = [each for each in (ref() for ref in scope.pending) if each is not None]
        scope.pending.clear()
        seen = Reach(self.namespace).names(self.names).values(_user_locals()).modules
        modules = {id(each): each for each in [*made, *seen.values()]}
        self.take(modules)
        self.watch_calls(modules)

    def take(self, modules: Mapping[int, nn.Module]) -> None:
        """Move all tensors of modules, unless the user placed them himself."""
        free = [each for each in modules.values() if each not in self.scope.at_home]
        reach = Reach({}).values(free)
        self.mover.away(
            each
            for each in reach.tensors.values()
            if id(each) not in reach.at_home and each not in self.scope.at_home
        )

    def _add_param_group(self) -> Callable[..., None]:
        """Return the method through which every optimizer takes its parameters."""
        original = torch.optim.Optimizer.add_param_group

        @functools.wraps(original)
        def add_param_group(optimizer: Any, param_group: dict[str, Any]) -> None:  # noqa: ANN401
            original(optimizer, param_group)
            if self.scope.inside_loader or constructs_module(caller()):
                return
            if self.scope.pending:
                self.flush()
            self.mover.away(
                each
                for each in optimizer.param_groups[-1]["params"]
                if each not in self.scope.at_home
            )

        return add_param_group

    def _infer_parameters(self) -> Callable[..., Any]:
        """Return the hook in which a lazy module gets its parameters, on the CPU first."""
        original = LazyModuleMixin._infer_parameters  # noqa: SLF001

        @functools.wraps(original)
        def _infer_parameters(lazy: Any, module: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = original(lazy, module, *args, **kwargs)
            if not self.scope.inside_loader:
                self.take({id(module): module})
            return result

        return _infer_parameters

    def _flatten_parameters(self) -> Callable[..., None]:
        """Return the method by which cuDNN gets all weights of a layer in one block."""
        original = nn.RNNBase.flatten_parameters

        @functools.wraps(original)
        def flatten_parameters(layer: Any) -> None:  # noqa: ANN401
            original(layer)
            self.mover.accept_place(layer._flat_weights)  # noqa: SLF001

        return flatten_parameters

    # ---- placed by the user -------------------------------------------------------

    def _placing(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``module.to(...)`` and its like: what the user places stays there."""

        @functools.wraps(original)
        def place(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if self.scope.rests:
                return original(module, *args, **kwargs)
            with self._identity_kept(module):
                result = original(module, *args, **kwargs)
            if is_user_file(caller().f_code.co_filename):
                target = _target(name, args, kwargs)
                if target is not None and (
                    target.type == "cpu" or _is_choice(self.scope, args, kwargs)
                ):
                    self._mark(module, target)
                if target is not None and target.type == "cpu":
                    self.mover.came_home((*module.parameters(), *module.buffers()))
            return result

        return place

    @contextlib.contextmanager
    def _identity_kept(self, module: nn.Module) -> Iterator[None]:
        """Keep Parameter objects where torch would put new ones in their place.

        It does so between the CPU and back ends on its PrivateUse1 key. What it does
        there on request, it refuses for a tensor with a weak reference: no marks then.
        """
        if self.scope.device.type in _KEEP_IDENTITY:
            yield
            return
        for each in (*module.parameters(), *module.buffers()):
            self._unmark(each)
        future = torch.__future__
        outer = future.get_swap_module_params_on_conversion()
        future.set_swap_module_params_on_conversion(True)
        try:
            yield
        finally:
            future.set_swap_module_params_on_conversion(outer)

    def _unmark(self, value: object) -> None:
        """Forget where the user put something."""
        scope = self.scope
        for marks in (scope.on_device, scope.at_home, scope.stay):
            marks.discard(value)

    def _mark(self, module: nn.Module, target: torch.device) -> None:
        """Remember where the user put a module with all that belongs to it."""
        scope = self.scope
        for each in (*module.modules(), *module.parameters(), *module.buffers()):
            self._unmark(each)
            if target.type == "cpu":
                scope.at_home.add(each)
            elif target.type == scope.device.type:
                scope.on_device.add(each)

    # ---- called by the cell ----------------------------------------------------------

    def watch_calls(self, modules: Mapping[int, nn.Module]) -> None:
        """Let the modules that the cell calls itself take inputs from the CPU."""
        inner = {
            id(child)
            for module in modules.values()
            for child in (module.__dict__.get("_modules") or {}).values()
        }
        kinds = {type(each) for key, each in modules.items() if key not in inner}
        for kind in kinds - self._called:
            self._called.add(kind)
            if not issubclass(kind, torch.jit.ScriptModule):
                self.patches.set(kind, "__call__", self._call(kind.__call__))

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the call of a module: tensors on the CPU are moved on their way in."""
        scope, device = self.scope, self.scope.device
        tensor = torch.Tensor

        @functools.wraps(original)
        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N807
            for value in args:
                kind = value.__class__
                if kind is tensor:
                    if value.device == device or not value.is_cpu:
                        continue
                elif kind not in _CONTAINERS:
                    continue
                if _enters(scope, module):
                    args = batch.moved(args, device)
                break
            if kwargs and _enters(scope, module):
                kwargs = batch.moved(kwargs, device)
            return original(module, *args, **kwargs)

        return __call__


_CONTAINERS = frozenset({list, tuple, dict, nn.utils.rnn.PackedSequence})


def _enters(scope: Scope, module: nn.Module) -> bool:
    """Tell whether a module works on the device, so that inputs must go there."""
    if scope.inside_loader or module in scope.at_home:
        return False
    return not (scope.pending and constructs_module(caller(3)))


def _is_choice(scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether a placing call names a device of the user's choice."""
    return scope.is_chosen(kwargs.get("device", args[0] if args else None))


def _target(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.device | None:
    """Return the device that a placing call names."""
    if name != "to":
        device = kwargs.get("device", args[0] if args else None)
        if name == "to_empty" and device is not None:
            return torch.device(device)
        return torch.device(name) if name in {"cuda", "cpu", "xpu"} else None
    parsed: Any = torch._C._nn._parse_to(*args, **kwargs)[0]  # noqa: SLF001
    return torch.device(parsed) if parsed is not None else None


def _user_locals() -> Iterable[object]:
    """Return the local values of the user's functions that are running."""
    values: list[object] = []
    frame = caller(2)
    for _ in range(_MAX_FRAMES):
        code = frame.f_code
        if is_user_file(code.co_filename) and code.co_name != "<module>":
            values.extend(frame.f_locals.values())
        if frame.f_back is None:
            break
        frame = frame.f_back
    return values
