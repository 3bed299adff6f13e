"""Home for the length of a call: what Dataset code and the cell both use.

The tensor object points to its home memory while Dataset code runs, and to the device
again afterwards; nothing is copied unless the cell has changed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from colabmagic.train import storage
from colabmagic.train.exchange import (
    compatible,
    data_of,
    history_of,
    is_movable,
    is_plain,
    no_subclass,
    set_data,
    swap,
)
from colabmagic.train.traveller import Traveller, on_storage, place_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colabmagic.train.move import Mover
    from colabmagic.train.unseen import Unseen

# An array that Dataset code may write to is compared for each batch: only small ones,
# as counters are.
_MOST_COMPARED: Final = 64 * 2**10


@dataclass(eq=False)
class Visitors:
    """What Dataset code and the cell share.

    Attributes
    ----------
    travellers
        Tensors on the device, with all that share their memory.
    guests
        Tensors that are at home, over memory that is away too.
    unseen
        What may have been written to without being counted; None to trust the counters.
    versions
        Version counters of the guests when the visit began.
    """

    travellers: list[Traveller]
    guests: list[tuple[torch.Tensor, storage.Pair]] = field(default_factory=list)
    unseen: Unseen | None = None
    versions: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.travellers)


def visitors_among(
    mover: Mover,
    tensors: Iterable[torch.Tensor],
    arrays: Iterable[Any] = (),
    unseen: Unseen | None = None,
) -> Visitors:
    """Find what visits home while Dataset code runs.

    Parameters
    ----------
    mover
        Knows what is away.
    tensors
        What Dataset code reaches; those on the device get a home if they have none.
    arrays
        NumPy arrays that it reaches.
    unseen
        Knows what may have been written to without being counted.
    """
    away: list[torch.Tensor] = []
    here: list[torch.Tensor] = []
    with no_subclass():
        for each in tensors:
            if mover.is_away(each):
                away.append(each)
            elif mover.pairs and each.is_cpu and is_plain(each):
                here.append(each)
        homes = _Homes(mover)
        guests: dict[int, tuple[torch.Tensor, storage.Pair]] = {}
        for each in here:
            pair = homes.pair_of(each)
            if pair is not None:
                # Views count with their base: thousands of rows are one guest.
                base = each._base if each._is_view() else each  # noqa: SLF001
                guests[id(base)] = (each, pair)
        pairs = {id(pair) for _, pair in guests.values()}
        for array in arrays:
            pair = homes.pair_of_array(array, unseen)
            if pair is not None:
                pairs.add(id(pair))
    travellers = adopt(mover, away)
    known = {id(each) for each in travellers}
    travellers += [
        each
        for each in mover.travellers.values()
        if pairs and id(each.pair) in pairs and id(each) not in known
    ]
    return Visitors(travellers, list(guests.values()), unseen)


@dataclass(eq=False)
class _Homes:
    """Finds whose memory at home something looks at."""

    mover: Mover
    _spans: list[tuple[int, int, storage.Pair]] | None = None

    def pair_of(self, tensor: torch.Tensor) -> storage.Pair | None:
        """Return the pair of a tensor on the CPU; None if its memory is not away."""
        memory = tensor.untyped_storage()
        pair = self.mover.pairs.get(memory._cdata)  # noqa: SLF001 (its identity)
        if pair is None and not memory.resizable():
            return self._at(memory.data_ptr())
        return pair

    def pair_of_array(
        self,
        array: Any,  # noqa: ANN401 (a NumPy array)
        unseen: Unseen | None,
    ) -> storage.Pair | None:
        """Return the pair of an array, and have it watched if it is small."""
        address = array.__array_interface__["data"][0]
        pair = self._at(address)
        if (
            pair is not None
            and unseen is not None
            and array.flags.c_contiguous
            and array.nbytes <= _MOST_COMPARED
        ):
            first = address - pair.home.data_ptr()
            extent = first, min(first + array.nbytes, pair.home.nbytes())
            unseen.watch(pair.home._cdata, pair.home, extent, array)  # noqa: SLF001 (its identity)
        return pair

    def _at(self, address: int) -> storage.Pair | None:
        """Return the pair whose home others look at too, by an address in it."""
        if self._spans is None:
            self._spans = [
                (each.home.data_ptr(), each.home.data_ptr() + each.home.nbytes(), each)
                for each in self.mover.pairs.values()
                if not each.home.resizable()
            ]
        for first, end, pair in self._spans:
            if first <= address < end:
                return pair
        return None


def adopt(mover: Mover, tensors: Iterable[torch.Tensor]) -> list[Traveller]:
    """Give tensors that were made on the device a home; return them as travellers."""
    with torch.no_grad(), no_subclass():
        known: list[torch.Tensor] = []
        groups: dict[int, list[torch.Tensor]] = {}
        for tensor in tensors:
            if id(tensor) in mover.travellers:
                known.append(tensor)
            elif history_of(tensor) is None and is_plain(tensor) and is_movable(tensor):
                groups.setdefault(storage.key(tensor), []).append(tensor)
        for group in groups.values():
            _adopt_group(mover, group)
            known += group
        return _with_mates(mover, [mover.travellers[id(each)] for each in known])


def _with_mates(mover: Mover, visitors: list[Traveller]) -> list[Traveller]:
    """Add what shares memory with the visitors: it tells when that was changed."""
    if not visitors:
        return visitors
    found = {id(each): each for each in visitors}
    pairs = {id(each.pair) for each in visitors if each.pair is not None}
    for each in mover.travellers.values():
        if id(each.pair) in pairs:
            found.setdefault(id(each), each)
    return list(found.values())


def _adopt_group(mover: Mover, group: list[torch.Tensor]) -> None:
    """Find or make home memory for the tensors of one storage of the device."""
    away = group[0].untyped_storage()
    pair = _pair_of(mover, away)
    for tensor in group:
        home = on_storage(tensor, pair.home, -pair.start)
        shadow = None
        if not compatible(tensor, home):
            home.requires_grad_(tensor.requires_grad)
            shadow = home
        version = version_of(tensor)
        mover.travellers[id(tensor)] = Traveller(
            tensor, shadow, home, pair, place_of(tensor), version, None, version
        )


def _pair_of(mover: Mover, away: torch.UntypedStorage) -> storage.Pair:
    """Return the pair of a storage of the device, with equal memory at home."""
    away_key = away._cdata  # noqa: SLF001 (the identity of a storage)
    for pair in mover.pairs.values():
        if pair.away_key == away_key and storage.fetch(pair):
            return pair  # a view of what was moved: its home is where that came from
    memory = storage.raw(away, 0, away.nbytes()).cpu().untyped_storage()
    pair = storage.Pair(memory, away, 0)
    mover.pairs[int(memory._cdata)] = pair  # noqa: SLF001
    return pair


def visit_home(visitors: Visitors) -> None:
    """Point tensors to their home memory, which is made equal if need be."""
    unseen = visitors.unseen
    distrusted = unseen.away if unseen is not None else ()
    stale: list[tuple[Traveller, int]] = []
    with torch.no_grad(), no_subclass():
        visitors.versions = [version_of(each) for each, _ in visitors.guests]
        for each in visitors.travellers:
            tensor, pair = each.tensor, each.pair
            if tensor.is_cpu:
                continue
            version = version_of(tensor)
            if pair is not None and (
                version != max(each.synced, each.version)
                or pair.away_key in distrusted
                or tensor.is_inference()
            ):
                stale.append((each, version))
            each.lent = each.by_value or not each.is_in_place()
            if not each.lent:
                _go_home(each, each.home)
            elif history_of(tensor) is None and is_plain(tensor):
                _go_home(each, tensor.detach().cpu())
        for pair in {id(each.pair): each.pair for each, _ in stale}.values():
            storage.fetch(pair)  # type: ignore[arg-type]  # those without are not stale
        for each, version in stale:
            each.synced = version
        if unseen is not None:
            unseen.begin()


def _go_home(each: Traveller, here: torch.Tensor) -> None:
    """Point one tensor to memory at home."""
    tensor, shadow = each.tensor, each.shadow
    if shadow is None:
        each.visiting = tensor.detach()
        set_data(tensor, here)
    else:
        if each.lent:
            each.own = shadow.detach()
        each.visiting = shadow
        swap(tensor, shadow)
        if each.lent:
            set_data(tensor, here)
    each.visited = version_of(tensor)


def end_visit(visitors: Visitors) -> None:
    """Point tensors to the device again; what was written at home is written there."""
    unseen = visitors.unseen
    with torch.no_grad(), no_subclass():
        written = [
            pair
            for (each, pair), version in zip(
                visitors.guests, visitors.versions, strict=False
            )
            if version_of(each) != version
        ]
        for each in visitors.travellers:
            if each.visiting is None:
                continue
            before = unseen.repointed.get(id(each.tensor)) if unseen else None
            if each.lent or before is not None:
                _send_alone(each, before)
            elif _go_back(each) and each.pair is not None:
                written.append(each.pair)
        if unseen is not None:
            written += unseen.written()
        sent = {id(pair): pair for pair in written}
        for pair in sent.values():
            storage.resend(pair)
        for each in visitors.travellers if sent else ():
            if id(each.pair) in sent and not each.tensor.is_cpu:
                each.synced = version_of(each.tensor)


def _go_back(each: Traveller) -> bool:
    """Point one tensor to the device again; tell whether home was written to."""
    tensor = each.tensor
    at_home = tensor.is_cpu  # not if an interrupt came before it was
    written = at_home and (tensor.is_inference() or version_of(tensor) != each.visited)
    if each.shadow is None:
        assert each.visiting is not None
        set_data(tensor, each.visiting)
    elif at_home:
        swap(tensor, each.shadow)
    each.visiting = None
    return written


def _send_alone(each: Traveller, before: torch.Tensor | None) -> None:
    """Point a tensor to the device again that looked at memory of its own at home.

    Parameters
    ----------
    each
        The traveller.
    before
        What it looked at before Dataset code pointed it elsewhere; None if it did not.
    """
    tensor = each.tensor
    value = tensor.detach() if tensor.is_cpu else None
    own, each.own = each.own if each.lent else before, None
    _go_back(each)
    if value is None:
        return
    if each.shadow is not None and own is not None:
        set_data(each.shadow, own)
    if before is not None or value.shape != tensor.shape:
        set_data(tensor, value.to(tensor.device))
    else:
        data_of(tensor).copy_(value)
