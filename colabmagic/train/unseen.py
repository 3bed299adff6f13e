"""Writes that no version counter counts: through ``.data`` and NumPy.

Torch counts what changes a tensor in place, but not what changes its memory by another
way. The ways are watched where they begin: on the device the memory is distrusted from
then on, at home, where only Dataset code runs, it is compared.
"""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _NormBase

from colabmagic.train import storage
from colabmagic.train.exchange import data_of, is_plain, no_subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from colabmagic.train.move import Mover
    from colabmagic.train.patches import Patches
    from colabmagic.train.scope import Scope

_data: Any = torch._C.TensorBase.data  # noqa: SLF001 (what `Tensor` inherits)


@dataclass(eq=False, slots=True)
class _Watch:
    """Bytes at home that somebody can write to unseen, and what they were."""

    home_key: int
    here: torch.Tensor
    before: torch.Tensor
    holders: list[weakref.ref[Any]]


@dataclass(eq=False)
class Unseen:
    """Knows which memory may have been written to without being counted.

    Attributes
    ----------
    scope
        Of the cell.
    mover
        Knows what is away.
    away
        Storages of the device that the cell has got another way to.
    repointed
        What tensors looked at, by their ``id``, that Dataset code has pointed to other
        memory.
    """

    scope: Scope
    mover: Mover
    away: set[int] = field(default_factory=set)
    repointed: dict[int, torch.Tensor] = field(default_factory=dict)
    _watched: dict[tuple[int, int], _Watch] = field(default_factory=dict)

    def install(self, patches: Patches) -> None:
        """Patch the ways past the counter."""
        kind = torch.Tensor
        patches.set(kind, "data", property(self._get_data, self._set_data))
        for name in ("numpy", "__dlpack__"):
            patches.set(kind, name, self._noted(getattr(kind, name)))

    def _get_data(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return ``tensor.data``."""
        made: torch.Tensor = _data.__get__(tensor)
        self._note(tensor, made)
        return made

    def _set_data(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """Assign ``tensor.data``."""
        if self.scope.inside_loader and not self.scope.rests:
            self.repointed.setdefault(id(tensor), data_of(tensor))
        _data.__set__(tensor, value)

    def _noted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that gives another way to a tensor's memory."""

        @functools.wraps(original)
        def method(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            made = original(tensor, *args, **kwargs)
            self._note(tensor, made)
            return made

        return method

    def _note(self, tensor: torch.Tensor, made: object) -> None:
        """Take note that there is another way to the memory of a tensor."""
        scope = self.scope
        if scope.rests or not self.mover.pairs:
            return
        with torch.no_grad(), no_subclass():
            if not is_plain(tensor):
                return
            if self.mover.is_away(tensor):
                self.away.add(storage.key(tensor))
            elif scope.inside_loader and tensor.is_cpu:
                key = storage.key(tensor)
                if key in self.mover.pairs:
                    memory = tensor.untyped_storage()
                    self.watch(key, memory, storage.extent(tensor), made)

    def watch_statistics(self, modules: Iterable[torch.nn.Module]) -> None:
        """Distrust running means and variances: torch counts no change of them."""
        for module in modules:
            if not issubclass(type(module), _NormBase):
                continue
            buffers = vars(module).get("_buffers", {})
            for name in ("running_mean", "running_var"):
                known = self.mover.travellers.get(id(buffers.get(name)))
                if known is not None and known.pair is not None:
                    home, start = known.pair.home, known.pair.start
                    self.away.add(known.pair.away_key)
                    extent = start, start + known.pair.size
                    self.watch(home._cdata, home, extent, module)  # noqa: SLF001 (its identity)

    def watch(
        self,
        key: int,
        memory: torch.UntypedStorage,
        extent: tuple[int, int],
        holder: Any,  # noqa: ANN401 (whatever a method gave)
    ) -> None:
        """Compare some bytes at home at the end of each visit.

        Parameters
        ----------
        key
            Of the storage.
        memory
            The storage.
        extent
            The first byte, and the one after the last.
        holder
            Who can write to them; they are watched for as long as it is there.
        """
        try:
            reference = weakref.ref(holder)
        except TypeError:  # a capsule of DLPack's
            reference = weakref.ref(self)
        here = storage.raw(memory, *extent)
        known = self._watched.get((here.data_ptr(), here.nbytes))
        if known is not None and known.home_key == key:
            known.holders.append(reference)
            return
        self._watched[here.data_ptr(), here.nbytes] = _Watch(
            key, here, here.clone(), [reference]
        )

    def begin(self) -> None:
        """Remember what is watched; a visit begins, and home is as the device."""
        for each in self._watched.values():
            each.before.copy_(each.here)

    def written(self) -> list[storage.Pair]:
        """Return what was written to at home; a visit ends."""
        self.repointed.clear()
        pairs = self.mover.pairs
        found: dict[int, storage.Pair] = {}
        for name, each in list(self._watched.items()):
            pair = pairs.get(each.home_key)
            if pair is not None and not torch.equal(each.here, each.before):
                found[each.home_key] = pair
            each.holders = [ref for ref in each.holders if ref() is not None]
            if pair is None or not each.holders:
                del self._watched[name]
        return list(found.values())

    def forget(self) -> None:
        """Let go of the memory that is watched."""
        self._watched.clear()
