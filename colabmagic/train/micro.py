"""A batch in parts: the gradient of the whole batch, in the memory of a part.

The sampler's own batches are cut into equal parts. What a loss gives to the gradient is
scaled by the part's share, and nothing is stepped or cleared until the batch is whole.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.nn.utils import clip_grad
from torch.optim import lr_scheduler
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils import data as torch_data
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.errors import NotSupportedError
from colabmagic.train.patches import Patches
from colabmagic.train.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLIPPING: Final = ("clip_grad_norm_", "clip_grad_value_")
_SUM: Final = 2  # torch's number for reduction="sum"
_LEFT_OUT: Final = "run the cell without --auto-batch, with a smaller batch_size"


class Part(NamedTuple):
    """One part of a batch."""

    number: int
    parts: int
    size: int
    whole: int

    @property
    def is_last(self) -> bool:
        """Whether the batch is whole with it."""
        return self.number == self.parts - 1


class _Parts:
    """Iterates over a sampler's batches, part by part."""

    def __init__(self, batches: Iterator[list[Any]], size: int) -> None:
        self._batches = batches
        self._size = size
        self._waiting: deque[list[Any]] = deque()
        self.sent: deque[Part] = deque()  # in the order in which batches will come

    def __iter__(self) -> _Parts:
        return self

    def __next__(self) -> list[Any]:
        if not self._waiting:
            whole = list(next(self._batches))
            cuts = range(0, len(whole), self._size)
            self._waiting.extend(whole[cut : cut + self._size] for cut in cuts)
            self.sent.extend(
                Part(number, len(cuts), len(part), len(whole))
                for number, part in enumerate(self._waiting)
            )
        return self._waiting.popleft()


class _PartSampler:
    """Stands for the batch sampler of a loader."""

    def __init__(self, sampler: torch_data.BatchSampler, size: int) -> None:
        self._sampler = sampler
        self._size = size

    def __iter__(self) -> _Parts:
        return _Parts(iter(self._sampler), self._size)

    def __len__(self) -> int:
        size, whole = self._size, self._sampler.batch_size
        batches = len(self._sampler)
        in_one = -(-whole // size)
        if self._sampler.drop_last or not batches:
            return batches * in_one
        rest = len(self._sampler.sampler) - (batches - 1) * whole  # type: ignore[arg-type]
        return (batches - 1) * in_one + -(-rest // size)


@dataclass(eq=False)
class MicroBatches:
    """Lets a cell work on parts of its batches.

    Parameters
    ----------
    namespace
        The user's names.
    names
        The dotted names that the cell mentions.

    Attributes
    ----------
    parts
        In how many parts a batch is cut.
    size
        Of a part.
    failed
        The size that was too large.
    is_held
        Whether the step of an optimizer is being held back.
    """

    namespace: dict[str, Any]
    names: tuple[str, ...]
    parts: int = 1
    size: int = 0
    failed: int = 0
    is_held: bool = False
    _largest: int = 0
    _why_not: str | None = None
    _part: Part | None = None
    _went_backward: bool = False
    _stepped: bool = False
    _gathered: list[tuple[torch.Tensor, torch.Tensor, int]] = field(
        default_factory=list
    )
    _stowed: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)

    @property
    def warning(self) -> str:
        """Why the result will not be that of the whole batch; "" if nothing is seen."""
        modules = Reach(self.namespace).names(self.names).modules.values()
        norm = torch.nn.modules.batchnorm._BatchNorm  # noqa: SLF001 (has no other name)
        if any(isinstance(each, norm) and each.training for each in modules):
            return f"BatchNorm sees {self.size} at a time"
        return ""

    def halve(self) -> str | None:
        """Cut batches in twice as many parts; return why that is impossible."""
        if self._why_not is not None:
            return self._why_not
        if not self._largest:
            return "the cell had no batch from a DataLoader"
        self.failed = self.size or self._largest
        if self.failed == 1:
            return "the batch is 1 already"
        self.parts *= 2
        self.size = -(-self._largest // self.parts)
        self.parts = -(-self._largest // self.size)
        return None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Cut the batches of all loaders while the block runs."""
        patches = Patches()
        self._part = None
        self._went_backward = self._stepped = False
        patches.set(torch_data.DataLoader, "__iter__", self._iter(patches))
        hooks = []
        try:
            if self.parts > 1:
                self._patch(patches)
                hooks = [
                    register_optimizer_step_pre_hook(self._before_step),
                    register_optimizer_step_post_hook(self._after_step),
                ]
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self._give_back()
            self._gathered.clear()
            patches.undo()

    def _patch(self, patches: Patches) -> None:
        """Change what a training step calls."""
        patches.set(_BaseDataLoaderIter, "__next__", self._next())
        patches.set(torch.autograd, "backward", self._backward())
        patches.set(torch.amp.GradScaler, "scale", _refuse_scaler)
        for kind in _with_own(Optimizer, "zero_grad"):
            patches.set(kind, "zero_grad", self._clear(kind.zero_grad))
        for kind in _with_own(torch.nn.Module, "zero_grad"):
            patches.set(kind, "zero_grad", self._clear(kind.zero_grad))
        for kind in (
            *_with_own(lr_scheduler.LRScheduler, "step"),
            *_with_own(lr_scheduler.ReduceLROnPlateau, "step"),
        ):
            patches.set(kind, "step", self._schedule(kind.step))
        for name in _CLIPPING:
            original = getattr(clip_grad, name)
            clip = self._clip(original)
            for owner in (clip_grad, torch.nn.utils):
                patches.set(owner, name, clip)
            for key, value in list(self.namespace.items()):  # imported by name
                if value is original:
                    patches.set_item(self.namespace, key, clip)

    # ---- loaders -------------------------------------------------------------------

    def _iter(self, patches: Patches) -> Callable[..., Any]:
        """Return the patched start of a pass over a loader."""
        original = torch_data.DataLoader.__iter__

        def __iter__(loader: Any) -> Any:  # noqa: ANN401, N807
            self._meet(loader, patches)
            return original(loader)

        return __iter__

    def _meet(self, loader: Any, patches: Patches) -> None:  # noqa: ANN401
        """Let a loader give parts, or note why it cannot."""
        attributes = loader.__dict__
        sampler = attributes["batch_sampler"]
        if isinstance(sampler, _PartSampler):
            return
        if type(sampler) is not torch_data.BatchSampler:
            self._why_not = "a loader has a batch sampler of its own, or none"
        elif isinstance(loader.dataset, torch_data.IterableDataset):
            self._why_not = "an IterableDataset does not tell how large a batch will be"
        elif attributes.get("in_order") is False:
            self._why_not = "a loader gives batches out of order"
        else:
            self._largest = max(self._largest, sampler.batch_size)
            size = -(-sampler.batch_size // self.parts)
            if self.parts > 1 and size < sampler.batch_size:
                patches.set_item(
                    attributes, "batch_sampler", _PartSampler(sampler, size)
                )
                patches.set_item(attributes, "batch_size", size)
                if attributes["_iterator"] is not None:  # workers of an earlier cell
                    patches.set_item(attributes, "_iterator", None)

    def _next(self) -> Callable[..., Any]:
        """Return the patched ``__next__`` of iterators over loaders."""
        original = _BaseDataLoaderIter.__next__

        def __next__(iterator: Any) -> Any:  # noqa: ANN401, N807
            self._check_last_part()
            result = original(iterator)
            parts = iterator._sampler_iter  # noqa: SLF001 (made by `_PartSampler`)
            self._part = parts.sent.popleft() if isinstance(parts, _Parts) else None
            self._went_backward = self._stepped = False
            return result

        return __next__

    def _check_last_part(self) -> None:
        """Refuse a cell that does not step once for each batch."""
        if self._went_backward and not self._stepped and self._part is not None:
            raise NotSupportedError(
                "--auto-batch: the cell goes backward for a batch and takes no step of "
                "an optimizer for it",
                seen="gradients over several batches, or weights changed by hand",
                hint=_LEFT_OUT,
            )

    # ---- the step ------------------------------------------------------------------

    @property
    def _waits(self) -> bool:
        """Whether more of the batch is to come."""
        return self._part is not None and not self._part.is_last

    def _backward(self) -> Callable[..., None]:
        """Return the patched backward pass: a part counts by its share."""
        original = torch.autograd.backward

        def backward(
            tensors: Any,  # noqa: ANN401
            grad_tensors: Any = None,  # noqa: ANN401
            *args: Any,  # noqa: ANN401
            **options: Any,  # noqa: ANN401
        ) -> None:
            part = self._part
            if part is None or part.parts == 1:
                original(tensors, grad_tensors, *args, **options)
                return
            if self._stepped:
                raise NotSupportedError(
                    "--auto-batch: the cell goes backward again after a step, for the "
                    "same batch",
                    hint=_LEFT_OUT,
                )
            self._check_gathered()
            _refuse_sum(tensors)
            share = part.size / part.whole
            scaled = _scaled(tensors, grad_tensors, share)
            original(tensors, scaled, *args, **options)
            self._went_backward = True

        return backward

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        """Hold a step back: an optimizer passes over weights without a gradient."""
        if self._part is None or self._part.parts == 1:
            return
        closure = args[1] if len(args) > 1 else options.get("closure")
        if closure is not None:
            raise NotSupportedError(
                "--auto-batch: a step with a closure computes the loss itself",
                seen=type(optimizer).__name__,
                hint=_LEFT_OUT,
            )
        self._stepped = True
        if not self._waits:
            self._gathered.clear()
            return
        self.is_held = True
        for group in optimizer.param_groups:
            for each in group["params"]:
                if each.grad is not None:
                    self._stowed.append((each, each.grad))
                    each.grad = None

    def _after_step(self, *_: object) -> None:
        """Give the gradients back, and remember how they were."""
        if not self.is_held:
            return
        given = self._give_back()
        known = {id(each) for each, _ in given}
        self._gathered = [one for one in self._gathered if id(one[0]) not in known]
        self._gathered += [(each, grad, grad._version) for each, grad in given]  # noqa: SLF001
        self.is_held = False

    def _give_back(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Put gradients back that were taken for the length of a step."""
        given, self._stowed = self._stowed, []
        for each, grad in given:
            each.grad = grad
        self.is_held = False
        return given

    def _check_gathered(self) -> None:
        """Refuse a cell that clears or changes gradients past us."""
        if any(
            each.grad is not grad or grad._version != version  # noqa: SLF001
            for each, grad, version in self._gathered
        ):
            raise NotSupportedError(
                "--auto-batch: the cell changes gradients by hand between two batches",
                seen="p.grad = None, p.grad.zero_() or the like",
                hint="optimizer.zero_grad() instead; or " + _LEFT_OUT,
            )
        self._gathered.clear()

    def _clear(self, original: Callable[..., None]) -> Callable[..., None]:
        """Return the patched ``zero_grad``: only before a batch and after it."""

        def zero_grad(owner: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            part = self._part
            if part is not None:
                at_start = part.number == 0 and not self._went_backward
                at_end = part.is_last and self._stepped
                if not at_start and not at_end:
                    return
            original(owner, *args, **options)

        return zero_grad

    def _clip(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the patched clipping of gradients: the whole one is clipped."""

        @functools.wraps(original)
        def clip(parameters: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
            if not self._waits:
                return original(parameters, *args, **options)
            norm = args[1] if len(args) > 1 else options.get("norm_type", 2.0)
            return _clip_none(parameters, float(norm))

        return clip

    def _schedule(self, original: Callable[..., None]) -> Callable[..., None]:
        """Return the patched step of a learning rate: once for a batch."""

        def step(scheduler: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            if not (self._waits and self._stepped):
                original(scheduler, *args, **options)

        return step


def _clip_none(parameters: Any, norm_type: float) -> torch.Tensor:  # noqa: ANN401
    """Return the norm of gradients, and clip none."""
    given = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    found = [each.grad for each in given if each.grad is not None]
    if not found:
        return torch.tensor(0.0)
    norms = [torch.linalg.vector_norm(each, norm_type) for each in found]
    whole: torch.Tensor = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    return whole


def _refuse_sum(loss: object) -> None:
    """Refuse a loss of torch's that is a sum: its parts must not be scaled."""
    node = loss.grad_fn if isinstance(loss, torch.Tensor) else None
    if getattr(node, "_saved_reduction", None) == _SUM:
        raise NotSupportedError(
            "--auto-batch: the loss is a sum over the batch, not a mean",
            seen='reduction="sum"',
            hint=_LEFT_OUT,
        )


def _scaled(tensors: Any, gradients: Any, share: float) -> Any:  # noqa: ANN401
    """Return what a backward pass begins with, times a share."""
    if isinstance(tensors, torch.Tensor):
        if gradients is None and tensors.numel() != 1:
            return None  # torch refuses that
        begin = torch.ones_like(tensors) if gradients is None else gradients
        return begin * share
    given = [None] * len(tensors) if gradients is None else gradients
    return [
        _scaled(each, gradient, share)
        for each, gradient in zip(tensors, given, strict=True)
    ]


def _with_own(kind: type, name: str) -> list[Any]:
    """Return a class and the classes below it that define a method themselves."""
    found: dict[type, None] = {}
    pending = [kind]
    while pending:
        each = pending.pop()
        if each in found:
            continue
        found[each] = None
        pending += type.__subclasses__(each)
    return [each for each in found if name in vars(each)]


def _refuse_scaler(*_: object, **__: object) -> None:
    """Refuse what counts its own steps."""
    raise NotSupportedError(
        "--auto-batch and a GradScaler do not go together", hint=_LEFT_OUT
    )
