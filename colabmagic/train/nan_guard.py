"""``--nan-guard``: stop at a loss that is not finite, and never wait for the device.

Losses are collected where they are, as they are; every N steps one copy of N numbers
sets out for the CPU, and is looked at when it has arrived.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch.utils.data.dataloader import _BaseDataLoaderIter

from colabmagic.errors import NanLossError
from colabmagic.memory.children import is_kind
from colabmagic.train import batch as batches
from colabmagic.train.belongings import is_users
from colabmagic.train.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from colabmagic.train.patches import Patches

KEPT_BYTES: Final = 64 * 2**20  # of batches whose loss is not known yet
_MOST_UNDER_WAY: Final = 8
_CPU: Final = torch.device("cpu")
_LOOK: Final = "from colabmagic import train; train.last_outcome().nan_batch"

# Kept from before anything is patched.
_empty = torch.empty


@dataclass(frozen=True, slots=True)
class NanLoss:
    """A loss that is not finite.

    Attributes
    ----------
    value
        nan, inf or -inf.
    step
        The number of its ``backward()`` in the cell, from 1.
    last_step, last_value
        The last one that was finite; 0 and None where none was.
    batch
        What the loader gave for that step, on the CPU; None where it was not kept.
    """

    value: float
    step: int
    last_step: int
    last_value: float | None
    batch: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return what happened in one sentence."""
        before = f"; the last finite one was {self.last_value:.4g} at step "
        return f"the loss is {self.value} at step {self.step}" + (
            f"{before}{self.last_step}" if self.last_value is not None else ""
        )


def nan_facts(found: NanLoss | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an outcome that a guard knows.

    Parameters
    ----------
    found
        What `NanGuard.finish` returned.
    known
        The fields ``error`` and ``notes``: what stopped the cell needs no note.
    """
    if found is None:
        return {}
    facts = {
        "nan_step": found.step,
        "last_finite_step": found.last_step,
        "nan_batch": found.batch,
        "notes": known["notes"],
    }
    if known["error"] != NanLossError.__name__:
        facts["notes"] = (*known["notes"], f"{found} (--nan-guard)")
    return facts


@dataclass(slots=True)
class _Check:
    """Losses on their way to the CPU."""

    steps: list[int]
    values: torch.Tensor
    event: torch.Event | None = None

    def has_arrived(self) -> bool:
        """Tell whether they are here; does not wait."""
        return self.event is None or bool(self.event.query())

    def wait(self) -> None:
        """Wait until they are."""
        if self.event is not None:
            self.event.synchronize()


@dataclass(eq=False)
class NanGuard:
    """Looks at the losses of a cell: at what ``backward()`` is called on.

    Parameters
    ----------
    every
        How many steps lie between two copies.
    namespace
        The user's names, to call parameters by.

    Attributes
    ----------
    found
        The first loss that was not finite.
    """

    every: int
    namespace: Mapping[str, Any]
    found: NanLoss | None = None
    _steps: int = 0
    _last: tuple[int, float | None] = (0, None)
    _losses: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    _under_way: deque[_Check] = field(default_factory=deque)
    _batch: Any = None
    _batches: deque[tuple[int, Any]] = field(default_factory=deque)
    _room: int = 1

    def install(self, patches: Patches) -> None:
        """Watch losses and batches.

        Parameters
        ----------
        patches
            Take it back.
        """
        patches.set(torch.Tensor, "backward", self._backward())
        patches.set(_BaseDataLoaderIter, "__next__", self._next())

    def restart(self) -> None:
        """Forget everything: another cell begins."""
        fresh = type(self)(self.every, self.namespace)
        vars(self).update(vars(fresh))

    def finish(self) -> NanLoss | None:
        """Look at what is left, and let go of all batches; may wait for the device.

        Returns
        -------
        NanLoss or None
            The first loss that was not finite, also if it has stopped the cell.
        """
        with contextlib.suppress(RuntimeError):  # the device is lost
            self._send()
            while self._under_way and self.found is None:
                self._under_way[0].wait()
                self._judge(self._under_way.popleft())
        found = self.found
        self.restart()
        return found

    def _backward(self) -> Callable[..., None]:
        """Return the patched ``Tensor.backward``."""
        original: Any = torch.Tensor.backward

        @functools.wraps(original)
        def backward(loss: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
            # The loss sets out before, so that it is here, if need be, after it.
            self._note(loss)
            original(loss, *args, **options)
            while self._under_way and self._under_way[0].has_arrived():
                self._judge(self._under_way.popleft())
                if self.found is not None:
                    raise self._error(self.found)

        return backward

    def _next(self) -> Callable[..., Any]:
        """Return the patched ``__next__`` of iterators over loaders."""
        original = _BaseDataLoaderIter.__next__

        @functools.wraps(original)
        def __next__(iterator: Any) -> Any:  # noqa: ANN401, N807
            self._batch = batch = original(iterator)
            return batch

        return __next__

    def _note(self, loss: torch.Tensor) -> None:
        """Collect a loss and its batch; every so often send them."""
        self._steps += 1
        if not loss.is_floating_point() or self.found is not None:
            return
        value = loss.detach()
        if value.dim():  # half precision would overflow by the sum itself
            short = value.element_size() < torch.float32.itemsize
            value = value.sum(dtype=torch.float32 if short else None)
        self._losses.append((self._steps, value))
        if self._steps == 1 or self._steps % self.every == 0:
            self._room = max(1, KEPT_BYTES // max(1, _size(self._batch)))
        self._batches.append((self._steps, self._batch))
        while len(self._batches) > self._room:
            self._batches.popleft()
        if self._steps % self.every == 0 and len(self._under_way) < _MOST_UNDER_WAY:
            self._send()

    def _send(self) -> None:
        """Send what was collected to the CPU."""
        groups: dict[torch.device, list[tuple[int, torch.Tensor]]] = {}
        for step, value in self._losses:
            groups.setdefault(value.device, []).append((step, value))
        self._losses.clear()
        for device, group in groups.items():
            steps = [step for step, _ in group]
            with torch.no_grad():
                together = torch.stack([value for _, value in group])
            self._under_way.append(_sent(steps, together, device))

    def _judge(self, check: _Check) -> None:
        """Look at losses that have arrived."""
        for step, value in zip(check.steps, check.values.tolist(), strict=True):
            if value - value == 0:
                self._last = step, value
                continue
            batch = dict(self._batches).get(step)
            with contextlib.suppress(Exception):  # a batch of the user's own kind
                batch = batches.moved(batch, _CPU)
            self.found = NanLoss(value, step, *self._last, batch)
            return
        while self._batches and self._batches[0][0] <= check.steps[-1]:
            self._batches.popleft()

    def _error(self, found: NanLoss) -> NanLossError:
        """Return the error that stops the cell."""
        seen = []
        if found.batch is not None and not all(map(_is_finite, _tensors(found.batch))):
            seen.append("the batch of that step holds nan or inf itself")
        name = _first_not_finite(self.namespace)
        if name is not None:
            seen.append(f"now, at step {self._steps}, {name} is not finite")
        elif not seen:
            seen.append("all parameters and gradients are finite")
        hint = f"{_LOOK}  # the batch of step {found.step}"
        if found.batch is None:
            hint = "a smaller learning rate"
            if self._batch is not None:
                hint = "--nan-guard 1, which keeps the batch of the very step"
        return NanLossError(str(found), seen="; ".join(seen), hint=hint)


def _sent(steps: list[int], values: torch.Tensor, device: torch.device) -> _Check:
    """Let values set out for the CPU; wait only where the device cannot do it alone."""
    if device.type in {"cpu", "mps", "meta"}:
        return _Check(steps, values if device.type == "cpu" else _read(values))
    try:
        here = _empty(len(steps), dtype=values.dtype, pin_memory=True)
        event = torch.Event(device=device)
        here.copy_(values, non_blocking=True)
        event.record()
    except (RuntimeError, TypeError, AttributeError):  # no pinned memory, no events
        return _Check(steps, values.cpu())
    return _Check(steps, here, event)


def _read(values: torch.Tensor) -> torch.Tensor:
    """Fetch values; a device without any has finite ones."""
    return torch.zeros(len(values)) if values.is_meta else values.cpu()


def _tensors(value: object) -> list[torch.Tensor]:
    """Return the tensors in a value."""
    return list(Reach({}).values([value]).tensors.values())


def _size(value: object) -> int:
    """Return the bytes of the tensors in a batch."""
    return sum(each.nbytes for each in _tensors(value)) if value is not None else 0


def _is_finite(tensor: torch.Tensor) -> bool:
    """Tell whether all values are finite; waits for the device."""
    with contextlib.suppress(Exception):  # a type of tensor that cannot tell
        return bool(torch.isfinite(tensor.detach()).all())
    return True


def _first_not_finite(namespace: Mapping[str, Any]) -> str | None:
    """Return the user's name of the first parameter, or else gradient, with nan or inf."""
    known = list(_named_parameters(namespace))
    for name, value in known:
        if not _is_finite(value):
            return f"`{name}`"
    for name, value in known:
        if value.grad is not None and not _is_finite(value.grad):
            return f"the gradient of `{name}`"
    return None


def _named_parameters(
    namespace: Mapping[str, Any],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the parameters of the user's models, and his own, by his names."""
    for name, value in list(namespace.items()):
        if not is_users(name):
            continue
        if is_kind(value, torch.nn.Module):
            with contextlib.suppress(Exception):  # a method of the user's may fail
                for inner, each in value.named_parameters():
                    yield f"{name}.{inner}", each
        elif is_kind(value, torch.Tensor):
            tensor = cast("torch.Tensor", value)
            if tensor.is_leaf and tensor.requires_grad:
                yield name, tensor
