"""A batch in parts: the gradient of the whole batch, in the memory of a part.

The sampler's own batches are cut into equal parts. What a loss gives to the gradient is
scaled by the part's share, and nothing is stepped or cleared until the batch is whole.
The code of a loop runs for each part: what would train otherwise by that is refused.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.utils import clip_grad
from torch.optim import lr_scheduler, swa_utils
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils import data as torch_data
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.train.held_steps import OptionsOfSteps, clip_none, stand_in, with_own
from colabmagic.train.losses import leaves_of
from colabmagic.train.part_refusals import (
    left_early,
    refusal,
    refuse_hooks,
    refuse_no_mean,
    refuse_scaler,
    refuse_weights,
)
from colabmagic.train.parts import Part, Parts, PartSampler
from colabmagic.train.patches import Patches
from colabmagic.train.reach import Reach
from colabmagic.train.unchanged import Watch, like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLIPPING: Final = ("clip_grad_norm_", "clip_grad_value_")


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
    # What iterators gave since the last step; None for a batch that is not cut.
    _drawn: weakref.WeakKeyDictionary[Any, Part | None] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    # Passes that were trained on and have not ended, each with those beside it.
    _passes: dict[int, list[Parts]] = field(default_factory=dict)
    _gathered: Part | None = None  # the last part in the gradients of a batch
    _went_backward: bool = False
    _asked: bool = False  # for gradients that are not gathered
    _stepped: bool = False
    _is_inside: bool = False
    _stowed: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    _options: OptionsOfSteps = field(default_factory=OptionsOfSteps)
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self._copies)

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
        self._drawn.clear()
        self._passes.clear()
        self._gathered = None
        self._went_backward = self._asked = self._stepped = self.is_held = False
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
            self._end()
        finally:
            for hook in hooks:
                hook.remove()
            self._give_back()
            self._options.clear()
            self._watch.close()
            patches.undo()

    def _patch(self, patches: Patches) -> None:
        """Change what a training step calls."""
        patches.set(_BaseDataLoaderIter, "__next__", self._next())
        patches.set(torch.autograd, "_engine_run_backward", self._backward())
        patches.set(torch.amp.GradScaler, "scale", refuse_scaler)
        for kind in with_own(Optimizer, "zero_grad"):
            patches.set(kind, "zero_grad", self._clear(kind.zero_grad))
        for kind in with_own(torch.nn.Module, "zero_grad"):
            patches.set(kind, "zero_grad", self._clear(kind.zero_grad))
        for kind in (
            *with_own(lr_scheduler.LRScheduler, "step"),
            *with_own(lr_scheduler.ReduceLROnPlateau, "step"),
        ):
            patches.set(kind, "step", self._once(kind.step, self._options.clear))
        for kind in with_own(swa_utils.AveragedModel, "update_parameters"):
            patches.set(kind, "update_parameters", self._once(kind.update_parameters))
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
            sampler = loader.batch_sampler
            trained = [each for group in self._passes.values() for each in group]
            if any(each.sampler is sampler for each in trained):
                raise left_early()
            if self._gathered is None:
                self._options.clear()  # between two passes they may change by hand
            return original(loader)

        return __iter__

    def _meet(self, loader: Any, patches: Patches) -> None:  # noqa: ANN401
        """Let a loader give parts, or note why it cannot."""
        attributes = loader.__dict__
        sampler = attributes["batch_sampler"]
        if isinstance(sampler, PartSampler):
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
                    attributes, "batch_sampler", PartSampler(sampler, size)
                )
                patches.set_item(attributes, "batch_size", size)
                if attributes["_iterator"] is not None:  # workers of an earlier cell
                    patches.set_item(attributes, "_iterator", None)

    def _next(self) -> Callable[..., Any]:
        """Return the patched ``__next__`` of iterators over loaders."""
        original = _BaseDataLoaderIter.__next__

        def __next__(iterator: Any) -> Any:  # noqa: ANN401, N807
            self._begin_turn()
            try:
                result = original(iterator)
            except StopIteration:
                self._end_pass(iterator)
                raise
            parts = iterator._sampler_iter  # noqa: SLF001 (made by `PartSampler`)
            cut = isinstance(parts, Parts)
            self._drawn[iterator] = parts.sent.popleft() if cut else None
            return result

        return __next__

    def _begin_turn(self) -> None:
        """Refuse a cell that does not step once for each batch."""
        if (self._went_backward or self._asked) and not self._stepped:
            raise refusal(
                "the cell goes backward for a batch and takes no step of "
                "an optimizer for it",
                seen="gradients over several batches, or weights changed by hand",
            )
        if self._stepped:
            self._drawn.clear()
        self._went_backward = self._asked = self._stepped = False

    def _end(self) -> None:
        """Refuse a cell that ends with a batch, or a pass over a loader, half done."""
        self._begin_turn()
        if self._gathered is not None or self._passes:
            raise left_early()

    def _end_pass(self, iterator: Any) -> None:  # noqa: ANN401
        """Forget a pass over a loader, and those that end with it."""
        self._drawn.pop(iterator, None)
        group = self._passes.get(id(iterator._sampler_iter), [])  # noqa: SLF001
        if group and self._gathered is not None:
            raise left_early()
        for each in list(group):
            self._passes.pop(id(each), None)

    # ---- the step ------------------------------------------------------------------

    def _current(self) -> Part | None:
        """Return the part of the batch that the cell works on; None if it is whole."""
        whole = (0, 1, 1.0)
        found = {
            whole if part is None else (part.number, part.parts, part.share): part
            for part in self._drawn.values()
        }
        if not any(part is not None and part.parts > 1 for part in found.values()):
            return None
        if len(found) > 1:
            raise refusal(
                "the cell takes batches from two loaders at a time, and "
                "they cannot be cut alike",
                seen="loaders of other lengths or batch sizes",
            )
        (part,) = found.values()
        return part

    def _backward(self) -> Callable[..., Any]:
        """Return torch's entry to the engine, patched: a part counts by its share."""
        original = torch.autograd._engine_run_backward  # type: ignore[attr-defined]  # noqa: SLF001

        @functools.wraps(original)
        def run(outputs: Any, gradients: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
            part = None if self._is_inside else self._current()
            if part is None:
                return original(outputs, gradients, *args, **options)
            if not options.get("accumulate_grad"):
                self._asked = True
                refuse_weights(args[2])
                return original(outputs, gradients, *args, **options)
            leaves = self._admit(part, outputs)
            scaled = [None if each is None else each * part.share for each in gradients]
            self._is_inside = True
            try:
                result = original(outputs, tuple(scaled), *args, **options)
            finally:
                self._is_inside = False
            if not part.is_last:
                self._watch.mark(leaves)
            return result

        return run

    def _admit(self, part: Part, outputs: Any) -> list[torch.Tensor]:  # noqa: ANN401
        """Refuse a backward pass whose gradient would be another; return its leaves."""
        if self._stepped:
            raise refusal(
                "the cell goes backward again after a step, for the same batch",
            )
        before = -1 if self._gathered is None else self._gathered.number
        if part.number != before + (not self._went_backward):
            raise refusal(
                "the cell does not go backward for each part of a batch",
                seen="a batch that is left out, or a loop that is left early",
            )
        refuse_no_mean(outputs, part.size)
        leaves = leaves_of(outputs)
        refuse_hooks(leaves)
        self._watch.check()
        if part.is_last:
            self._refuse_changes()
        self._gathered, self._went_backward = part, True
        given = [each._sampler_iter for each in self._drawn]  # noqa: SLF001
        group = [each for each in given if isinstance(each, Parts)]
        self._passes |= {id(each): group for each in group}
        return leaves

    def _refuse_changes(self) -> None:
        """Refuse a cell that has changed between parts what a batch changes once."""
        changed = self._watch.changed()
        self._watch.clear()
        if changed is not None:
            raise refusal(
                f"the cell changes {changed} by hand, which would happen "
                "for each part of a batch",
                seen="p.grad, p.data or the like, changed beside backward() and step()",
            )

    def _copies(self, weights: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return tensors of the cell that may be copies of the weights."""
        reach = Reach(self.namespace).names(self.names)
        others = {id(each) for each in weights}
        for module in reach.modules.values():  # a forward pass may change them
            others |= {id(each) for each in module.buffers()}
        for optimizer in reach.optimizers.values():
            for state in optimizer.state.values():
                others |= {id(each) for each in state.values()}
        return like((t for k, t in reach.tensors.items() if k not in others), weights)

    def _before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Hold a step back: the optimizer's code runs for one without weights."""
        if any(part is not None and part.parts > 1 for part in self._drawn.values()):
            closure = args[1] if len(args) > 1 else options.get("closure")
            if closure is not None:
                raise refusal(
                    "a step with a closure computes the loss itself",
                    seen=type(optimizer).__name__,
                )
            if not self._went_backward and (self._asked or self._gathered is not None):
                raise refusal(
                    "the cell steps without a backward() for this part of the batch",
                    seen="gradients by torch.autograd.grad, or a part left out",
                )
            if self._options.changed(optimizer):
                raise refusal(
                    "the cell changes the options of an optimizer by "
                    "hand, which would happen for each part of a batch",
                    seen="optimizer.param_groups[0]['lr'] = ... or the like",
                    rather="a scheduler of torch.optim.lr_scheduler",
                )
        self._stepped = True
        if self._gathered is None or self._gathered.is_last:
            self._gathered, self.is_held = None, False
            return None
        self.is_held = True
        for group in optimizer.param_groups:
            for each in group["params"]:
                if each.grad is not None:
                    self._stowed.append((each, each.grad))
                    each.grad = None
        return (stand_in(optimizer), *args[1:]), options

    def _after_step(self, optimizer: Optimizer, *_: object) -> None:
        """Give the gradients back."""
        if self.is_held:
            self._give_back()
        else:
            self._options.note(optimizer)  # its own step may change them

    def _give_back(self) -> None:
        """Put gradients back that were taken for the length of a step."""
        given, self._stowed = self._stowed, []
        for each, grad in given:
            each.grad = grad

    def _clear(self, original: Callable[..., None]) -> Callable[..., None]:
        """Return the patched ``zero_grad``: only before a batch and after it."""

        def zero_grad(owner: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            if self._gathered is None:
                original(owner, *args, **options)
            elif self._went_backward and not self._stepped:
                raise refusal(
                    "the cell clears gradients between backward() and the step",
                )

        return zero_grad

    def _clip(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the patched clipping of gradients: the whole one is clipped."""

        @functools.wraps(original)
        def clip(parameters: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
            if self._gathered is None or self._gathered.is_last:
                return original(parameters, *args, **options)
            norm = args[1] if len(args) > 1 else options.get("norm_type", 2.0)
            return clip_none(parameters, float(norm))

        return clip

    def _once(
        self, original: Callable[..., Any], after: Callable[[], None] | None = None
    ) -> Callable[..., None]:
        """Return a patched method that waits until the batch is whole.

        Parameters
        ----------
        original
            The method.
        after
            What to do when it has run.
        """

        @functools.wraps(original)
        def once(owner: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            if not self.is_held:
                original(owner, *args, **options)
                if after is not None:
                    after()

        return once
